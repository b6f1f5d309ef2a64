package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/config"
)

const (
	oauthWellKnown  = "/.well-known/oauth-authorization-server"
	openIDWellKnown = "/.well-known/openid-configuration"
)

// serverPlaces returns where the metadata of an issuer may be, in the order of MCP ("Authorization Server Metadata
// Discovery").
func serverPlaces(issuer *url.URL) []string {
	at, path := origin(issuer), strings.TrimSuffix(issuer.EscapedPath(), "/")
	if path == "" {
		return []string{at + oauthWellKnown, at + openIDWellKnown}
	}
	return []string{at + oauthWellKnown + path, at + openIDWellKnown + path, at + path + openIDWellKnown}
}

// metadata returns what an authorization server says of itself. Of its documents the first counts that is of this
// issuer; when the grant needs PKCE, the first that also tells of it.
func (r *run) metadata(ctx context.Context, issuer string) (*Metadata, error) {
	u, err := parseURL(issuer)
	if err == nil && u.RawQuery != "" {
		err = errors.New("has a query")
	}
	if err == nil {
		err = r.secure(u, u)
	}
	if err != nil {
		err = &MetadataError{Issuer: issuer, Reason: err.Error(), Advice: "set issuer in the identity"}
		r.step(Step{Name: "authorization server", URL: show(issuer), Result: Refused, Detail: err.Error(), Key: "issuer"})
		return nil, err
	}
	var first *Metadata
	var failed error
	for _, place := range serverPlaces(u) {
		m, err := r.document(ctx, place, issuer)
		switch {
		case err == nil && (r.knowsPKCE(m) || !isInteractive(r.Identity.Grant)):
			return m, nil
		case err == nil && first == nil:
			first = m
		case err != nil && isFinal(err):
			return nil, err
		case err != nil && (failed == nil || failed == errMissing || isUnavailable(err)): //nolint:errorlint // our own
			failed = err
		}
	}
	switch p, known := find(r.Identity.Provider, issuer); {
	case first != nil:
		return first, nil
	case failed != nil && !errors.Is(failed, errMissing):
		return nil, failed
	case known && p.server != nil:
		r.step(Step{Name: "server metadata", URL: show(issuer), Result: OK, Detail: "none; plait knows the endpoints of " + p.name, Key: "tokenEndpoint"})
		return p.metadata(u), nil
	}
	return nil, &MetadataError{
		Issuer: issuer, Reason: "publishes no metadata (RFC 8414, OpenID Connect Discovery)",
		Advice: "set authorizationEndpoint and tokenEndpoint in the identity",
	}
}

// metadata returns the known endpoints of a provider at an issuer.
func (p preset) metadata(issuer *url.URL) *Metadata {
	m := *p.server
	m.Issuer = issuer.String()
	for _, endpoint := range m.endpoints() {
		if *endpoint.url != "" {
			*endpoint.url = issuer.JoinPath(*endpoint.url).String()
		}
	}
	return &m
}

// errMissing says that there is no document at an address.
var errMissing = errors.New("no document")

// isFinal tells whether to look no further after an error: there was no answer at all, or plait may not ask.
func isFinal(err error) bool {
	if u, ok := errors.AsType[*UnavailableError](err); ok {
		return u.Err != nil
	}
	_, blocked := errors.AsType[*BlockedError](err)
	return blocked
}

func isUnavailable(err error) bool {
	_, ok := errors.AsType[*UnavailableError](err)
	return ok
}

// document fetches what may be the metadata of an issuer.
func (r *run) document(ctx context.Context, place, issuer string) (*Metadata, error) {
	d, err := r.fetch(ctx, place)
	if err != nil {
		result := Unavailable
		if !isUnavailable(err) {
			result = Refused
		}
		r.step(Step{Name: "server metadata", URL: show(place), Result: result, Detail: err.Error()})
		return nil, err
	}
	var m Metadata
	if err := d.decode(&m); err != nil {
		r.absent = r.absent && d.isAbsent()
		r.step(Step{Name: "server metadata", URL: show(place), Result: Missing, Detail: err.Error()})
		if d.status >= http.StatusInternalServerError {
			return nil, &UnavailableError{URL: show(place), Status: d.status}
		}
		return nil, errMissing
	}
	r.absent = false
	got := m.Issuer
	is, ok := issuerOf(got, issuer, r.Identity.StrictIssuer)
	if !ok {
		err := &IssuerError{Metadata: place, Got: got, Want: issuer}
		r.step(Step{Name: "server metadata", URL: show(place), Result: Refused, Detail: err.Error(), Key: "issuer"})
		return nil, err
	}
	m.Issuer = is
	detail := "issuer " + quoteShort(is)
	if is != issuer {
		detail += ", which is spelled differently where it is named"
	}
	r.keep.atMost(d.maxAge)
	r.step(Step{Name: "server metadata", URL: show(place), Result: OK, Detail: detail, Key: "issuer"})
	return &m, nil
}

