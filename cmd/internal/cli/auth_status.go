package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/auth"
)

func newAuthStatus(a *app) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:   "status [NAME ...]",
		Short: "Show who is signed in where, until when, and what to do next",
		Long: `Show who is signed in where, until when, and what to do next. Nobody is asked: no server, no authorization server and
no browser; it is what plait has kept.

The exit code is 3 when a person has to sign in.`,
		RunE: func(c *cobra.Command, args []string) error { return runAuthStatus(c.Context(), a, args, asJSON) },
	}
	a.configFlag(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON: a list with an element for each identity")
	return c
}

func runAuthStatus(ctx context.Context, a *app, names []string, asJSON bool) error {
	return a.withAccounts(ctx, names, func(servers chosen, x *accounts) error {
		all := x.Status(ctx, servers)
		out := a.redact.writer(a.env.Out)
		var err error
		if asJSON {
			if all == nil {
				all = []auth.IdentityStatus{}
			}
			err = encode(out, all)
		} else {
			describeAccounts(out, all, time.Now())
		}
		if err != nil {
			return err
		}
		for i := range all {
			if waits(all[i].State) {
				return &exitError{code: exitSignIn}
			}
		}
		return nil
	})
}

// waits reports whether a person has to sign in.
func waits(s auth.State) bool {
	return s == auth.StateNeedsLogin || s == auth.StateNeedsStepUp || s == auth.StateDeclined
}

// describeAccounts prints a line for each identity.
func describeAccounts(out io.Writer, all []auth.IdentityStatus, now time.Time) {
	if len(all) == 0 {
		fmt.Fprintln(out, "no server has a URL: there is nothing to sign in to")
		return
	}
	rows := [][]string{{"IDENTITY", "STATE", "GRANT", "AT", "ACCOUNT", "SERVERS", "EXPIRES", "NEXT"}}
	for _, s := range all {
		expires := none
		switch {
		case !s.Expires.IsZero() && s.Refreshable:
			expires = brief(max(0, s.Expires.Sub(now))) + ", renewed"
		case !s.Expires.IsZero():
			expires = brief(max(0, s.Expires.Sub(now)))
		}
		next := s.Next
		if s.ID != "" {
			next = strings.TrimSpace(next + " [" + s.ID + "]")
		}
		rows = append(rows, []string{
			s.Identity, strings.ReplaceAll(string(s.State), "_", " "), string(s.Grant), orNone(host(s.Issuer)), orNone(s.Account),
			strings.Join(s.Servers, ", "), expires, next,
		})
	}
	table(out, rows)
	for _, s := range all {
		if s.Err != "" {
			fmt.Fprintf(out, "%s: %s\n", s.Identity, oneLine(s.Err))
		}
	}
	fmt.Fprintln(out, "kept in: "+all[0].Store)
}
