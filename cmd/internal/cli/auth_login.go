package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/auth/flow"
	"github.com/plait-mcp/plait/config"
)

type loginOptions struct {
	all       bool
	device    bool
	noBrowser bool
	paste     bool
	printURL  bool
	force     bool
	timeout   time.Duration
	scopes    []string
	person    presence
}

func newAuthLogin(a *app) *cobra.Command {
	var o loginOptions
	c := &cobra.Command{
		Use:   "login NAME ... | --all",
		Short: "Sign in to servers",
		Long: `Sign in to servers, each named by itself or by its identity. Who is signed in already stays so, unless --force is given.
--all signs in to everything that needs it: one page in the browser leads from one to the next.

Where a browser can be shown it is opened. Elsewhere plait prints the link, and takes the answer on whichever way it comes first:
through a forwarded port, or as the address that the browser landed on, pasted into the terminal. See plait help remote.

What needs no person (client_credentials, jwt_bearer and such) just gets its token. The exit code is 3 when a person has to sign in
and did not.`,
		Example: "  plait auth login github\n  plait auth login --all\n  plait auth login github --device",
		RunE:    func(c *cobra.Command, args []string) error { return runAuthLogin(c.Context(), a, args, o) },
	}
	a.configFlag(c)
	a.logFlags(c)
	f := c.Flags()
	f.BoolVar(&o.all, "all", false, "everything that needs a sign-in, on one page")
	f.BoolVar(&o.device, "device", false, "with a code that is typed in on any device (RFC 8628)")
	f.BoolVar(&o.noBrowser, "no-browser", false, "open no browser: print the link")
	f.BoolVar(&o.paste, "paste", false, "open no browser: read the address that the browser lands on from standard input")
	f.BoolVar(&o.printURL, "print-url", false, "open no browser: print nothing but the link, on standard output")
	f.BoolVar(&o.force, "force", false, "sign in again, whoever is signed in")
	f.DurationVar(&o.timeout, "timeout", 0, "wait so long for a person (default: auth.timeout, 5m)")
	f.StringSliceVar(&o.scopes, "scope", nil, "ask for these `scopes` as well: a,b")
	o.person.flags(c)
	return c
}

func runAuthLogin(ctx context.Context, a *app, names []string, o loginOptions) error {
	if err := someOf(names, o.all); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	return a.withAccounts(ctx, names, func(servers chosen, x *accounts) error {
		if err := servers.sound(); err != nil && !o.all {
			return err
		}
		if o.timeout == 0 {
			o.timeout = x.now.Load().Auth.Timeout
		}
		l := &login{app: a, accounts: x, options: o, asks: o.asksFor() || o.person.somebody(a, false)}
		if o.all {
			return l.everything(ctx, servers)
		}
		return l.each(ctx, servers)
	})
}

// check refuses flags that do not go together.
func (o *loginOptions) check() error {
	var ways []string
	for _, way := range []struct {
		flag  string
		given bool
	}{{"--all", o.all && (o.device || o.paste)}, {"--device", o.device}, {"--paste", o.paste}, {"--print-url", o.printURL}} {
		if way.given {
			ways = append(ways, way.flag)
		}
	}
	switch {
	case len(ways) > 1:
		return usagef("give one of %s", strings.Join(ways, ", "))
	case o.timeout < 0:
		return usagef("--timeout is less than 0; write a time such as 5m")
	}
	return nil
}

// asksFor reports whether the flags name a way that takes a person: then one is there.
func (o *loginOptions) asksFor() bool { return o.device || o.noBrowser || o.paste || o.printURL }

// login is one run of plait auth login.
type login struct {
	app      *app
	accounts *accounts
	options  loginOptions
	asks     bool // a person is there
}

// each signs in to servers, one after the other.
func (l *login) each(ctx context.Context, servers chosen) error {
	var failed joined
	for _, s := range servers {
		if err := l.one(ctx, s); err != nil {
			if ctx.Err() != nil {
				return err
			}
			failed = append(failed, err)
		}
	}
	return worst(failed)
}

// worst returns the errors as one whose exit code is that of a needed sign-in, if there is one.
func worst(failed joined) error {
	switch len(failed) {
	case 0:
		return nil
	case 1:
		return failed[0]
	}
	exit := exitCode(failed[0])
	for _, err := range failed {
		if exitCode(err) == exitSignIn {
			exit = exitSignIn
		}
	}
	return &exitError{exit, failed}
}

// one signs in to a server.
func (l *login) one(ctx context.Context, s *config.Server) error {
	return l.signIn(ctx, s, l.way())
}

// signIn signs in to a server, and says how that went.
func (l *login) signIn(ctx context.Context, s *config.Server, o auth.SignInOptions) error {
	begun, ends := time.Now(), time.Time{}
	if show := o.Show; show != nil {
		o.Show = func(p auth.Prompt) {
			ends = p.Expires
			show(p)
		}
	}
	limited, cancel := context.WithTimeout(ctx, l.options.timeout)
	defer cancel()
	err := l.accounts.SignIn(limited, s, o)
	switch {
	case err == nil:
		l.report(ctx, s, begun)
		return nil
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return l.late(s, ends)
	}
	return err
}

// late says that nobody signed in as long as plait waited (row M17 of the failures).
func (l *login) late(s *config.Server, ends time.Time) error {
	text := fmt.Sprintf("%s: not signed in after %s", s.Name, brief(l.options.timeout))
	if ends.After(time.Now()) {
		text += fmt.Sprintf("; the link stays valid until %s while plait runs", ends.Local().Format("15:04"))
	}
	return &exitError{exitSignIn, fmt.Errorf("%s; run plait auth login %s for another one [%s]", text, s.Name, auth.IDFlow)}
}

// way says how to sign in, as the flags and the place want it.
func (l *login) way() auth.SignInOptions {
	o := auth.SignInOptions{Scopes: l.options.scopes, Force: l.options.force}
	if !l.asks {
		o.Method = auth.MethodNone
		return o
	}
	o.Show = l.show
	switch {
	case l.options.device:
		o.Method = auth.MethodDevice
	case l.options.paste:
		o.Method, o.In = auth.MethodPaste, l.app.env.In
	case l.opens():
		o.Open = l.app.openBrowser
	case !l.options.printURL && l.app.typed():
		o.In = l.app.env.In
	}
	return o
}

// opens reports whether a browser is opened.
func (l *login) opens() bool {
	return l.asks && !l.options.asksFor() && flow.CanOpen(flow.Env{LookupEnv: l.app.env.LookupEnv})
}

// report says that somebody is signed in.
func (l *login) report(ctx context.Context, s *config.Server, begun time.Time) {
	text := s.Name + ": signed in"
	for _, now := range l.accounts.Status(ctx, []*config.Server{s}) {
		switch {
		case now.State == auth.StateAnonymous:
			text = s.Name + ": lets everybody in; there is nothing to sign in to"
		case !now.SignedIn.IsZero() && now.SignedIn.Before(begun):
			text = s.Name + ": signed in already"
		}
		if now.Account != "" {
			text += " as " + now.Account
		}
		if now.State == auth.StateReady && now.Issuer != "" {
			text += " at " + host(now.Issuer)
		}
		if !now.Expires.IsZero() && !now.Refreshable && now.Interactive() {
			text += fmt.Sprintf("; it is not renewed, you will be asked again in %s", brief(max(0, time.Until(now.Expires))))
		}
	}
	l.app.say("%s", text)
}
