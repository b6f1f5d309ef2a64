package config

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Serve says how clients come in, besides standard input and output.
type Serve struct {
	HTTP ServeHTTP `koanf:"http"`
}

// ServeHTTP is the HTTP endpoint.
type ServeHTTP struct {
	Listen         string      `koanf:"listen"`         // host:port, "" for no endpoint; :port is this machine
	Path           string      `koanf:"path"`           // of Streamable HTTP
	SSE            bool        `koanf:"sse"`            // /sse and /message, too
	Auth           ServeAuth   `koanf:"auth"`           //
	TLS            ServeTLS    `koanf:"tls"`            //
	AllowedOrigins []string    `koanf:"allowedOrigins"` // of web pages, besides those of this machine
	AllowedHosts   []string    `koanf:"allowedHosts"`   // that requests may name, besides those of this machine
	Limits         ServeLimits `koanf:"limits"`         //
	AccessLog      bool        `koanf:"accessLog"`      // a line for each request, not only at level debug
}

// ServeAuth says what a client has to show: nothing, or a token. In the file it may be one of the words none and bearer.
type ServeAuth struct {
	Generated bool   `koanf:"-"`      // a token that plait makes, and keeps where the sign-ins are; Bearer is "" then
	Bearer    Secret `koanf:"bearer"` // this token, "" for none
}

// Words for a ServeAuth.
const (
	authNone   = "none"
	authBearer = "bearer"
)

// ServeTLS is the certificate of the endpoint. Both are absolute or both are "".
type ServeTLS struct {
	Cert string `koanf:"cert"`
	Key  string `koanf:"key"`
}

// ServeLimits bounds the sessions of the endpoint.
type ServeLimits struct {
	Sessions int           `koanf:"sessions"` // at a time
	Idle     time.Duration `koanf:"idle"`     // after which a session that nobody uses is ended
	Lifetime time.Duration `koanf:"lifetime"` // after which any session is ended
	Replay   int64         `koanf:"replay"`   // bytes of messages kept for a client that comes back, of each session

	Connections int   `koanf:"connections"` // at a time
	Memory      int64 `koanf:"memory"`      // bytes of messages that are being received and served, of all clients, and as many again of those that wait for them

	Drain time.Duration `koanf:"drain"` // that calls in flight get when plait ends
}

func defaultServe() Serve {
	return Serve{HTTP: ServeHTTP{
		Path: "/mcp", SSE: true,
		Limits: ServeLimits{Sessions: 1000, Idle: 30 * time.Minute, Lifetime: 24 * time.Hour, Replay: 1 << 20, Connections: 5000, Memory: 256 << 20, Drain: 10 * time.Second},
	}}
}

// Loopback tells whether only this machine reaches the endpoint.
func (s *ServeHTTP) Loopback() bool {
	host, _, err := net.SplitHostPort(s.Listen)
	return err == nil && isLoopback(host)
}

// reservedPaths are served for other purposes.
var reservedPaths = []string{"/sse", "/message", "/healthz", "/readyz", "/metrics"}

// checkServe checks and completes how clients come in.
func (l *loader) checkServe(cfg *Config) {
	at := func(keys ...string) place { return l.place(append([]string{"serve", "http"}, keys...)...) }
	s := &cfg.Serve.HTTP
	if where := at(); l.isGiven("serve", "http") && where.layer.remote {
		l.fault(where, IDReferenceForbidden, "a remote layer may not open an endpoint", "write it into a file on this machine")
	}
	if s.Listen != "" && !IsAddress(s.Listen) {
		l.fault(at("listen"), IDValue, fmt.Sprintf("%q is not an address", l.source(at("listen"), s.Listen)), "write host:port, such as 127.0.0.1:8080")
	}
	s.Listen = LoopbackAddress(s.Listen)
	switch {
	case !strings.HasPrefix(s.Path, "/") || strings.ContainsAny(s.Path, "?#% ") || s.Path != "/" && strings.HasSuffix(s.Path, "/"):
		l.fault(at("path"), IDValue, fmt.Sprintf("%q is not a path", l.source(at("path"), s.Path)), "write a path such as /mcp")
	case slices.Contains(reservedPaths, s.Path):
		l.fault(at("path"), IDValue, fmt.Sprintf("%q is served for something else", s.Path), "write another path, such as /mcp")
	}
	for i, origin := range s.AllowedOrigins {
		if u, err := url.Parse(origin); err != nil || u.Scheme == "" || u.Host == "" || strings.Trim(u.Path, "/") != "" || strings.Contains(u.Host, "*") || u.RawQuery != "" || u.User != nil {
			l.fault(at("allowedOrigins", strconv.Itoa(i)), IDValue, fmt.Sprintf("%q is not an origin", origin), "write scheme://host, such as https://app.example.com")
		}
	}
	for i, host := range s.AllowedHosts {
		if host == "" || strings.ContainsAny(host, "/@ *") {
			l.fault(at("allowedHosts", strconv.Itoa(i)), IDValue, fmt.Sprintf("%q is not a host", host), "write a name such as mcp.example.com, or name:port")
		}
	}
	l.checkToken(s.Auth.Bearer, at("auth", "bearer"))
	l.checkCertificate(&s.TLS, at)
	l.checkServeLimits(s.Limits, func(key string) place { return at("limits", key) })
}

