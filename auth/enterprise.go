package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/auth/flow"
	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/register"
	"github.com/plait-mcp/plait/auth/wallet"
	"github.com/plait-mcp/plait/config"
)

// A person of an organization signs in at its identity provider, once for all servers of the identity, whatever
// authorization servers those have: the record of the grant is of the provider, with the ID token and what renews that,
// and holds the tokens of all servers. No person is ever sent to the authorization server of a server (MCP extension
// enterprise-managed authorization).

// isEnterprise reports whether a person signs in at the identity provider of an organization.
func (s *site) isEnterprise() bool {
	return s.identity.Grant == config.GrantEnterprise && !s.isMachine()
}

// enterprise gets a token for the person that an identity provider knows: by the ID token that is given, else by the
// one of the sign-in there.
func (s *site) enterprise(ctx context.Context, rec *wallet.Record, b *bond, resource string) (*grant.Token, error) {
	idp, err := s.provider(ctx)
	if err != nil {
		return nil, err
	}
	client, err := s.staticClient(ctx, b.Found)
	if err != nil {
		return nil, err
	}
	t, err := s.endpoint(b.Found.Server, client).Enterprise(ctx, idp, grant.Subject{Token: rec.ID}, grant.Want{Scopes: s.scopes(b), Resource: resource})
	if err != nil {
		return nil, err
	}
	t.Refresh, t.ID = "", "" // the assertion is shown again
	return t, nil
}

// provider returns the token endpoint of the identity provider of an enterprise identity.
func (s *site) provider(ctx context.Context) (*grant.Endpoint, error) {
	p := s.identity.IDP
	if p == nil {
		return nil, &grant.SetupError{Key: "idp", Err: errors.New("the grant enterprise needs one; set it")}
	}
	md := &discovery.Metadata{Issuer: p.Issuer, TokenEndpoint: p.TokenEndpoint, AuthorizationEndpoint: p.AuthorizationEndpoint}
	as := *s.identity // the identity, as that client
	as.Resource = "omit"
	needed := md.TokenEndpoint == ""
	if s.isEnterprise() { // a person signs in there
		as.Grant, needed = config.GrantAuthorizationCode, needed || md.AuthorizationEndpoint == ""
	}
	as.Issuer, as.TokenEndpoint, as.AuthorizationEndpoint = p.Issuer, p.TokenEndpoint, p.AuthorizationEndpoint
	as.DeviceAuthorizationEndpoint, as.RegistrationEndpoint, as.RevocationEndpoint = "", "", ""
	as.ClientID, as.ClientSecret, as.Auth = p.ClientID, p.ClientSecret, p.Auth
	as.Scopes, as.ExtraScopes = p.Scopes, nil
	if as.Scopes == nil {
		as.Scopes = []string{"openid", "offline_access"}
	}
	if p.Issuer != "" && needed {
		found, err := s.m.discover(ctx, s, &as, lookup{})
		if err != nil {
			return nil, err
		}
		md = found.Server
	}
	client := &register.Client{Issuer: md.Issuer, ID: p.ClientID, Secret: p.ClientSecret.Reveal(), Kind: register.Static}
	with := discovery.WithPreset(&as, md.Issuer)
	return &grant.Endpoint{HTTP: s.bare, Metadata: md, Client: client, Identity: with, LookupEnv: s.m.opts.LookupEnv, Learn: s.m.opts.Learn}, nil
}

// subjectMargin is how long an ID token has to live for an exchange.
const subjectMargin = 30 * time.Second

// subject renews the ID token of a grant when it is over, saves it, and returns the record.
func (s *site) subject(ctx context.Context, held *wallet.Held) (*wallet.Record, error) {
	rec := held.Record()
	if ends := claimsOf(rec.ID).Expires; rec.ID != "" && (ends == 0 || time.Unix(int64(ends), 0).After(time.Now().Add(subjectMargin))) {
		return rec, nil
	}
	if rec.Refresh == "" {
		return nil, s.end(ctx, held, "the sign-in at the identity provider is over")
	}
	idp, err := s.provider(ctx)
	if err != nil {
		return nil, err
	}
	t, err := idp.Refresh(ctx, rec.Refresh, nil, "")
	if err != nil {
		return nil, s.failed(ctx, held, err)
	}
	next := rec.Clone()
	if t.Refresh != "" {
		next.Refresh = t.Refresh
	}
	if t.ID == "" {
		held.Keep(ctx, next)
		return nil, s.end(ctx, held, "the identity provider renews the sign-in without an ID token")
	}
	next.ID = t.ID
	held.Keep(ctx, next)
	return next, nil
}

// atProvider returns the identity provider with the redirect URI of a sign-in there.
func (p *plan) atProvider(ctx context.Context, broker *flow.Broker) (*grant.Endpoint, error) {
	redirect, err := broker.RedirectURI(ctx, flow.Redirect{Identity: p.site.identity})
	if err != nil {
		return nil, err
	}
	p.idp.Client.RedirectURI = redirect
	return p.idp, nil
}

// finishEnterprise exchanges the code of a sign-in at an identity provider.
func (m *Manager) finishEnterprise(ctx context.Context, e *errand, sites []*site, code grant.Code) error {
	idp, err := sites[0].provider(ctx)
	if err != nil {
		return err
	}
	t, err := idp.Exchange(ctx, code)
	if err != nil {
		return flowError(err)
	}
	return m.settleEnterprise(ctx, e, sites, t)
}

// settleEnterprise saves the sign-in at an identity provider, and gets the tokens for the servers.
func (m *Manager) settleEnterprise(ctx context.Context, e *errand, sites []*site, t *grant.Token) error {
	if t.ID == "" {
		return &flow.FailedError{Message: "the identity provider gave no ID token: add openid to idp.scopes"}
	}
	idp, err := sites[0].provider(ctx)
	if err != nil {
		return err
	}
	rec := &wallet.Record{
		Who: sites[0].who, Identity: sites[0].identity.Name, Issuer: idp.Metadata.Issuer, Metadata: idp.Metadata, Client: e.Client,
		Asked: e.Scopes, Account: accountOf(t.ID), SignedIn: time.Now().Round(0), ID: t.ID, Refresh: t.Refresh, RefreshExpires: t.RefreshExpires,
	}
	return m.establish(ctx, e, sites, rec)
}

// claims are what plait reads of a token of others, as a hint or for people: nothing is decided by them.
type claims struct {
	Email    string  `json:"email"`
	Username string  `json:"preferred_username"`
	Name     string  `json:"name"`
	Sub      string  `json:"sub"`
	Expires  float64 `json:"exp"`
}

// claimsOf returns the claims of a JWT, none when it cannot be read.
func claimsOf(token string) claims {
	var c claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 { //nolint:mnd // header, claims, signature
		return c
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil || json.Unmarshal(raw, &c) != nil {
		return claims{}
	}
	return c
}

// accountOf returns as whom somebody signed in, as an ID token says, "" when there is none.
func accountOf(idToken string) string {
	c := claimsOf(idToken)
	for _, name := range []string{c.Email, c.Username, c.Name, c.Sub} {
		if name != "" {
			return printable(name)
		}
	}
	return ""
}