// use returns the metadata with what the configuration says instead, if plait can work with that.
func (r *run) use(found *Metadata) (*Metadata, error) {
	m := *found
	id := WithPreset(r.Identity, m.Issuer)
	if id != r.Identity {
		r.step(Step{Name: "provider", Result: OK, Detail: "the ways of " + id.Provider + " are known", Key: "provider"})
	}
	err := r.endpoints(&m)
	if err == nil && isInteractive(id.Grant) && !id.AssumePKCE && !r.knowsPKCE(&m) {
		err = &PKCEError{Issuer: m.Issuer}
		r.step(Step{Name: "PKCE", URL: show(m.Issuer), Result: Refused, Detail: err.Error(), Key: "assumePKCE"})
	}
	if err != nil {
		return nil, err
	}
	return &m, nil
}

// knowsPKCE tells whether a server says that it knows PKCE with S256. One whose endpoints the configuration names
// says nothing: who names them knows it.
func (r *run) knowsPKCE(m *Metadata) bool {
	return slices.Contains(m.CodeChallengeMethods, "S256") || r.configured() != nil
}

// endpoint is one of the addresses of an authorization server.
type endpoint struct {
	key    string
	url    *string
	config string // what the configuration says instead
}

func (m *Metadata) endpoints() []endpoint { return m.endpointsOf(&config.Identity{}) }

func (m *Metadata) endpointsOf(id *config.Identity) []endpoint {
	return []endpoint{
		{key: "authorizationEndpoint", url: &m.AuthorizationEndpoint, config: id.AuthorizationEndpoint},
		{key: "tokenEndpoint", url: &m.TokenEndpoint, config: id.TokenEndpoint},
		{key: "deviceAuthorizationEndpoint", url: &m.DeviceAuthorizationEndpoint, config: id.DeviceAuthorizationEndpoint},
		{key: "registrationEndpoint", url: &m.RegistrationEndpoint, config: id.RegistrationEndpoint},
		{key: "revocationEndpoint", url: &m.RevocationEndpoint, config: id.RevocationEndpoint},
	}
}

// endpoints puts in what the configuration says, and leaves out addresses that are not https (MCP, "Communication
// Security"). It is an error if one is missing then that the grant needs.
func (r *run) endpoints(m *Metadata) error {
	issuer, err := url.Parse(m.Issuer)
	if err != nil {
		return &MetadataError{Issuer: m.Issuer, Reason: "is not a URL", Advice: "set issuer in the identity"}
	}
	for _, e := range m.endpointsOf(r.Identity) {
		result := OK
		if e.config != "" {
			*e.url, result = e.config, Configured
		}
		insecure := r.secureEndpoint(issuer, *e.url)
		switch {
		case *e.url == "" && r.needs(e.key):
			err = &MetadataError{Issuer: m.Issuer, Reason: "names no " + e.key, Advice: "set " + e.key + " in the identity"}
		case *e.url != "" && insecure != nil && r.needs(e.key):
			err = &MetadataError{Issuer: m.Issuer, Reason: fmt.Sprintf("names a %s that %v", e.key, insecure), Advice: "set " + e.key + " in the identity"}
		case *e.url != "" && insecure != nil:
			r.step(Step{Name: e.key, URL: show(*e.url), Result: Ignored, Detail: "it " + insecure.Error(), Key: e.key})
			*e.url = ""
			continue
		case *e.url != "":
			r.step(Step{Name: e.key, URL: show(*e.url), Result: result, Key: e.key})
			continue
		default:
			continue
		}
		r.step(Step{Name: e.key, URL: show(*e.url), Result: Refused, Detail: err.Error(), Key: e.key})
		return err
	}
	for name, text := range m.MTLS {
		if r.secureEndpoint(issuer, text) != nil {
			delete(m.MTLS, name)
		}
	}
	return nil
}

// needs tells whether the grant works with an endpoint.
func (r *run) needs(key string) bool {
	switch key {
	case "authorizationEndpoint":
		return isInteractive(r.Identity.Grant)
	case "deviceAuthorizationEndpoint":
		return r.Identity.Grant == config.GrantDeviceCode
	}
	return key == "tokenEndpoint"
}

func (r *run) secureEndpoint(issuer *url.URL, text string) error {
	u, err := parseURL(text)
	if err != nil {
		return err
	}
	return r.secure(u, issuer)
}

// secure tells what is wrong with a URL of an authorization server: it is https, or on this machine if its issuer
// is, too.
func (r *run) secure(u, issuer *url.URL) error {
	if u.Scheme == "https" || r.Identity.AllowHTTP || isLoopback(u) && isLoopback(issuer) {
		return nil
	}
	return errors.New("is not https")
}

func isLoopback(u *url.URL) bool {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// quoteShort quotes a text that somebody else wrote.
func quoteShort(s string) string { return fmt.Sprintf("%.200q", s) }
