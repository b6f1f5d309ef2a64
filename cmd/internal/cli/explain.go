package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/cmd/internal/control"
	"github.com/plait-mcp/plait/config"
)

type explainOptions struct {
	pid  int
	json bool
}

func newExplain(a *app) *cobra.Command {
	var o explainOptions
	c := &cobra.Command{
		Use:   "explain NAME|URI",
		Short: "Say where a tool, prompt or resource comes from, and why it is shown or not",
		Long: `Say where a tool, prompt or resource comes from, why it is shown or not, by which rule in which line, and what was
changed in it. NAME is the name that clients see, or the server's own.

A running process that serves the configuration is asked. When there is none, the servers are.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return runExplain(c.Context(), a, o, args[0]) },
	}
	a.configFlag(c)
	a.logFlags(c)
	c.Flags().IntVar(&o.pid, "pid", 0, "ask the process with this `id`")
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return c
}

func runExplain(ctx context.Context, a *app, o explainOptions, name string) error {
	answer, asked, err := a.askRunning(ctx, o.pid, name)
	switch {
	case err != nil:
		return err
	case asked:
		return a.explained(o, name, answer)
	}
	return a.query(ctx, queryOptions{}, nil, func(ctx context.Context, q *query) error {
		answer := q.gateway.answer(ctx, name)
		if len(answer.Found) == 0 {
			if missing := q.missing(); missing != nil {
				return &exitError{exitCode(missing), joined{fmt.Errorf("nothing is named %q now", name), missing}}
			}
		}
		return a.explained(o, name, answer)
	})
}

// askRunning asks a process that serves the configuration, if one runs that has a client: without one nobody
// knows what its servers have.
func (a *app) askRunning(ctx context.Context, pid int, name string) (answer control.Answer, asked bool, err error) {
	m := meant{pid: pid, config: a.configFile}
	if pid == 0 && m.config == "" {
		if m.config, err = config.Find(a.env.LookupEnv); err != nil {
			return answer, false, usagef("%w", err)
		}
	}
	found, err := a.running(ctx, m)
	defer func() {
		for _, p := range found {
			p.Close()
		}
	}()
	i := slices.IndexFunc(found, func(p running) bool {
		return (a.profile == "" || a.profile == p.status.Profile) && slices.ContainsFunc(p.status.Clients, func(c control.Client) bool { return c.Name != "" })
	})
	switch {
	case i >= 0:
		answer, err = found[i].Explain(ctx, name)
		return answer, true, err
	case pid == 0:
		return answer, false, nil
	case err != nil:
		return answer, false, &exitError{exitUnreachable, err}
	case len(found) > 0:
		return answer, false, &exitError{exitUnreachable, fmt.Errorf("process %d has no client, and does not know what its servers have", pid)}
	}
	return answer, false, nothingRuns(m)
}

// explained prints what is known under a name.
func (a *app) explained(o explainOptions, name string, answer control.Answer) error {
	out := a.redact.writer(a.env.Out)
	if o.json {
		if err := encode(out, answer.Found); err != nil {
			return err
		}
	} else {
		for _, e := range answer.Found {
			describeItem(out, e)
		}
	}
	if len(answer.Found) == 0 {
		return usagef("nothing is named %q%s", name, didYouMean(name, answer.Names))
	}
	return nil
}

// describeItem prints one explanation.
func describeItem(out io.Writer, e control.Explanation) {
	name := e.Exposed
	if name == "" {
		name = e.Original
	}
	fmt.Fprintln(out, harmless(e.Kind+" "+name))
	line := func(title, text string) {
		fmt.Fprintf(out, "  %-9s %s\n", title, harmless(strings.ReplaceAll(text, "\n", " ")))
	}
	line("server", e.Server)
	if e.Original != name {
		line("original", e.Original)
	}
	title, why := "hidden", e.Reason
	if e.Shown {
		title = "shown"
	}
	if e.At != "" {
		why += " (" + e.At + ")"
	}
	line(title, why)
	for _, c := range e.Changes {
		line("changed", c)
	}
}
