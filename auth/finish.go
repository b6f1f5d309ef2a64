package auth

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/plait-mcp/plait/auth/flow"
	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/auth/wallet"
)

// finish exchanges the code of a sign-in that any process began, and saves what it brings.
func (m *Manager) finish(ctx context.Context, p *flow.Pending, code string) error {
	e, sites, err := m.readErrand(p.Finish)
	if err != nil {
		return err
	}
	defer closeAll(sites)
	if sites[0].isEnterprise() {
		return m.finishEnterprise(ctx, e, sites, grant.Code{Code: code, Verifier: p.Verifier, RedirectURI: p.RedirectURI})
	}
	first := e.Servers[0].Bond
	t, err := sites[0].endpoint(first.Found.Server, e.Client).Exchange(ctx, grant.Code{
		Code: code, Verifier: p.Verifier, RedirectURI: p.RedirectURI, Resource: sites[0].resource(first),
	})
	if err != nil {
		return flowError(err)
	}
	return m.settle(ctx, e, sites, t)
}

// flowError makes of an error at the token endpoint one that every process that waits is told.
func flowError(err error) error {
	out := &flow.FailedError{Message: text(err)}
	if refused, ok := errors.AsType[*grant.Error](err); ok {
		out.Code = refused.Code
		if refused.ResourceRefused() {
			out.Code = codeTarget
		}
	}
	return out
}

// settle saves the grant that a sign-in brought, gets the tokens for the other servers that it covers, and leads all of
// them to it.
func (m *Manager) settle(ctx context.Context, e *errand, sites []*site, t *grant.Token) error {
	first, s := e.Servers[0].Bond, sites[0]
	var resources []string
	for i := range e.Servers {
		resources = append(resources, sites[i].resource(e.Servers[i].Bond))
	}
	rec := &wallet.Record{
		Who: s.who, Identity: s.identity.Name, Issuer: first.Found.Server.Issuer, Metadata: first.Found.Server, Client: e.Client,
		Resources: union(resources), Asked: e.Scopes, Account: accountOf(t.ID), SignedIn: time.Now().Round(0), Seed: s.given(),
	}
	if t.Scope != "" {
		rec.Granted = strings.Fields(t.Scope)
	}
	rec.Take(resources[0], t)
	if t.Refresh == "" {
		m.log.Info("the authorization server issues no refresh token, so that somebody has to sign in again when this token is over",
			"identity", s.identity.Name, "expires", t.Expires, "next", "offlineAccess: always may help")
	}
	return m.establish(ctx, e, sites, rec)
}

// establish saves a new grant and leads the servers to it.
func (m *Manager) establish(ctx context.Context, e *errand, sites []*site, rec *wallet.Record) error {
	key := grantKey(rec.Who, rec.Issuer, e.Client.ID, rec.Resources)
	held, err := m.wallet.Grant(key).Hold(ctx, sites[0].identity)
	if err != nil {
		return err
	}
	defer held.Release()
	if !held.Replace(ctx, rec) {
		return &flow.FailedError{Message: "the sign-in could not be saved: make the folder of credentials.path writable"}
	}
	for i := range e.Servers {
		m.lead(ctx, held, sites[i], e.Servers[i].Bond, key)
	}
	m.log.Info("signed in", "identity", rec.Identity, "issuer", hostOf(rec.Issuer), "account", rec.Account)
	return nil
}

// lead gets a token for a server of a new grant, unless there is one, and leads the server to it. A server that the
// grant does not serve is left for a sign-in of its own.
func (m *Manager) lead(ctx context.Context, held *wallet.Held, s *site, b *bond, key string) {
	old, _ := s.bond(ctx)
	b.Grant, b.Client, b.State = key, held.Record().Client.ID, ""
	if s.isEnterprise() {
		b.Client = "" // the grant is of another client, the one at the identity provider
	}
	at := newPlace(s, b)
	if m.wallet.Grant(key).Peek(at.resource) == nil {
		if _, err := held.Renew(ctx, at); err != nil {
			_, alone := errors.AsType[*wallet.AloneError](err)
			_, none := errors.AsType[*wallet.ExpiredError](err)
			if (alone || none) && !s.isEnterprise() {
				m.log.Info("one sign-in is not enough for all servers of the identity", "identity", s.identity.Name, "server", s.server.Name)
				b.Grant, b.Alone = "", true
			} // else the token comes when it is needed
		}
	}
	if within(b.Wanted, held.Record().Asked) && !s.isEnterprise() {
		b.Wanted = nil
	}
	if _, err := s.putBond(ctx, func(now *bond) { *now = *b }); err != nil {
		m.log.Error("could not save the sign-in of a server", "server", s.server.Name, "err", err)
		return
	}
	if old != nil && old.Grant != "" && old.Grant != b.Grant {
		m.forgetUnused(ctx, s.who, old.Grant)
	}
}

// forgetUnused removes a grant that no server leads to any more.
func (m *Manager) forgetUnused(ctx context.Context, who, key string) {
	all, err := m.bondsOf(ctx, who)
	if err != nil {
		return
	}
	for _, b := range all {
		if b.Grant == key {
			return
		}
	}
	if err := m.opts.Store.Remove(ctx, store.Grants, key); err != nil && !isMissing(err) {
		m.log.Warn("could not remove a sign-in that is not needed any more", "err", err)
	}
}

// printable returns a text of somebody else that is short and has no surprises for a terminal.
func printable(s string) string {
	const most = 100
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
