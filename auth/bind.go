package auth

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/plait-mcp/plait/auth/challenge"
	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/register"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/auth/wallet"
	"github.com/plait-mcp/plait/config"
)

// bindOnce binds a client that needs no person after its server asked for a token. It is false when that is not possible.
func (c *Client) bindOnce(ctx context.Context, bearer *challenge.Challenge) (bool, error) {
	b, err := c.bind(ctx, bearer)
	return b != nil, err
}

// bind makes the bond of an identity that needs no person. bearer is the challenge of the server, nil when it was not
// asked yet: then bind returns nil when nothing tells where tokens are, so that it is asked.
func (c *Client) bind(ctx context.Context, bearer *challenge.Challenge) (*bond, error) {
	s := c.site
	found, err := s.whereTokensAre(ctx, bearer)
	if _, none := errors.AsType[*discovery.NotOAuthError](err); none && bearer == nil {
		return nil, nil //nolint:nilnil // the challenge will tell
	}
	if err != nil {
		return nil, err
	}
	client, err := s.staticClient(ctx, found)
	if err != nil {
		return nil, err
	}
	b := &bond{Found: found, Client: client.ID, Print: s.identity.Fingerprint()}
	c.mu.Lock()
	if c.bond != nil {
		b.Wanted = c.bond.Wanted
	}
	c.mu.Unlock()
	resource := s.resource(b)
	b.Grant = grantKey(s.who, found.Server.Issuer, client.ID, []string{resource, b.Print})
	if err := s.seed(ctx, b.Grant, &wallet.Record{
		Who: s.who, Identity: s.identity.Name, Issuer: found.Server.Issuer, Metadata: found.Server, Client: client,
		Asked: s.scopes(b), Resources: []string{resource},
	}); err != nil {
		return nil, err
	}
	c.changeBond(ctx, func(old *bond) { *old = *b })
	s.m.attend()
	return b, nil
}

// whereTokensAre finds the authorization server of an identity that needs no person: a configured token endpoint is
// enough.
func (s *site) whereTokensAre(ctx context.Context, bearer *challenge.Challenge) (*discovery.Found, error) {
	i := s.identity
	if i.Grant == config.GrantExec {
		return &discovery.Found{Server: &discovery.Metadata{}}, nil
	}
	found, err := s.m.discover(ctx, s, i, lookup{bearer: bearer})
	if _, none := errors.AsType[*discovery.NotOAuthError](err); none && i.TokenEndpoint != "" {
		return &discovery.Found{Server: &discovery.Metadata{Issuer: i.Issuer, TokenEndpoint: i.TokenEndpoint}}, nil
	}
	return found, err
}

// staticClient returns as which client the identity comes to the token endpoint. An assertion may stand for itself.
func (s *site) staticClient(ctx context.Context, found *discovery.Found) (*register.Client, error) {
	i := s.identity
	if i.ClientID == "" && i.ClientMetadataURL == "" {
		switch i.Grant {
		case config.GrantJWTBearer, config.GrantTokenExchange, config.GrantExec:
			return &register.Client{Issuer: found.Server.Issuer, Kind: register.Static, Method: "none"}, nil
		case config.GrantClientCredentials:
			return nil, &grant.SetupError{Key: "clientId", Err: errors.New("the grant client_credentials needs one")}
		case config.GrantAuto, config.GrantNone, config.GrantAuthorizationCode, config.GrantDeviceCode, config.GrantEnterprise,
			config.GrantHeader, config.GrantBasic:
		}
	}
	return register.Resolve(ctx, register.Request{HTTP: s.bare, Found: found.Server, Identity: i, Scopes: s.scopes(&bond{Found: found})})
}

// seed makes the record of a grant, with what somebody gave from outside, unless it is there with just that.
func (s *site) seed(ctx context.Context, key string, rec *wallet.Record) error {
	held, err := s.m.wallet.Grant(key).Hold(ctx, s.identity)
	if err != nil {
		return err
	}
	defer held.Release()
	given := s.given()
	if old := held.Record(); old != nil && old.Seed == given && slices.Equal(old.Asked, rec.Asked) {
		return nil
	}
	rec.Seed, rec.SignedIn, rec.Refresh = given, time.Now().Round(0), s.identity.RefreshToken.Reveal()
	if code := s.identity.AuthorizationCode.Reveal(); code != "" && rec.Refresh == "" {
		t, err := s.endpoint(rec.Metadata, rec.Client).Exchange(ctx, grant.Code{
			Code: code, Verifier: s.identity.CodeVerifier.Reveal(), RedirectURI: s.identity.RedirectURI, Resource: rec.Resources[0],
		})
		if err != nil {
			return err
		}
		rec.Take(rec.Resources[0], t)
	}
	held.Keep(ctx, rec)
	return nil
}

// given names what somebody gave from outside, "" for nothing.
func (s *site) given() string {
	i := s.identity
	if i.RefreshToken == "" && i.AuthorizationCode == "" {
		return ""
	}
	return store.Key(i.RefreshToken.Reveal(), i.AuthorizationCode.Reveal())
}

// widen has the next token of an identity that needs no person ask for more scopes.
func (s *site) widen(ctx context.Context, key string, scopes []string) error {
	held, err := s.m.wallet.Grant(key).Hold(ctx, s.identity)
	if err != nil {
		return err
	}
	defer held.Release()
	rec := held.Record()
	if rec == nil || within(scopes, rec.Asked) {
		return nil
	}
	next := rec.Clone()
	next.Asked = scopes
	held.Keep(ctx, next)
	return nil
}
