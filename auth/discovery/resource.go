package discovery

import (
	"context"
	"errors"
	"net/url"
	"strings"
)

// Resource is what a server says of itself (RFC 9728, section 2). The zero value is one that says nothing.
type Resource struct {
	Name     string   `json:"resource"`
	Servers  []string `json:"authorization_servers,omitempty"`
	Scopes   []string `json:"scopes_supported,omitempty"`
	Metadata string   `json:"metadata,omitempty"` // where it says so
}

const resourceWellKnown = "/.well-known/oauth-protected-resource"

// resourcePlace is where the metadata of a server may be.
type resourcePlace struct {
	url       string
	challenge bool // the challenge names it
	foreign   bool // it is on another origin
}

// resource returns what the server says of itself, or nil if it says nothing: where the challenge says, else at the
// well-known address for the whole URL, else at that of its origin (RFC 9728, sections 3 and 5).
func (r *run) resource(ctx context.Context) (*Resource, error) {
	for _, place := range r.places() {
		d, err := r.fetch(ctx, place.url)
		if blocked, ok := errors.AsType[*BlockedError](err); ok {
			r.step(Step{Name: "resource metadata", URL: show(place.url), Result: Ignored, Detail: blocked.Error()})
			r.absent = false
			continue
		}
		if err != nil {
			r.step(Step{Name: "resource metadata", URL: show(place.url), Result: Unavailable, Detail: err.Error()})
			return nil, err
		}
		var found Resource
		if err := d.decode(&found); err != nil {
			r.absent = r.absent && d.isAbsent()
			r.step(Step{Name: "resource metadata", URL: show(place.url), Result: Missing, Detail: err.Error()})
			continue
		}
		found.Metadata = place.url
		if r.accepts(place, found.Name) {
			r.keep.atMost(d.maxAge)
			r.step(Step{
				Name: "resource metadata", URL: show(place.url), Result: OK,
				Detail: "resource " + quoteShort(found.Name) + ", authorization servers " + orNone(showAll(found.Servers)), Key: "resource",
			})
			return &found, nil
		}
		if place.foreign {
			r.absent = false
			r.step(Step{Name: "resource metadata", URL: show(place.url), Result: Ignored, Detail: "it is on a foreign host and describes " + quoteShort(found.Name)})
			continue
		}
		err = &ResourceError{Metadata: place.url, Resource: found.Name, URL: r.URL}
		r.step(Step{Name: "resource metadata", URL: show(place.url), Result: Refused, Detail: err.Error(), Key: "resource"})
		return nil, err
	}
	return nil, nil //nolint:nilnil // it says nothing, which is what servers did before RFC 9728
}

// places returns where to look, in that order.
func (r *run) places() []resourcePlace {
	var all []resourcePlace
	if text := r.Challenge.ResourceMetadata(); text != "" {
		if u, err := r.challenged(text); err == nil {
			all = append(all, resourcePlace{url: u.String(), challenge: true, foreign: !sameOrigin(u, r.server)})
		} else {
			r.absent = false
			r.step(Step{Name: "resource metadata", URL: show(text), Result: Ignored, Detail: "the challenge's address " + err.Error()})
		}
	}
	path := strings.TrimSuffix(r.server.EscapedPath(), "/")
	add := func(address string) {
		for _, p := range all {
			if p.url == address {
				return
			}
		}
		all = append(all, resourcePlace{url: address})
	}
	if path != "" {
		query := ""
		if r.server.RawQuery != "" {
			query = "?" + r.server.RawQuery
		}
		add(origin(r.server) + resourceWellKnown + path + query)
	}
	add(origin(r.server) + resourceWellKnown)
	return all
}

// challenged reads the address in a challenge, which may be relative. On another origin it has to be https.
func (r *run) challenged(text string) (*url.URL, error) {
	u, err := r.server.Parse(text)
	if err != nil {
		return nil, errors.New("cannot be read")
	}
	if u, err = parseURL(u.String()); err != nil {
		return nil, err
	}
	if !sameOrigin(u, r.server) && u.Scheme != "https" {
		return nil, errors.New("is on a foreign host, " + u.Host + ", without https")
	}
	return u, nil
}

// accepts tells whether metadata may be those of the server: they name its URL, or what lies above it on the same
// origin. Who says which resource to ask for decides that instead of the server. Metadata of the server's own origin
// that name nothing are its own.
func (r *run) accepts(place resourcePlace, name string) bool {
	if strings.Contains(r.Identity.Resource, ":") {
		return true
	}
	if name == "" {
		return !place.foreign
	}
	return covers(name, r.URL)
}

// covers tells whether a resource is a server's URL, or the same but for a slash at the end, or above it on a boundary
// of the path.
func covers(name, server string) bool {
	if name == server {
		return true
	}
	n, err := parseURL(name)
	if err != nil {
		return false
	}
	s, err := parseURL(server)
	if err != nil || !sameOrigin(n, s) || n.RawQuery != "" && n.RawQuery != s.RawQuery {
		return false
	}
	above, path := strings.TrimSuffix(n.EscapedPath(), "/"), strings.TrimSuffix(s.EscapedPath(), "/")
	return above == path || strings.HasPrefix(path, above+"/")
}
