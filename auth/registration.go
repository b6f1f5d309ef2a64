package auth

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/auth/flow"
	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/register"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

// register returns the client of a plan, with its redirect URI, registered now or before. The authorization server is
// asked first whether it still knows one that plait registered earlier.
func (s *site) register(ctx context.Context, broker *flow.Broker, p *plan) (*register.Client, error) {
	server, identity := p.bond.Found.Server, s.identity
	key := clientKey(s.who, server.Issuer)
	if p.device && identity.Grant != config.GrantDeviceCode {
		other := *identity // a client that is registered for browsers may not use codes
		other.Grant = config.GrantDeviceCode
		identity, key = &other, deviceKey(s.who, server.Issuer)
	}
	unlock, err := s.m.opts.Store.Lock(ctx, "client-"+key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	known := &register.Client{}
	generation, err := s.m.opts.Store.Load(ctx, store.Clients, key, known)
	switch {
	case isMissing(err):
		known = nil
	case err != nil:
		return nil, err
	}
	redirect, err := broker.RedirectURI(ctx, s.redirect(known))
	if err != nil {
		return nil, err
	}
	saved := register.Client{}
	if known != nil {
		saved = *known
	}
	if isDynamic(known) && !s.isAlive(ctx, p, known) {
		s.m.log.Info("the saved client registration was no longer valid: registering again", "identity", s.identity.Name, "issuer", hostOf(server.Issuer))
		known = nil
	}
	if isDynamic(known) && known.Scope != "" && !within(p.scopes, strings.Fields(known.Scope)) {
		s.m.log.Info("plait is registered for less than is asked for now: registering again", "identity", s.identity.Name, "issuer", hostOf(server.Issuer))
		known = nil
	}
	client, err := register.Resolve(ctx, register.Request{
		HTTP: s.bare, Found: server, Identity: identity, RedirectURI: redirect, Scopes: p.scopes, Known: known,
	})
	if err != nil {
		return nil, err
	}
	if client.RedirectURI == "" {
		client.RedirectURI = redirect
	}
	if !isDynamic(client) || *client == saved {
		return client, nil // else it is a new one, or the server gave it another token when it was asked for it
	}
	if _, err := s.m.opts.Store.Save(ctx, store.Clients, key, generation, client); err != nil {
		return nil, err
	}
	return client, nil
}

// redirect says for whom a redirect URI is wanted. Only a client that plait can register anew may have another port.
func (s *site) redirect(known *register.Client) flow.Redirect {
	r := flow.Redirect{Identity: s.identity, AnyPort: s.identity.ClientID == "" && s.identity.ClientMetadataURL == ""}
	if isDynamic(known) {
		r.Known = known.RedirectURI
	}
	return r
}

// isAlive reports whether the authorization server still knows a client, as far as it tells (row M9 of the failures).
func (s *site) isAlive(ctx context.Context, p *plan, known *register.Client) bool {
	alive, err := register.Alive(ctx, s.bare, known)
	if errors.Is(err, register.ErrUnknown) && !p.device {
		return s.passes(ctx, p, known)
	}
	return err != nil || alive
}

// passes asks for the page that a person would be shown, and reports whether the authorization server does not refuse
// the client there. Only an error in the form of OAuth counts: a page may say anything.
func (s *site) passes(ctx context.Context, p *plan, known *register.Client) bool {
	ctx, cancel := context.WithTimeout(ctx, invitation)
	defer cancel()
	address, err := s.endpoint(p.bond.Found.Server, known).AuthorizeURL(grant.Authorize{
		State: flow.NewState(), Verifier: grant.NewVerifier(), RedirectURI: known.RedirectURI, Scopes: p.scopes, Resources: p.resources(),
	})
	if err != nil {
		return true
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return true
	}
	r.Header.Set("Accept", "application/json")
	resp, err := s.bare.Do(r)
	if err != nil {
		return true
	}
	defer discard(resp)
	if resp.StatusCode != http.StatusBadRequest && resp.StatusCode != http.StatusUnauthorized {
		return true
	}
	var said struct {
		Error string `json:"error"`
	}
	const most = 64 << 10
	return json.NewDecoder(io.LimitReader(resp.Body, most)).Decode(&said) != nil || !slices.Contains(codesClient, said.Error)
}
