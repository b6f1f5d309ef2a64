package auth

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/register"
	"github.com/plait-mcp/plait/config"
)

// newSite returns the site of a server. transport reaches it; nil when nothing is to be sent.
func newSite(m *Manager, server *config.Server, transport *http.Transport) *site {
	identity := server.Identity
	if identity == nil {
		identity = config.NewIdentity(server.Name, config.GrantNone)
		identity.Implicit = true
	}
	s := &site{m: m, server: server, identity: identity, who: who(server.Name, server.URL, identity)}
	if transport != nil {
		s.bare = &http.Client{
			Transport:     discovery.Transport(transport, server.URL, identity),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return s
}

// ownHeaders returns the headers that an identity of the grants header and basic is shown by.
func ownHeaders(i *config.Identity) map[string]config.Secret {
	switch i.Grant {
	case config.GrantHeader:
		return i.Headers
	case config.GrantBasic:
		return map[string]config.Secret{"Authorization": basic(i.Username, i.Password.Reveal())}
	case config.GrantAuto, config.GrantNone, config.GrantAuthorizationCode, config.GrantDeviceCode, config.GrantClientCredentials,
		config.GrantJWTBearer, config.GrantTokenExchange, config.GrantEnterprise, config.GrantExec:
	}
	return nil
}

// site is one server as its identity comes to it: what is known without asking anybody.
type site struct {
	m        *Manager
	server   *config.Server
	identity *config.Identity
	who      string
	bare     *http.Client // reaches the authorization servers: the same trust and proxy, no credentials
}

// key names the bond of the site.
func (s *site) key() string { return bondKey(s.who, s.server.URL) }

// isMachine reports whether the identity gets its tokens without a person.
func (s *site) isMachine() bool {
	switch s.identity.Grant {
	case config.GrantClientCredentials, config.GrantJWTBearer, config.GrantTokenExchange, config.GrantExec:
		return true
	case config.GrantEnterprise:
		return s.identity.IDP != nil && s.identity.IDP.IDToken.From != ""
	case config.GrantAuto, config.GrantNone, config.GrantAuthorizationCode, config.GrantDeviceCode, config.GrantHeader, config.GrantBasic:
	}
	return false
}

// isGiven reports whether the first token comes from what somebody gave plait from outside.
func (s *site) isGiven() bool {
	return s.identity.RefreshToken != "" || s.identity.AuthorizationCode != ""
}

// usesOAuth reports whether a 401 of the server is about a token that plait may get.
func (s *site) usesOAuth() bool {
	switch s.identity.Grant {
	case config.GrantNone, config.GrantHeader, config.GrantBasic:
		return false
	case config.GrantAuto, config.GrantAuthorizationCode, config.GrantDeviceCode, config.GrantClientCredentials,
		config.GrantJWTBearer, config.GrantTokenExchange, config.GrantEnterprise, config.GrantExec:
	}
	return true
}

// endpoint returns the token endpoint of an authorization server, as a client.
func (s *site) endpoint(md *discovery.Metadata, client *register.Client) *grant.Endpoint {
	if md == nil {
		md = &discovery.Metadata{}
	}
	if client == nil {
		client = &register.Client{Issuer: md.Issuer, ID: s.identity.ClientID, Secret: s.identity.ClientSecret.Reveal()}
	}
	return &grant.Endpoint{
		HTTP: s.bare, Metadata: md, Client: client, Identity: discovery.WithPreset(s.identity, md.Issuer), LookupEnv: s.m.opts.LookupEnv, Learn: s.m.opts.Learn,
	}
}

// resource returns the `resource` of token requests for the server (RFC 8707), "" for none: what its metadata say, else
// its URL.
func (s *site) resource(b *bond) string {
	if b.Found == nil || b.NoResource {
		return ""
	}
	published := s.server.URL
	if b.Found.Resource != "" {
		published = b.Found.Resource
	}
	return s.endpoint(b.Found.Server, nil).Resource(published, s.scopes(b))
}

// scopes returns what to ask for at the server.
func (s *site) scopes(b *bond) []string {
	e := s.endpoint(b.Found.Server, nil)
	all := union(e.Scopes(b.Found.Scopes), b.Wanted)
	if b.NoOffline {
		if fewer, ok := e.Narrower(all); ok {
			return fewer
		}
	}
	return all
}

// isDynamic reports whether a client can be registered anew.
func isDynamic(c *register.Client) bool { return c != nil && c.Kind == register.Dynamic }

// union returns all that is in the lists, once, in the order of the first appearance.
func union(lists ...[]string) []string {
	var all []string
	for _, list := range lists {
		for _, s := range list {
			if s != "" && !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// within reports whether all of part is in whole.
func within(part, whole []string) bool {
	return !slices.ContainsFunc(part, func(s string) bool { return !slices.Contains(whole, s) })
}

// hostOf returns of an address what may be logged.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host + u.Path
}
