package downstream

import (
	"net/http"
	"net/url"
	"strings"
)

// Paths of HTTP with SSE (2024-11-05, transports), as mikluko/mcp-proxy has them.
const (
	ssePath     = "/sse"
	messagePath = "/message"
)

// below is where profiles are, below the path that is served without one.
const below = "/p/"

// methods are the HTTP methods that a path has.
type methods map[string]func(w *response, r *http.Request, c Client)

// served returns what is served at a URL, nil for nothing, and which profile that names.
func (h *HTTP) served(u *url.URL, now *rules) (methods, string) {
	if profile, ok := under(now.path, u); ok {
		return h.mcp, profile
	}
	if !now.sse {
		return nil, ""
	}
	if profile, ok := under(ssePath, u); ok {
		return h.legacy, profile
	}
	if profile, ok := under(messagePath, u); ok {
		return h.messages, profile
	}
	return nil, ""
}

// lacks returns why there is no such profile, nil if there is.
func (h *HTTP) lacks(profile string) error {
	if profile == "" || h.options.HasProfile == nil {
		return nil
	}
	return h.options.HasProfile(profile)
}

// under reports whether a URL is that of base, or of a profile below it, and returns which. A name may hold anything,
// a slash, too, when it is percent-encoded.
func under(base string, u *url.URL) (profile string, ok bool) {
	if u.Path == base {
		return "", true
	}
	escaped := u.EscapedPath()
	profile, err := url.PathUnescape(escaped[strings.LastIndexByte(escaped, '/')+1:])
	return profile, err == nil && profile != "" && u.Path == strings.TrimSuffix(base, "/")+below+profile
}

// of returns the path of a profile below base, base itself for none.
func of(base, profile string) string {
	if profile == "" {
		return base
	}
	return base + below + url.PathEscape(profile)
}

// isProbe reports whether a path is one that says how plait is: to anybody, for those who ask have no token.
func isProbe(path string) bool { return path == "/healthz" || path == "/readyz" }

// isOps reports whether a path is served by HTTPOptions.Ops.
func isOps(path string) bool { return isProbe(path) || path == "/metrics" }
