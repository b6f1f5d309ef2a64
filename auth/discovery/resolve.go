package discovery

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/config"
)

// maxServers is how many authorization servers of one resource are looked at.
const maxServers = 8

// Resolve finds the authorization server of a server. It makes a handful of requests, each bounded by Timeout and
// MaxBody. Any goroutine may call it.
//
// The errors are of ctx, or: NotOAuthError, ResourceError, IssuerError, MetadataError, PKCEError, BlockedError, which
// stay until somebody changes something, and UnavailableError, which does not.
func Resolve(ctx context.Context, req Request) (*Found, error) {
	u, err := parseURL(req.URL)
	if err != nil {
		return nil, &MetadataError{Issuer: req.URL, Reason: err.Error(), Advice: "correct the url of the server"}
	}
	r := &run{Request: req, server: u, keep: bound(cacheLongest), absent: true}
	if e := r.load(ctx); e != nil {
		r.step(Step{Name: "cache", URL: show(e.Server.Issuer), Result: Cached, Detail: "known until " + e.Until.Format("15:04:05")})
		return r.found(&e.Resource, e.Server), nil
	}
	resource, server, err := r.resolve(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	r.save(ctx, resource, server)
	return r.found(resource, server), nil
}

// run is one call of Resolve.
type run struct {
	Request
	server *url.URL
	keep   bound // how long what was found may be kept
	absent bool  // all that was looked for and is not there is certain not to be there
}

func (r *run) step(s Step) {
	if r.Trail != nil {
		r.Trail(s)
	}
}

func (r *run) found(d *Resource, server *Metadata) *Found {
	scopes := Scopes(r.Identity, r.Challenge.Scopes(), d.Scopes)
	r.step(Step{Name: "scopes", Result: r.fromConfig(r.Identity.Scopes != nil), Detail: orNone(scopes), Key: "scopes"})
	return &Found{Resource: d.Name, ResourceMetadata: d.Metadata, Scopes: scopes, Server: server}
}

func (r *run) fromConfig(is bool) string {
	if is {
		return Configured
	}
	return OK
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, " ")
}

func (r *run) resolve(ctx context.Context) (*Resource, *Metadata, error) {
	resource := &Resource{}
	if r.needsResource() {
		d, err := r.resource(ctx)
		if err != nil {
			return nil, nil, err
		}
		if d != nil {
			resource = d
		}
	}
	if m := r.configured(); m != nil {
		m, err := r.use(r.complete(ctx, m))
		return resource, m, err
	}
	server, err := r.choose(ctx, resource)
	return resource, server, err
}

// needsResource tells whether the server's own metadata decide anything that the configuration does not.
func (r *run) needsResource() bool {
	id := r.Identity
	decided := id.Scopes != nil && id.Resource != "" && id.Resource != auto && id.Resource != always
	return !decided || id.Issuer == "" && r.configured() == nil
}

// configured returns the authorization server as the configuration describes it, if it leaves out nothing that the
// grant needs.
func (r *run) configured() *Metadata {
	id := r.Identity
	switch {
	case id.TokenEndpoint == "",
		isInteractive(id.Grant) && id.AuthorizationEndpoint == "",
		id.Grant == config.GrantDeviceCode && id.DeviceAuthorizationEndpoint == "":
		return nil
	}
	issuer := id.Issuer
	if issuer == "" {
		if u, err := parseURL(id.TokenEndpoint); err == nil {
			issuer = origin(u)
		}
	}
	return &Metadata{Issuer: issuer}
}

// complete adds what the server of a configured issuer says beyond its endpoints. That it says nothing does not matter.
func (r *run) complete(ctx context.Context, m *Metadata) *Metadata {
	if r.Identity.Issuer == "" {
		return m
	}
	if found, err := r.metadata(ctx, m.Issuer); err == nil {
		return found
	}
	r.keep.atMost(0)
	return m
}

// isInteractive tells whether a grant goes through an authorization endpoint.
func isInteractive(g config.Grant) bool {
	return g == "" || g == config.GrantAuto || g == config.GrantAuthorizationCode
}

// choose takes the first authorization server that can be used and that plait can be a client of; without any, the
// first that can be used.
func (r *run) choose(ctx context.Context, resource *Resource) (*Metadata, error) {
	issuers := r.issuers(resource)
	if len(issuers) == 0 {
		return r.legacy(ctx)
	}
	var first *Metadata
	var failed error
	for _, issuer := range issuers {
		m, err := r.metadata(ctx, issuer)
		if err == nil {
			m, err = r.use(m)
		}
		if err != nil {
			if ctx.Err() != nil || isPreferred(r.Prefer, issuer) && isUnavailable(err) {
				return nil, err // not a reason to go elsewhere with a sign-in that is there
			}
			if failed == nil {
				failed = err
			}
			continue
		}
		if r.canRegister(m) {
			return m, nil
		}
		r.step(Step{Name: "registration", URL: show(issuer), Result: Missing, Detail: "it registers no clients", Key: "clientId"})
		if first == nil {
			first = m
		}
	}
	if first != nil {
		return first, nil
	}
	return nil, failed
}

// issuers returns the authorization servers to look at, in their order; none if nobody names any.
func (r *run) issuers(resource *Resource) []string {
	if issuer := r.Identity.Issuer; issuer != "" {
		r.step(Step{Name: "authorization server", URL: show(issuer), Result: Configured, Detail: named(issuer, resource), Key: "issuer"})
		return []string{issuer}
	}
	all := slices.Clone(resource.Servers)
	if i := slices.IndexFunc(all, func(s string) bool { return isPreferred(r.Prefer, s) }); i > 0 {
		preferred := all[i]
		all = slices.Insert(slices.Delete(all, i, i+1), 0, preferred)
	}
	if len(all) > maxServers {
		all = all[:maxServers]
	}
	return all
}

// isPreferred tells whether an entry of a server's metadata is the issuer that was used last.
func isPreferred(issuer, entry string) bool {
	return issuer != "" && strings.TrimSuffix(issuer, "/") == strings.TrimSuffix(entry, "/")
}

// named says what the server's metadata think of a configured issuer.
func named(issuer string, resource *Resource) string {
	if len(resource.Servers) == 0 || slices.ContainsFunc(resource.Servers, func(s string) bool { return isPreferred(issuer, s) }) {
		return ""
	}
	return "the server names others: " + strings.Join(showAll(resource.Servers), " ")
}

func showAll(urls []string) []string {
	var all []string
	for _, u := range urls[:min(len(urls), maxServers)] {
		all = append(all, show(u))
	}
	return all
}

// canRegister tells whether plait can be a client of a server.
func (r *run) canRegister(m *Metadata) bool {
	id := r.Identity
	return id.ClientID != "" || id.Grant == config.GrantJWTBearer || m.RegistrationEndpoint != "" ||
		m.ClientIDMetadataDocument && id.ClientMetadataURL != ""
}
