package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

func newPrompts(a *app) *cobra.Command {
	return group("prompts", "List and get the prompts of all servers", newPromptsList(a), newPromptsGet(a))
}

func newPromptsList(a *app) *cobra.Command {
	var o queryOptions
	c := &cobra.Command{
		Use: "list", Short: "List the prompts of all servers", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.query(c.Context(), o, nil, func(ctx context.Context, q *query) error {
				return q.showList(ctx, protocol.Prompts, []column{
					text("PROMPT", []string{"name"}),
					{"ARGUMENTS", promptArguments},
					text("DESCRIPTION", []string{"description"}, []string{"title"}),
				})
			})
		},
	}
	o.flags(a, c)
	return c
}

// promptArguments returns the names of a prompt's arguments, those it can do without in brackets.
func promptArguments(prompt jsonrpc.Raw) string {
	var names []string
	list, _ := jsonrpc.Get(prompt, "arguments")
	for argument := range jsonrpc.Elements(list) {
		name, _ := jsonrpc.GetString(argument, "name")
		if required, _ := jsonrpc.Get(argument, "required"); string(required) != "true" {
			name = "[" + name + "]"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func newPromptsGet(a *app) *cobra.Command {
	var o queryOptions
	c := &cobra.Command{
		Use: "get PROMPT [KEY=VALUE ... | '{...}' | -]", Short: "Get a prompt", Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			given, err := readArguments(a.env.In, args[1:])
			if err != nil {
				return err
			}
			return a.query(c.Context(), o, exposing(args[0]), func(ctx context.Context, q *query) error {
				return runPromptsGet(ctx, q, args[0], given)
			})
		},
	}
	o.flags(a, c)
	return c
}

func runPromptsGet(ctx context.Context, q *query, name string, given arguments) error {
	if _, err := q.find(ctx, protocol.Prompts, "prompt", name); err != nil {
		return err
	}
	params := fmt.Appendf(nil, `{"name":%s,"arguments":%s}`, jsonrpc.Quote(name), given.strings())
	result, err := q.call(ctx, protocol.PromptsGet, params)
	if err != nil {
		return q.explain(err)
	}
	if q.json {
		q.app.raw(result)
		return nil
	}
	messages, _ := jsonrpc.Get(result, "messages")
	for m := range jsonrpc.Elements(messages) {
		role, _ := jsonrpc.GetString(m, "role")
		q.app.prose(role + ":")
		content, _ := jsonrpc.Get(m, "content")
		q.app.content(content)
	}
	return nil
}
