package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/auth/flow"
)

func newAuthPaste(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "paste NAME ADDRESS",
		Short: "Finish a sign-in with the address that the browser landed on",
		Long: `Finish a sign-in with the address that the browser landed on, when it could not come back to plait by itself. ADDRESS is the
whole address, or what stands behind its question mark; - reads it from standard input. Whichever process of plait waits for
the sign-in goes on.`,
		Example: "  plait auth paste github 'http://127.0.0.1:33419/callback?code=…&state=…'",
		Args:    cobra.ExactArgs(2),
		RunE:    func(c *cobra.Command, args []string) error { return runAuthPaste(c.Context(), a, args[0], args[1]) },
	}
	a.configFlag(c)
	return c
}

// maxAddress is how long an address on standard input may be.
const maxAddress = 64 << 10

func runAuthPaste(ctx context.Context, a *app, name, address string) error {
	if address == "-" {
		line, err := bufio.NewReader(io.LimitReader(a.env.In, maxAddress)).ReadString('\n')
		if err != nil && line == "" {
			return usagef("read the address from standard input: %w", err)
		}
		address = strings.TrimSpace(line)
	}
	return a.withAccounts(ctx, []string{name}, func(servers chosen, x *accounts) error {
		switch err := x.Paste(ctx, address); {
		case err == nil:
		case !strings.Contains(address, "state="):
			return usagef("%w", err)
		case errors.Is(err, flow.ErrStale):
			return &exitError{exitSignIn, fmt.Errorf("%w; run plait auth login %s for another one", err, name)}
		default:
			return err
		}
		a.say("%s: signed in", servers.names())
		return nil
	})
}

func newAuthRefresh(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "refresh NAME ...",
		Short: "Renew the tokens of identities now",
		Long: `Renew the tokens of identities now, though they may be good still. plait renews them by itself; this is to see whether that works.
Nobody is asked: the exit code is 3 when a person has to sign in.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return runAuthRefresh(c.Context(), a, args) },
	}
	a.configFlag(c)
	return c
}

func runAuthRefresh(ctx context.Context, a *app, names []string) error {
	return a.withAccounts(ctx, names, func(servers chosen, x *accounts) error {
		if err := servers.sound(); err != nil {
			return err
		}
		var failed joined
		for _, s := range servers {
			if err := x.Refresh(ctx, s); err != nil {
				failed = append(failed, err)
				continue
			}
			a.say("%s: renewed", s.Name)
		}
		return worst(failed)
	})
}

func newAuthToken(a *app) *cobra.Command {
	yes := false
	c := &cobra.Command{
		Use:   "token NAME",
		Short: "Print an access token, for another program",
		Long: `Print an access token for a server on standard output, for another program; it is renewed before if need be. Whoever has it is you until it
expires. On a terminal, where others may read it later, --yes has to be given.`,
		Example: `  curl -H "Authorization: Bearer $(plait auth token github)" https://api.example.com/`,
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return runAuthToken(c.Context(), a, args[0], yes) },
	}
	a.configFlag(c)
	c.Flags().BoolVar(&yes, "yes", false, "print it on a terminal, too")
	return c
}

func runAuthToken(ctx context.Context, a *app, name string, yes bool) error {
	if isTerminal(a.env.Out) && !yes {
		return usagef("a token on a terminal stays readable after you have gone; give --yes if you want that, or pipe it to where it is needed")
	}
	return a.withAccounts(ctx, []string{name}, func(servers chosen, x *accounts) error {
		if err := servers[:1].sound(); err != nil {
			return err
		}
		if len(servers) > 1 {
			return usagef("the identity %q is used by several servers, each with a token of its own: %s; name one of them", name, servers.names())
		}
		token, err := x.Token(ctx, servers[0])
		if err != nil {
			return err
		}
		if token == "" {
			return usagef("%s gets no token: its identity has the grant %s", servers[0].Name, servers[0].Identity.Grant)
		}
		_, err = fmt.Fprintln(a.env.Out, token.Reveal())
		return err
	})
}
