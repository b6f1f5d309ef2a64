package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/auth"
)

type signOutOptions struct {
	all, revoke bool
}

func newAuthLogout(a *app) *cobra.Command {
	var o signOutOptions
	c := &cobra.Command{
		Use:   "logout NAME ... | --all",
		Short: "Forget the tokens of identities",
		Long: `Forget the tokens of identities. With --revoke the authorization server is told as well that they are void. The client
stays registered there; plait auth reset forgets that, too.`,
		RunE: func(c *cobra.Command, args []string) error {
			return runSignOut(c.Context(), a, args, o.all, auth.SignOutOptions{Revoke: o.revoke})
		},
	}
	a.configFlag(c)
	c.Flags().BoolVar(&o.all, "all", false, "all identities")
	c.Flags().BoolVar(&o.revoke, "revoke", false, "tell the authorization server that they are void (RFC 7009)")
	return c
}

func newAuthReset(a *app) *cobra.Command {
	var o signOutOptions
	c := &cobra.Command{
		Use:   "reset NAME ... | --all",
		Short: "Forget everything about identities: tokens, registration, discovery",
		Long: `Forget everything that plait has kept about identities: their tokens, how plait is registered as a client, and what it
found out about the authorization server. The next sign-in begins at the beginning.`,
		RunE: func(c *cobra.Command, args []string) error {
			return runSignOut(c.Context(), a, args, o.all, auth.SignOutOptions{Revoke: o.revoke, ForgetClient: true})
		},
	}
	a.configFlag(c)
	c.Flags().BoolVar(&o.all, "all", false, "all identities")
	c.Flags().BoolVar(&o.revoke, "revoke", false, "tell the authorization server that the tokens are void (RFC 7009)")
	return c
}

func runSignOut(ctx context.Context, a *app, names []string, all bool, o auth.SignOutOptions) error {
	if err := someOf(names, all); err != nil {
		return err
	}
	return a.withAccounts(ctx, names, func(servers chosen, x *accounts) error {
		for _, group := range servers.byIdentity() {
			if err := x.SignOut(ctx, group, o); err != nil {
				return err
			}
			a.say("%s: signed out", group[0].Identity.Name)
		}
		return nil
	})
}

// someOf checks that a command was given names, or --all.
func someOf(names []string, all bool) error {
	switch {
	case all && len(names) > 0:
		return usagef("give names, or --all, and not both")
	case !all && len(names) == 0:
		return usagef("give the names of servers or identities, or --all; plait auth status lists them")
	}
	return nil
}
