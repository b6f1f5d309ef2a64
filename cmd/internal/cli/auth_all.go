package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/auth/flow"
	"github.com/plait-mcp/plait/config"
)

// byIdentity returns the servers of each identity, in their order.
func (c chosen) byIdentity() []chosen {
	var groups []chosen
	for _, s := range c {
		last := len(groups) - 1
		if last >= 0 && groups[last][0].Identity.Name == s.Identity.Name {
			groups[last] = append(groups[last], s)
			continue
		}
		groups = append(groups, chosen{s})
	}
	return groups
}

// everything signs in to all servers that need it: on one page where a browser can be opened, else one after the other.
func (l *login) everything(ctx context.Context, servers chosen) error {
	var well chosen
	var failed joined
	for _, s := range servers {
		if err := (chosen{s}).sound(); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", s.Name, err))
			continue
		}
		well = append(well, s)
	}
	if !l.opens() {
		if err := l.each(ctx, well); err != nil {
			failed = append(failed, err)
		}
		return worst(failed)
	}
	err := l.onPage(ctx, well)
	if err != nil {
		failed = append(failed, err)
	}
	return worst(failed)
}

// onPage signs in to servers on one page of the browser.
func (l *login) onPage(ctx context.Context, servers chosen) error {
	groups := servers.byIdentity()
	entries := make([]flow.Entry, len(groups))
	for i, g := range groups {
		entries[i] = entryOf(g)
	}
	page, err := l.accounts.NewPage(ctx, entries)
	if err != nil {
		return err
	}
	defer func() { _ = page.Close(context.WithoutCancel(ctx)) }() // it ends with the process anyhow
	l.app.say("your browser shows what there is to sign in to: %s", page.Link())
	if err := l.app.openBrowser(ctx, page.Link()); err != nil {
		l.app.say("no browser could be opened (%v); open the page yourself", err)
	}
	limited, cancel := context.WithTimeout(ctx, l.options.timeout)
	defer cancel()
	results := make([]error, len(groups))
	var all errgroup.Group
	const atOnce = 8
	all.SetLimit(atOnce)
	for i, g := range groups {
		all.Go(func() error {
			results[i] = l.line(limited, page, g)
			return nil
		})
	}
	_ = all.Wait() // the functions return none
	var failed joined
	for i, err := range results {
		if err != nil && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = l.late(groups[i][0])
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	return worst(failed)
}

// line signs in to the servers of one identity, and tells the page and the terminal how far that is.
func (l *login) line(ctx context.Context, page *flow.Page, servers chosen) error {
	e := entryOf(servers)
	set := func(state flow.EntryState) {
		e.State = state
		_ = page.Set(context.WithoutCancel(ctx), e) // how it ends does not depend on who looks at the page
	}
	begun, state := time.Now(), flow.Unneeded
	for _, s := range servers {
		if l.isDone(ctx, s, begun) {
			state = flow.SignedIn
			continue
		}
		err := l.step(ctx, s, &e, set)
		switch {
		case errors.Is(err, auth.ErrNotNeeded):
		case err != nil:
			e.Detail = harmless(err.Error())
			set(flow.Failed)
			return err
		default:
			state = flow.SignedIn
			l.report(ctx, s)
		}
	}
	e.Flow, e.Detail = "", ""
	set(state)
	return nil
}

// isDone reports whether nothing is left to do for a server: somebody is signed in, or has done so since begun when
// that is forced.
func (l *login) isDone(ctx context.Context, s *config.Server, begun time.Time) bool {
	for _, now := range l.accounts.Status(ctx, []*config.Server{s}) {
		if now.State == auth.StateReady && now.Interactive() && (!l.options.force || now.SignedIn.After(begun)) {
			return true
		}
	}
	return false
}

// step signs in to a server: by itself when that needs nobody, with a code, or with the browser that shows the page.
func (l *login) step(ctx context.Context, s *config.Server, e *flow.Entry, set func(flow.EntryState)) error {
	if grant := s.Identity.Grant; !grant.NeedsPerson() || grant == config.GrantDeviceCode {
		set(flow.Running)
		o := auth.SignInOptions{Scopes: l.options.scopes, Force: l.options.force, Show: func(p auth.Prompt) {
			e.Detail = fmt.Sprintf("enter the code %s at %s", p.UserCode, p.URL)
			set(flow.Running)
		}}
		return l.accounts.SignIn(ctx, s, o)
	}
	f, err := l.accounts.Begin(ctx, s, auth.BeginOptions{Scopes: l.options.scopes, Force: l.options.force})
	if err != nil {
		return err
	}
	e.Flow, e.AuthServer = f.ID, host(f.URL())
	e.Issuer = e.AuthServer
	set(flow.Waiting)
	return f.Wait(ctx)
}

// entryOf is the line of an identity on the page.
func entryOf(servers chosen) flow.Entry {
	e := flow.Entry{Identity: servers[0].Identity.Name, State: flow.Preparing}
	for _, s := range servers {
		e.Servers = append(e.Servers, s.Name)
	}
	return e
}
