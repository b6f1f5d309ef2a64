package downstream

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/plait-mcp/plait/config"
)

// guard decides who may come in, and as whom. It is the one place that does.
type guard struct {
	hosts   []string // that a request may name, besides this machine
	origins []string // of web pages that may use it, besides those of this machine; see origins
	bearer  config.Secret
	turn    int // how often another token was asked for before this one
}

// anybody is the principal where no token is asked for.
const anybody = "anybody"

// principal is who comes in by the token, or without one: who has a former token is another one.
func (g *guard) principal() string {
	if g.bearer == "" {
		return anybody
	}
	return "holder of token " + strconv.Itoa(g.turn+1)
}

// refusal says why a request is not served.
type refusal struct {
	status int
	reason string // for the one who sent it
}

// admit says why a request may not come in at all, nil if it may. It adds what a browser must read in the answer.
func (g *guard) admit(w http.ResponseWriter, r *http.Request) *refusal {
	if !g.knowsHost(r) {
		return &refusal{http.StatusForbidden, "this host is not served here; add it to serve.http.allowedHosts, or by --allowed-host"}
	}
	if origins := r.Header.Values("Origin"); len(origins) > 0 {
		if len(origins) > 1 || !g.knowsOrigin(r, origins[0]) {
			return &refusal{http.StatusForbidden, "web pages of this origin may not come here; add it to serve.http.allowedOrigins, or by --allowed-origin"}
		}
		share(w.Header(), origins[0])
	}
	return nil
}

// identify returns as whom a request comes in that was admitted, or why it may not.
func (g *guard) identify(w http.ResponseWriter, r *http.Request) (principal string, no *refusal) {
	if g.bearer != "" && !g.knowsToken(r) {
		challenge, reason := `Bearer realm="plait"`, "send the token of this server as Authorization: Bearer TOKEN"
		if r.Header.Get("Authorization") != "" { // RFC 6750, section 3.1
			challenge, reason = challenge+`, error="invalid_token"`, "this is not the token of this server; one that plait made is printed by plait serve --print-token"
		}
		w.Header().Set("WWW-Authenticate", challenge)
		return "", &refusal{http.StatusUnauthorized, reason}
	}
	return g.principal(), nil
}

// knowsHost guards against DNS rebinding: a web page whose name leads to this machine names its own host. So a request
// names this machine, a host that is allowed or, where it did not come over the loopback interface, an address: no
// page is of another's address. Where no host is said to be allowed, one that came from elsewhere may name any if the
// page lacks the token, or TLS would have found that the certificate is not that of its host.
func (g *guard) knowsHost(r *http.Request) bool {
	host := hostname(r.Host)
	switch _, err := netip.ParseAddr(host); {
	case isLoopback(host), g.allowsHost(host, r.Host):
		return true
	case isLocal(r):
		return false
	case err == nil:
		return true
	}
	return len(g.hosts) == 0 && (g.bearer != "" || r.TLS != nil)
}

func (g *guard) allowsHost(host, withPort string) bool {
	return slices.ContainsFunc(g.hosts, func(allowed string) bool {
		return strings.EqualFold(allowed, host) || strings.EqualFold(allowed, withPort)
	})
}

// knowsOrigin accepts pages of origins that are allowed, those of the very host that is asked, and over the loopback
// interface those of this machine (2025-11-25, transports, security warning).
func (g *guard) knowsOrigin(r *http.Request, origin string) bool {
	if slices.Contains(g.origins, canonicalOrigin(origin)) {
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

// origins returns allowed origins as they are compared.
func origins(allowed []string) []string {
	all := make([]string, len(allowed))
	for i, origin := range allowed {
		all[i] = canonicalOrigin(origin)
	}
	return all
}

// canonicalOrigin returns an origin as a browser writes it: in lower case, without a slash and the port that its scheme
// has anyhow (WHATWG HTML, serialization of an origin).
func canonicalOrigin(origin string) string {
	origin = strings.ToLower(strings.TrimSuffix(origin, "/"))
	for scheme, port := range map[string]string{"https://": ":443", "http://": ":80"} {
		if strings.HasPrefix(origin, scheme) {
			return strings.TrimSuffix(origin, port)
		}
	}
	return origin
}

// knowsToken compares the token in constant time.
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

// preflight answers a browser that asks what its page may send: any header, for none of them goes any further.
func preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
	if wanted := r.Header.Values("Access-Control-Request-Headers"); len(wanted) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.Join(wanted, ", "))
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

// isLocal reports whether a request came over the loopback interface, or over none.
func isLocal(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return true
	}
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return tcp.IP.IsLoopback()
	}
	host, _, err := net.SplitHostPort(addr.String())
	return err != nil || isLoopback(host)
}

// isForwarded reports whether something on the way says that it passes the request on for somebody else (RFC 7239).
func isForwarded(r *http.Request) bool {
	for _, name := range [...]string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return true
		}
	}
	return false
}

// hostname returns the host of a header Host, without its port, the dot at its end and the brackets of an address.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.TrimSuffix(strings.Trim(host, "[]"), ".")
}

// isLoopback reports whether a name or an address is that of this machine alone.
func isLoopback(host string) bool {
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return ip.Unmap().IsLoopback()
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
