package cli

import (
	"context"
	"fmt"

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
	if !l.opens() && !l.options.printURL {
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
	if err := l.showPage(ctx, page.Link()); err != nil {
		return err
	}
	results := make([]error, len(groups))
	var all errgroup.Group
	const atOnce = 8
	all.SetLimit(atOnce)
	for i, g := range groups {
		all.Go(func() error {
			results[i] = l.line(ctx, page, g)
			return nil
		})
	}
	_ = all.Wait() // the functions return none
	var failed joined
	for _, err := range results {
		if err != nil {
			failed = append(failed, err)
		}
	}
	return worst(failed)
}

// showPage leads the person to the page.
func (l *login) showPage(ctx context.Context, link string) error {
	if l.options.printURL {
		_, err := fmt.Fprintln(l.app.env.Out, link)
		return err
	}
	l.app.say("your browser shows what there is to sign in to: %s", link)
	if err := l.app.openBrowser(ctx, link); err != nil {
		l.app.say("no browser could be opened (%v); open the page yourself", err)
	}
	return nil
}

// line signs in to the servers of one identity, and tells the page and the terminal how far that is.
func (l *login) line(ctx context.Context, page *flow.Page, servers chosen) error {
	e := entryOf(servers)
	set := func(state flow.EntryState) {
		e.State = state
		_ = page.Set(context.WithoutCancel(ctx), e) // how it ends does not depend on who looks at the page
	}
	state := flow.Unneeded
	for _, s := range servers {
		o := l.way()
		o.Open, o.In = nil, nil // the page leads there
		o.Show = func(p auth.Prompt) {
			if e.Issuer, e.AuthServer = p.AuthServer, p.AuthServer; p.UserCode != "" {
				e.Detail = fmt.Sprintf("enter the code %s at %s", p.UserCode, p.URL)
				set(flow.Running)
				return
			}
			e.Flow = p.Flow
			set(flow.Waiting)
		}
		if !s.Identity.Grant.NeedsPerson() {
			set(flow.Running)
		}
		if err := l.signIn(ctx, s, o); err != nil {
			e.Detail = harmless(err.Error())
			set(flow.Failed)
			return err
		}
		if !l.isAnonymous(ctx, s) {
			state = flow.SignedIn
		}
	}
	e.Flow, e.Detail = "", ""
	set(state)
	return nil
}

// isAnonymous reports whether a server lets everybody in, as far as is known.
func (l *login) isAnonymous(ctx context.Context, s *config.Server) bool {
	for _, now := range l.accounts.Status(ctx, []*config.Server{s}) {
		if now.State != auth.StateAnonymous {
			return false
		}
	}
	return true
}

// entryOf is the line of an identity on the page.
func entryOf(servers chosen) flow.Entry {
	e := flow.Entry{Identity: servers[0].Identity.Name, State: flow.Preparing}
	for _, s := range servers {
		e.Servers = append(e.Servers, s.Name)
	}
	return e
}
