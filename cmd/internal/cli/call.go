package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

func newToolsCall(a *app) *cobra.Command {
	var o queryOptions
	c := &cobra.Command{
		Use:   "call TOOL [KEY=VALUE ... | '{...}' | -]",
		Short: "Call a tool",
		Long: `Call a tool. Its arguments are KEY=VALUE pairs, one JSON object, or - for a JSON object on standard input.
A VALUE is a string, or JSON when the tool's schema asks for something else.

The exit code is 6 when the tool says that it failed.`,
		Example: "  plait tools call github_search_issues query=crash limit=5\n  plait tools call github_search_issues --json '{\"query\":\"crash\"}'",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			given, err := readArguments(a.env.In, args[1:])
			if err != nil {
				return err
			}
			return a.query(c.Context(), o, exposing(args[0]), func(ctx context.Context, q *query) error {
				return runToolsCall(ctx, q, args[0], given)
			})
		},
	}
	o.flags(a, c)
	return c
}

func runToolsCall(ctx context.Context, q *query, name string, given arguments) error {
	tool, err := q.find(ctx, protocol.Tools, "tool", name)
	if err != nil {
		return err
	}
	schema, _ := jsonrpc.Get(tool, "inputSchema")
	params := fmt.Appendf(nil, `{"name":%s,"arguments":%s`, jsonrpc.Quote(name), given.encode(schema))
	if q.onProgress != nil {
		params = append(params, `,"_meta":{"progressToken":1}`...)
	}
	result, err := q.call(ctx, protocol.ToolsCall, append(params, '}'))
	if err != nil {
		return q.explain(err)
	}
	q.app.result(result, q.json)
	if failed, _ := jsonrpc.Get(result, "isError"); string(failed) == "true" {
		if why, _ := jsonrpc.GetString(result, "structuredContent", "error"); why == "auth_required" || why == "insufficient_scope" {
			return &exitError{code: exitSignIn} // the result says what to do
		}
		return &exitError{exitToolError, errors.New("the tool " + name + " says that it failed")}
	}
	return nil
}

// result prints what a tool returned.
func (a *app) result(result jsonrpc.Raw, asJSON bool) {
	if asJSON {
		a.raw(result)
		return
	}
	content, _ := jsonrpc.Get(result, "content")
	printed := false
	for block := range jsonrpc.Elements(content) {
		a.content(block)
		printed = true
	}
	if structured, ok := jsonrpc.Get(result, "structuredContent"); ok && !printed {
		a.pretty(structured)
	}
}
