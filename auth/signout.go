package auth

import (
	"context"
	"errors"
	"fmt"

	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/register"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/auth/wallet"
	"github.com/plait-mcp/plait/config"
)

// SignOutOptions say what a sign-out is to end besides.
type SignOutOptions struct {
	Revoke       bool // tell the authorization server that the tokens are void (RFC 7009)
	ForgetClient bool // forget the client registration, too, and all that was learned of the server
}

// SignOut forgets the sign-ins of the identities of the servers, in all processes. When the authorization server was to
// be told and could not, they are forgotten all the same, and the error says so.
func (m *Manager) SignOut(ctx context.Context, servers []*config.Server, opts SignOutOptions) error {
	var failed []error
	done := map[string]bool{}
	for _, server := range servers {
		c, err := m.client(server)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if !done[c.site.who] {
			done[c.site.who] = true
			failed = append(failed, m.signOut(ctx, c.site, opts))
		}
		c.CloseIdleConnections()
	}
	m.follow(ctx)
	return errors.Join(failed...)
}

// signOut forgets all grants of an identity.
func (m *Manager) signOut(ctx context.Context, s *site, opts SignOutOptions) error {
	unlock, err := m.opts.Store.Lock(ctx, "login-"+s.who)
	if err != nil {
		return err
	}
	defer unlock()
	all, err := m.bondsOf(ctx, s.who)
	if err != nil {
		return err
	}
	var failed []error
	gone := map[string]bool{}
	for _, b := range all {
		if b.Grant != "" && !gone[b.Grant] {
			gone[b.Grant] = true
			failed = append(failed, m.forget(ctx, s, b.Grant, opts))
		}
		failed = append(failed, m.remove(ctx, bonds, bondKey(s.who, b.URL)))
	}
	failed = append(failed, m.remove(ctx, tabs, s.who))
	if opts.ForgetClient {
		failed = append(failed, m.forgetClients(ctx, s.who))
	}
	return errors.Join(failed...)
}

// forgetClients removes the registrations of an identity at whatever authorization server.
func (m *Manager) forgetClients(ctx context.Context, who string) error {
	keys, err := m.opts.Store.List(ctx, store.Clients)
	if err != nil {
		return err
	}
	var failed []error
	for _, key := range keys {
		var c register.Client
		if _, err := m.opts.Store.Load(ctx, store.Clients, key, &c); err == nil && (key == clientKey(who, c.Issuer) || key == deviceKey(who, c.Issuer)) {
			failed = append(failed, m.remove(ctx, store.Clients, key))
		}
	}
	return errors.Join(failed...)
}

// forget removes a grant.
func (m *Manager) forget(ctx context.Context, s *site, key string, opts SignOutOptions) error {
	held, err := m.wallet.Grant(key).Hold(ctx, s.identity)
	if err != nil {
		return err
	}
	defer held.Release()
	var failed error
	if rec := held.Record(); rec != nil && opts.Revoke {
		failed = s.revoke(ctx, rec)
	}
	return errors.Join(failed, held.Remove(ctx))
}

// remove removes a record that may not be there.
func (m *Manager) remove(ctx context.Context, kind store.Kind, key string) error {
	if err := m.opts.Store.Remove(ctx, kind, key); err != nil && !isMissing(err) {
		return fmt.Errorf("forget a saved sign-in: %w", err)
	}
	return nil
}

// revoke has the authorization server forget the tokens of a grant, the refresh token first: with it go the others.
func (s *site) revoke(ctx context.Context, rec *wallet.Record) error {
	e := s.endpoint(rec.Metadata, rec.Client)
	var failed []error
	if rec.Refresh != "" {
		failed = append(failed, e.Revoke(ctx, rec.Refresh, "refresh_token"))
	}
	for _, t := range rec.Tokens {
		err := e.Revoke(ctx, t.Access, "access_token")
		if answer, ok := errors.AsType[*grant.Error](err); ok && answer.Code == "unsupported_token_type" {
			continue // it revokes refresh tokens only (RFC 7009 section 2.2.1); this one ends by itself
		}
		failed = append(failed, err)
	}
	if err := errors.Join(failed...); err != nil {
		if errors.Is(err, grant.ErrNoRevocation) {
			err = grant.ErrNoRevocation
		}
		return fmt.Errorf("%s: signed out here, and not at the authorization server: %w", s.identity.Name, err)
	}
	return nil
}

// Token returns an access token for a server, renewed if need be; "" when it gets none. It asks no person.
func (m *Manager) Token(ctx context.Context, server *config.Server) (config.Secret, error) {
	return m.tokenOf(ctx, server, false)
}

// Refresh renews the token of a server now, although the one there is may be good still. It asks no person.
func (m *Manager) Refresh(ctx context.Context, server *config.Server) error {
	_, err := m.tokenOf(ctx, server, true)
	return err
}

func (m *Manager) tokenOf(ctx context.Context, server *config.Server, anew bool) (config.Secret, error) {
	c, err := m.client(server)
	if err != nil {
		return "", err
	}
	defer c.CloseIdleConnections()
	if !c.site.usesOAuth() {
		return "", nil
	}
	t, err := c.renewAlone(ctx, anew)
	if err != nil || t == nil {
		return "", err
	}
	return config.Secret(t.Access), nil
}
