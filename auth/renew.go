package auth

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/auth/wallet"
	"github.com/plait-mcp/plait/config"
)

// place is a site with the bond that led to a grant, where that is used. It implements wallet.Place.
type place struct {
	site     *site
	bond     *bond
	resource string
}

func newPlace(s *site, b *bond) *place { return &place{site: s, bond: b, resource: s.resource(b)} }

// Identity implements wallet.Place.
func (p *place) Identity() *config.Identity { return p.site.identity }

// Resource implements wallet.Place.
func (p *place) Resource() string { return p.resource }

// Renewable implements wallet.Place.
func (p *place) Renewable(rec *wallet.Record) bool {
	return rec.Refresh != "" || rec.ID != "" || p.site.isMachine()
}

// Renew implements wallet.Place. It asks without `resource` when the authorization server takes none.
func (p *place) Renew(ctx context.Context, held *wallet.Held) (*wallet.Record, error) {
	s, rec := p.site, held.Record()
	asked := p.resource
	if rec.NoResource {
		asked = ""
	}
	began := time.Now()
	if s.isEnterprise() {
		var err error
		if rec, err = s.subject(ctx, held); err != nil {
			return nil, err
		}
	}
	t, err := p.token(ctx, rec, asked)
	next := rec.Clone()
	if refused, ok := errors.AsType[*grant.Error](err); ok && refused.ResourceRefused() && asked != "" {
		if len(rec.Resources) > 1 || !s.endpoint(rec.Metadata, rec.Client).MayOmitResource() {
			return nil, &wallet.AloneError{Err: err}
		}
		next.NoResource = true
		t, err = p.token(ctx, rec, "")
	}
	s.m.count(s.identity.Name, err)
	if err != nil {
		return nil, s.failed(ctx, held, err)
	}
	if s.isMachine() {
		t.Refresh = "" // RFC 6749 section 4.4.3: of no use, and it would be used
	}
	next.Take(p.resource, t)
	if t.Scope != "" {
		next.Granted = strings.Fields(t.Scope)
	}
	s.m.log.Debug("token granted", "identity", rec.Identity, "issuer", hostOf(rec.Issuer), "expires", t.Expires, "dur", time.Since(began))
	return next, nil
}

// token asks the authorization server of a grant for a token.
func (p *place) token(ctx context.Context, rec *wallet.Record, resource string) (*grant.Token, error) {
	s, i := p.site, p.site.identity
	e := s.endpoint(rec.Metadata, rec.Client)
	switch {
	case i.Grant == config.GrantExec:
		return grant.Exec(ctx, i, s.m.opts.Learn)
	case i.Grant == config.GrantClientCredentials:
		return e.ClientCredentials(ctx, rec.Asked, resource)
	case i.Grant == config.GrantJWTBearer:
		return e.JWTBearer(ctx, rec.Asked, resource)
	case i.Grant == config.GrantTokenExchange:
		return e.TokenExchange(ctx, rec.Asked, resource)
	case i.Grant == config.GrantEnterprise:
		return s.enterprise(ctx, rec, p.bond, resource)
	case rec.Refresh != "":
		return e.Refresh(ctx, rec.Refresh, s.refreshScopes(rec), resource)
	}
	return nil, &wallet.ExpiredError{Reason: "the token is over and its authorization server gave nothing to renew it with"}
}

// refreshScopes returns the scopes of a renewal. None means those of the sign-in (RFC 6749 section 6), but Entra ID
// wants what was asked for again.
func (s *site) refreshScopes(rec *wallet.Record) []string {
	if discovery.WithPreset(s.identity, rec.Issuer).Provider == "entra" {
		return rec.Asked
	}
	return nil
}

// failed decides what an error at the token endpoint means for a grant.
func (s *site) failed(ctx context.Context, held *wallet.Held, err error) error {
	refused, ok := errors.AsType[*grant.Error](err)
	rec := held.Record()
	switch {
	case !ok || refused.Temporary:
		return err
	case refused.GrantRefused() && rec.Refresh != "" && (rec.ID == "" || isOf(refused, rec.Metadata)):
		return s.end(ctx, held, "the sign-in expired or was revoked")
	case refused.ClientRefused() && isDynamic(rec.Client) && rec.Refresh != "":
		if err := s.m.opts.Store.Remove(ctx, store.Clients, clientKey(rec.Who, rec.Issuer)); err != nil {
			s.m.log.Warn("could not forget a client registration", "identity", rec.Identity, "err", err)
		}
		return s.end(ctx, held, "the authorization server has forgotten plait's registration, which the next sign-in makes anew")
	}
	return err
}

// isOf reports whether an error is of the token endpoint of an authorization server.
func isOf(err *grant.Error, server *discovery.Metadata) bool {
	return err.Endpoint == hostOf(server.TokenEndpoint)
}

// end has a person make a grant anew.
func (s *site) end(ctx context.Context, held *wallet.Held, reason string) error {
	rec := held.Record()
	s.m.log.Warn("sign-in needed", "identity", rec.Identity, "issuer", hostOf(rec.Issuer), "reason", reason, "next", "plait auth login "+rec.Identity)
	return held.End(ctx, reason)
}

// Renewals counts the tokens of an identity that were asked for without a person.
type Renewals struct{ OK, Failed uint64 }

// Renewals returns what every identity has asked for since the start, by its name.
func (m *Manager) Renewals() map[string]Renewals {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.renewals)
}

// count notes that a token was asked for.
func (m *Manager) count(identity string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.renewals[identity]
	if err == nil {
		n.OK++
	} else {
		n.Failed++
	}
	m.renewals[identity] = n
}