// authWord returns what a word that stands for a ServeAuth means. What is neither may be the token, and is not shown.
func (l *loader) authWord(ctx context.Context, v leaf) ServeAuth {
	word, ok := l.expanded(ctx, v.node, v.at)
	if ok && word != authNone && word != authBearer {
		l.report(v.at, IDChoice, "is neither none nor bearer", "write none, bearer for a token that plait makes, or {bearer: TOKEN}")
	}
	return ServeAuth{Generated: word == authBearer}
}

// shortToken is the length of a token that may be guessed.
const shortToken = 16

// checkToken checks a token that clients have to send (RFC 6750, section 2.1). Nothing of it is shown.
func (l *loader) checkToken(token Secret, where place) {
	given := l.isGiven("serve", "http", "auth", "bearer") && !l.isBroken("serve", "http", "auth", "bearer")
	switch text := token.Reveal(); {
	case !given:
	case text == "":
		l.fault(where, IDValue, "is empty", "write a token, auth: bearer for one that plait makes, or auth: none")
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		l.fault(where, IDHeader, "has characters that cannot be sent", "write letters, digits and -._~+/=")
	case len(text) < shortToken:
		l.warn(where, IDGuessable, "is so short that it can be guessed", fmt.Sprintf("write %d characters at least, or auth: bearer for one that plait makes", shortToken))
	}
}

func (l *loader) checkCertificate(t *ServeTLS, at func(...string) place) {
	if (t.Cert == "") != (t.Key == "") {
		l.fault(at("tls"), IDTarget, "has only one of cert and key", "write both")
	}
	for key, name := range map[string]*string{"cert": &t.Cert, "key": &t.Key} {
		if *name == "" {
			continue
		}
		path, err := l.absolute(*name, at("tls", key))
		if err != nil {
			l.add(at("tls", key), asExpandError(err).problem())
			continue
		}
		*name = path
		l.checkFile(path, at("tls", key))
	}
}

// Bounds of serve.http.limits.memory.
const (
	minMemory = 1 << 20
	maxMemory = 1 << 40
)

func (l *loader) checkServeLimits(s ServeLimits, at func(string) place) {
	if s.Sessions < 1 {
		l.fault(at("sessions"), IDRange, "is less than 1", "write a number of sessions")
	}
	if s.Idle <= 0 {
		l.fault(at("idle"), IDRange, "is not more than 0", "write a duration such as 30m")
	}
	if s.Lifetime <= 0 {
		l.fault(at("lifetime"), IDRange, "is not more than 0", "write a duration such as 24h")
	}
	if s.Replay < minMessage || s.Replay > maxMessage {
		l.fault(at("replay"), IDRange, "is out of range", "write a size from 1KiB to 2GiB")
	}
	if s.Connections < 1 {
		l.fault(at("connections"), IDRange, "is less than 1", "write a number of connections")
	}
	if s.Memory < minMemory || s.Memory > maxMemory {
		l.fault(at("memory"), IDRange, "is out of range", "write a size from 1MiB to 1024GiB")
	}
	if s.Drain <= 0 {
		l.fault(at("drain"), IDRange, "is not more than 0", "write a duration such as 10s")
	}
}

// LoopbackAddress returns an address with this machine for a host that is left out, as in :8080.
func LoopbackAddress(listen string) string {
	if strings.HasPrefix(listen, ":") {
		return "127.0.0.1" + listen
	}
	return listen
}

// IsAddress tells whether text is host:port, or :port.
func IsAddress(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil || strings.ContainsAny(host, "/ ") {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= 0 && n <= maxPort
}
