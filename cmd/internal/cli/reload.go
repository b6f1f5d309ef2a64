package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/cmd/internal/control"
)

type reloadOptions struct {
	meant meant
	json  bool
}

func newReload(a *app) *cobra.Command {
	var o reloadOptions
	c := &cobra.Command{
		Use:   "reload",
		Short: "Have a running process read its configuration again",
		Long: `Have a running process read its configuration again, and say what changed. Servers that were not reached are
tried at once. When the file has a mistake everything stays as it was, and the exit code is 2.

Saving the file does the same, and so does the signal SIGHUP.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runReload(c.Context(), a, o) },
	}
	o.meant.flags(c)
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return c
}

func runReload(ctx context.Context, a *app, o reloadOptions) error {
	p, err := a.one(ctx, o.meant)
	if err != nil {
		return err
	}
	defer p.Close()
	outcome, err := p.Reload(ctx)
	if err != nil {
		return err
	}
	out := a.redact.writer(a.env.Out)
	if o.json {
		if err := encode(out, outcome); err != nil {
			return err
		}
	} else {
		describeOutcome(out, outcome)
	}
	if !outcome.OK {
		return &exitError{code: exitUsage}
	}
	return nil
}

// encode prints value as one line of JSON.
func encode(out io.Writer, value any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	return e.Encode(value)
}

// describeOutcome prints what a reload did.
func describeOutcome(out io.Writer, o control.Outcome) {
	if !o.OK {
		for _, p := range o.Problems {
			fmt.Fprintln(out, harmless(p.String()))
		}
		fmt.Fprintf(out, "%s; everything stays as it was\n", count(len(o.Problems), "problem"))
		return
	}
	quiet := true
	for _, c := range o.Changes {
		if c.Action != "keep" {
			quiet = false
			fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("%-8s %s %s", c.Action, c.Server, inBrackets(c.Keys)), " "))
		}
	}
	if len(o.Global) > 0 {
		quiet = false
		fmt.Fprintln(out, "changed  "+strings.Join(o.Global, ", "))
	}
	if quiet {
		fmt.Fprintln(out, "nothing changed")
	}
	for _, n := range o.Notices {
		fmt.Fprintln(out, "but "+n)
	}
}

func inBrackets(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return "(" + strings.Join(words, ", ") + ")"
}
