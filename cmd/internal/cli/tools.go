package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

func newTools(a *app) *cobra.Command {
	return group("tools", "List, show and call the tools of all servers", newToolsList(a), newToolsShow(a), newToolsCall(a))
}

func newToolsList(a *app) *cobra.Command {
	var o queryOptions
	c := &cobra.Command{
		Use: "list", Short: "List the tools of all servers", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.query(c.Context(), o, nil, func(ctx context.Context, q *query) error {
				return q.showList(ctx, protocol.Tools, []column{
					text("TOOL", []string{"name"}),
					text("DESCRIPTION", []string{"description"}, []string{"title"}, []string{"annotations", "title"}),
				})
			})
		},
	}
	o.flags(a, c)
	return c
}

func newToolsShow(a *app) *cobra.Command {
	var o queryOptions
	c := &cobra.Command{
		Use: "show TOOL", Short: "Show a tool with its schemas", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.query(c.Context(), o, exposing(args[0]), func(ctx context.Context, q *query) error { return runToolsShow(ctx, q, args[0]) })
		},
	}
	o.flags(a, c)
	return c
}

func runToolsShow(ctx context.Context, q *query, name string) error {
	tool, err := q.find(ctx, protocol.Tools, "tool", name)
	if err != nil {
		return err
	}
	if q.json {
		q.app.raw(tool)
		return nil
	}
	q.app.prose(name)
	for _, member := range []string{"title", "description"} {
		if s, ok := jsonrpc.GetString(tool, member); ok && s != "" {
			q.app.prose(s)
		}
	}
	for _, member := range []string{"inputSchema", "outputSchema", "annotations"} {
		if value, ok := jsonrpc.Get(tool, member); ok {
			q.app.prose("\n" + member)
			q.app.pretty(value)
		}
	}
	return nil
}
