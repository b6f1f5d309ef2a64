package downstream

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/config"
)

// guard decides who may come in, and as whom. It is the one place that does.
type guard struct {
	hosts   []string // that a request may name, besides this machine
	origins []string // of web pages that may use it, besides those of this machine
	bearer  config.Secret
}

// principals are who may own a session.
const (
	anybody = "anybody"
	holder  = "holder of the token"
)

// refusal says why a request is not served.
type refusal struct {
	status int
	reason string // for the one who sent it
}

// admit returns as whom the request comes in, or why it may not. It adds what a browser must read in the answer.
func (g *guard) admit(w http.ResponseWriter, r *http.Request) (principal string, no *refusal) {
	if !g.knowsHost(r) {
		return "", &refusal{http.StatusForbidden, "this host is not served here; add it to serve.http.allowedHosts"}
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if len(r.Header.Values("Origin")) > 1 || !g.knowsOrigin(r, origin) {
			return "", &refusal{http.StatusForbidden, "web pages of this origin may not come here; add it to serve.http.allowedOrigins"}
		}
		share(w.Header(), origin)
	}
	if r.Method == http.MethodOptions || isProbe(r.URL.Path) {
		return anybody, nil // a browser asks before it sends the token, and a probe has none
	}
	if g.bearer == "" {
		return anybody, nil
	}
	if !g.knowsToken(r) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="plait"`)
		return "", &refusal{http.StatusUnauthorized, "send the token of this server as Authorization: Bearer TOKEN"}
	}
	return holder, nil
}

// knowsHost guards against DNS rebinding: a web page whose name leads to this machine names its own host. A request
// that came over the loopback interface names this machine, or a host that is allowed; any other request an address,
// or a host that is allowed if any is.
func (g *guard) knowsHost(r *http.Request) bool {
	host := hostname(r.Host)
	if g.allowsHost(host, r.Host) {
		return true
	}
	if isLocal(r) {
		return isLoopback(host)
	}
	_, err := netip.ParseAddr(host)
	return err == nil || len(g.hosts) == 0
}

func (g *guard) allowsHost(host, withPort string) bool {
	return slices.ContainsFunc(g.hosts, func(allowed string) bool {
		return strings.EqualFold(allowed, host) || strings.EqualFold(allowed, withPort)
	})
}

// knowsOrigin accepts pages of origins that are allowed, those of the very host that is asked, and over the loopback
// interface those of this machine (2025-11-25, transports, security warning).
func (g *guard) knowsOrigin(r *http.Request, origin string) bool {
	if slices.ContainsFunc(g.origins, func(allowed string) bool {
		return strings.EqualFold(strings.TrimSuffix(allowed, "/"), origin)
	}) {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	if isLocal(r) {
		return isLoopback(u.Hostname())
	}
	return strings.EqualFold(u.Host, r.Host) && (g.allowsHost(u.Hostname(), u.Host) || g.bearer != "")
}

func (g *guard) knowsToken(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	given, want := sha256.Sum256([]byte(strings.TrimSpace(token))), sha256.Sum256([]byte(g.bearer.Reveal()))
	same := subtle.ConstantTimeCompare(given[:], want[:]) == 1
	return same && strings.EqualFold(scheme, "Bearer") && len(r.Header.Values("Authorization")) == 1
}

// share lets a web page of that origin read the answer (WHATWG Fetch, CORS).
func share(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", sessionHeader+", WWW-Authenticate")
	h.Add("Vary", "Origin")
}

// preflight answers a browser that asks what its page may send.
func preflight(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Accept, Last-Event-ID, "+sessionHeader+", "+versionHeader)
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

// isLocal reports whether a request came over the loopback interface, or over none.
func isLocal(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return true
	}
	host, _, err := net.SplitHostPort(addr.String())
	return err != nil || isLoopback(host)
}

// isForwarded reports whether something on the way says that it passes the request on for somebody else (RFC 7239).
func isForwarded(r *http.Request) bool {
	return slices.ContainsFunc([]string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"}, func(name string) bool {
		return r.Header.Get(name) != ""
	})
}

func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// isLoopback reports whether a name or an address is that of this machine alone.
func isLoopback(host string) bool {
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return ip.Unmap().IsLoopback()
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
