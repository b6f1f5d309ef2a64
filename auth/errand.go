package auth

import (
	"encoding/json"
	"errors"

	"github.com/plait-mcp/plait/auth/register"
	"github.com/plait-mcp/plait/config"
)

// errand is all that any process needs to bring a sign-in to its end: the process that has the callback port may know
// neither the server nor the identity. It marshals with its secrets, for the sealed record of the flow.
type errand struct {
	Identity savedIdentity    `json:"identity"`
	Client   *register.Client `json:"client"`
	Servers  []savedServer    `json:"servers"` // the one that was signed in for first
	Scopes   []string         `json:"scopes,omitempty"`
}

// savedServer is a server as far as the end of a sign-in needs it.
type savedServer struct {
	Name   string            `json:"name"`
	URL    string            `json:"url"`
	CAFile string            `json:"caFile,omitempty"`
	Cert   config.ClientCert `json:"cert"`
	Bond   *bond             `json:"bond"`
}

// savedIdentity is an identity as far as the end of a sign-in needs it. The secrets are plain here: those of
// config.Identity marshal to "[redacted]".
type savedIdentity struct {
	Public      config.Identity   `json:"public"` // without what is below
	Secret      string            `json:"secret,omitempty"`
	Key         string            `json:"key,omitempty"`
	IDPSecret   string            `json:"idpSecret,omitempty"`
	IDPKey      string            `json:"idpKey,omitempty"`
	TokenParams map[string]string `json:"tokenParams,omitempty"`
	Refresh     string            `json:"refresh,omitempty"`
	Code        string            `json:"code,omitempty"`
}

// saveIdentity returns what is kept of an identity.
func saveIdentity(i *config.Identity) savedIdentity {
	s := savedIdentity{
		Public: *i, Secret: i.ClientSecret.Reveal(), Key: i.Auth.Key.Reveal(), TokenParams: map[string]string{},
		Refresh: i.RefreshToken.Reveal(), Code: i.AuthorizationCode.Reveal(),
	}
	s.Public.Secrets, s.Public.Problems, s.Public.Headers, s.Public.AuthorizeParams, s.Public.TokenParams = nil, nil, nil, nil, nil
	if i.IDP != nil {
		s.IDPSecret, s.IDPKey = i.IDP.ClientSecret.Reveal(), i.IDP.Auth.Key.Reveal()
	}
	for name, value := range i.TokenParams {
		s.TokenParams[name] = value.Reveal()
	}
	return s
}

// identity returns what was kept.
func (s *savedIdentity) identity() *config.Identity {
	i := s.Public
	i.ClientSecret, i.Auth.Key = config.Secret(s.Secret), config.Secret(s.Key)
	i.RefreshToken, i.AuthorizationCode = config.Secret(s.Refresh), config.Secret(s.Code)
	i.TokenParams = map[string]config.Secret{}
	for name, value := range s.TokenParams {
		i.TokenParams[name] = config.Secret(value)
	}
	if i.IDP != nil {
		idp := *i.IDP
		idp.ClientSecret, idp.Auth.Key = config.Secret(s.IDPSecret), config.Secret(s.IDPKey)
		i.IDP = &idp
	}
	return &i
}

// errand returns what is needed to bring the sign-in of a plan to its end as a client.
func (p *plan) errand(client *register.Client) *errand {
	e := &errand{Identity: saveIdentity(p.site.identity), Client: client, Scopes: p.scopes}
	add := func(s *site, b *bond) {
		e.Servers = append(e.Servers, savedServer{
			Name: s.server.Name, URL: s.server.URL, CAFile: s.server.CAFile, Cert: s.server.ClientCert, Bond: b,
		})
	}
	add(p.site, p.bond)
	for i, b := range p.others {
		add(p.sites[i], b)
	}
	return e
}

// readErrand reads an errand of whatever process, and returns the sites of its servers.
func (m *Manager) readErrand(raw json.RawMessage) (*errand, []*site, error) {
	e := &errand{}
	if err := json.Unmarshal(raw, e); err != nil || len(e.Servers) == 0 || e.Client == nil {
		return nil, nil, errors.New("the saved sign-in cannot be read")
	}
	identity := e.Identity.identity()
	var sites []*site
	for _, saved := range e.Servers {
		server := &config.Server{Name: saved.Name, URL: saved.URL, CAFile: saved.CAFile, ClientCert: saved.Cert, Identity: identity}
		transport, _, err := newTransport(server)
		if err != nil {
			return nil, nil, err
		}
		sites = append(sites, newSite(m, server, transport))
	}
	return e, sites, nil
}

// closeAll lets go of the connections of sites.
func closeAll(sites []*site) {
	for _, s := range sites {
		s.bare.CloseIdleConnections()
	}
}
