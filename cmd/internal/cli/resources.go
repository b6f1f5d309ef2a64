package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

func newResources(a *app) *cobra.Command {
	return group("resources", "List and read the resources of all servers",
		newResourcesList(a), newResourcesTemplates(a), newResourcesRead(a))
}

func newResourcesList(a *app) *cobra.Command {
	var o queryOptions
	c := &cobra.Command{
		Use: "list", Short: "List the resources of all servers", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.query(c.Context(), o, nil, func(ctx context.Context, q *query) error {
				return q.showList(ctx, protocol.Resources, resourceColumns("URI", "uri"))
			})
		},
	}
	o.flags(a, c)
	return c
}

func newResourcesTemplates(a *app) *cobra.Command {
	var o queryOptions
	c := &cobra.Command{
		Use: "templates", Short: "List the resource templates of all servers", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.query(c.Context(), o, nil, func(ctx context.Context, q *query) error {
				return q.showList(ctx, protocol.Templates, resourceColumns("TEMPLATE", "uriTemplate"))
			})
		},
	}
	o.flags(a, c)
	return c
}

func resourceColumns(title, member string) []column {
	return []column{
		text(title, []string{member}), text("NAME", []string{"title"}, []string{"name"}), text("TYPE", []string{"mimeType"}),
	}
}

func newResourcesRead(a *app) *cobra.Command {
	var o queryOptions
	c := &cobra.Command{
		Use: "read URI", Short: "Read a resource", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.query(c.Context(), o, nil, func(ctx context.Context, q *query) error { return runResourcesRead(ctx, q, args[0]) })
		},
	}
	o.flags(a, c)
	return c
}

func runResourcesRead(ctx context.Context, q *query, uri string) error {
	// The lists tell which server has the resource.
	if _, _, err := q.list(ctx, protocol.Resources); err != nil {
		return err
	}
	if _, _, err := q.list(ctx, protocol.Templates); err != nil {
		return err
	}
	result, err := q.call(ctx, protocol.ResourcesRead, jsonrpc.Set(jsonrpc.Raw("{}"), jsonrpc.Quote(uri), "uri"))
	if err != nil {
		err = q.explain(err)
		if missing := q.missing(); missing != nil && exitCode(err) == exitUsage {
			return &exitError{exitCode(missing), joined{err, missing}} // it may be on one that is not there
		}
		return err
	}
	if q.json {
		q.app.raw(result)
		return nil
	}
	contents, _ := jsonrpc.Get(result, "contents")
	for resource := range jsonrpc.Elements(contents) {
		q.app.contents(resource)
	}
	return nil
}
