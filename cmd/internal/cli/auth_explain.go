package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newAuthExplain(a *app) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:   "explain SERVER",
		Short: "Show step by step what plait finds out about signing in to a server",
		Long: `Show step by step what plait finds out about signing in to a server: what it looked at, what it found there, and which key of
the configuration overrides it. The server and its authorization server are asked anew; nobody signs in.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return runAuthExplain(c.Context(), a, args[0], asJSON) },
	}
	a.configFlag(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON: a list with an element for each step")
	return c
}

// found is a step of discovery, as plait auth explain --json prints it.
type found struct {
	Step   string `json:"step"`
	URL    string `json:"url,omitempty"`
	Result string `json:"result"`
	Detail string `json:"detail,omitempty"`
	Key    string `json:"key,omitempty"` // which overrides it
}

func runAuthExplain(ctx context.Context, a *app, name string, asJSON bool) error {
	return a.withAccounts(ctx, []string{name}, func(servers chosen, x *accounts) error {
		if err := servers.sound(); err != nil {
			return err
		}
		steps, failed := x.Explain(ctx, servers[0])
		all := make([]found, len(steps))
		for i, s := range steps {
			all[i] = found{s.Name, s.URL, s.Result, s.Detail, s.Key}
		}
		out := a.redact.writer(a.env.Out)
		var err error
		if asJSON {
			err = encode(out, all)
		} else {
			_, err = fmt.Fprint(out, harmless(describeTrail(all)))
		}
		return cmp.Or(failed, err)
	})
}

// describeTrail returns the steps for a person.
func describeTrail(all []found) string {
	wide := 0
	for _, s := range all {
		wide = max(wide, len(s.Step))
	}
	var b strings.Builder
	for _, s := range all {
		first, rest := s.URL, s.Detail
		if first == "" {
			first, rest, _ = strings.Cut(s.Detail, "\n")
		}
		fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("%-*s  %-11s  %s", wide, s.Step, s.Result, first), " "))
		if s.Key != "" {
			rest = strings.TrimPrefix(rest+"\n(key: "+s.Key+")", "\n")
		}
		if rest != "" {
			for line := range strings.Lines(rest) {
				fmt.Fprintf(&b, "%*s%s\n", wide+15, "", strings.TrimSuffix(line, "\n"))
			}
		}
	}
	return b.String()
}
