package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

func newComplete(a *app) *cobra.Command {
	var o queryOptions
	c := &cobra.Command{
		Use:   "complete PROMPT|TEMPLATE ARGUMENT [VALUE] [KEY=VALUE ...]",
		Short: "Complete an argument of a prompt or a resource template",
		Long: `Complete an argument of a prompt or a resource template: print the values that begin with VALUE, as its
server suggests them. KEY=VALUE pairs are the arguments that are known already.`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			value, known := "", arguments{}
			if len(args) > 2 {
				var err error
				value = args[2]
				if known, err = readArguments(a.env.In, args[3:]); err != nil {
					return err
				}
			}
			return a.query(c.Context(), o, nil, func(ctx context.Context, q *query) error {
				return runComplete(ctx, q, completion{args[0], args[1], value, known})
			})
		},
	}
	o.flags(a, c)
	return c
}

// completion is what to complete: an argument of a prompt or of a template.
type completion struct {
	reference, argument, value string
	known                      arguments
}

func runComplete(ctx context.Context, q *query, c completion) error {
	list, noun, kind, member := protocol.Prompts, "prompt", "ref/prompt", "name"
	if strings.Contains(c.reference, "{") || strings.Contains(c.reference, ":") {
		list, noun, kind, member = protocol.Templates, "resource template", "ref/resource", "uri"
	}
	if _, err := q.find(ctx, list, noun, c.reference); err != nil {
		return err
	}
	params := jsonrpc.Raw(fmt.Sprintf(`{"ref":{"type":%q,%q:%s},"argument":{"name":%s,"value":%s}}`, kind, member,
		jsonrpc.Quote(c.reference), jsonrpc.Quote(c.argument), jsonrpc.Quote(c.value)))
	if len(c.known.pairs) > 0 || c.known.object != nil {
		params = jsonrpc.Set(params, c.known.strings(), "context", "arguments")
	}
	result, err := q.call(ctx, protocol.Complete, params)
	if err != nil {
		return q.explain(err)
	}
	if q.json {
		q.app.raw(result)
		return nil
	}
	values, _ := jsonrpc.Get(result, "completion", "values")
	for v := range jsonrpc.Elements(values) {
		s, _ := jsonrpc.ReadString(v)
		q.app.prose(s)
	}
	return nil
}
