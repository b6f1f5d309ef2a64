package authtest

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Guarded is an HTTP server that only lets in who shows an access token of an authorization server.
type Guarded struct {
	*Server

	URL  string // of what is guarded: the protected resource
	key  *rsa.PublicKey
	next http.Handler

	refused atomic.Int64

	mu    sync.Mutex
	known map[string]bool // the tokens that came; false for those that are refused now
}

// Guard starts an authorization server and puts next, which is an MCP server at /mcp, behind it. Both end with the
// test. env are the settings of the authorization server, see Start.
func Guard(tb testing.TB, next http.Handler, env ...string) *Guarded {
	tb.Helper()
	return GuardAll(tb, []http.Handler{next}, env...)[0]
}

// GuardAll is Guard for several servers with one authorization server, each of which is a resource of its own.
func GuardAll(tb testing.TB, next []http.Handler, env ...string) []*Guarded {
	tb.Helper()
	var all []*Guarded
	var urls []string
	var servers []*httptest.Server
	for _, h := range next {
		g := &Guarded{next: h, known: map[string]bool{}}
		s := httptest.NewUnstartedServer(g)
		tb.Cleanup(func() {
			s.CloseClientConnections()
			s.Close()
		})
		g.URL = "http://" + s.Listener.Addr().String() + "/mcp"
		all, urls, servers = append(all, g), append(urls, g.URL), append(servers, s)
	}
	s := Start(tb, append(slices.Clone(env), "AS_RESOURCE="+strings.Join(urls, ","))...)
	key := s.key(tb)
	for i, g := range all {
		g.Server, g.key = s, key
		servers[i].Start()
	}
	return all
}

// Refused returns how many requests were refused for want of a good token.
func (g *Guarded) Refused() int { return int(g.refused.Load()) }

// RefuseKnown refuses all tokens that came until now, as a server does that has lost its memory.
func (g *Guarded) RefuseKnown() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for token := range g.known {
		g.known[token] = false
	}
}

// admit notes that a token came and reports whether it is good still.
func (g *Guarded) admit(token string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	good, came := g.known[token]
	if !came {
		g.known[token], good = true, true
	}
	return good
}

// ServeHTTP implements http.Handler.
func (g *Guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	metadata := originOf(g.URL) + "/.well-known/oauth-protected-resource/mcp"
	if r.URL.Path == "/.well-known/oauth-protected-resource/mcp" {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"resource":%q,"authorization_servers":[%q],"scopes_supported":["mcp:read"]}`, g.URL, g.Issuer)
		return
	}
	token, shown := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	challenge := fmt.Sprintf(`Bearer resource_metadata=%q, scope="mcp:read"`, metadata)
	if err := g.check(token); err != nil {
		g.refused.Add(1)
		if shown {
			challenge += `, error="invalid_token"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error":"invalid_token"}`)
		return
	}
	g.next.ServeHTTP(w, r)
}

// claims are those of an access token that count.
type claims struct {
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	Expires  int64  `json:"exp"`
}

// check returns why a token is not good.
func (g *Guarded) check(token string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("no token")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(g.key, crypto.SHA256, digest[:], signature); err != nil {
		return err
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return err
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return err
	}
	switch {
	case c.Issuer != g.Issuer || c.Audience != g.URL:
		return fmt.Errorf("it is for %s by %s", c.Audience, c.Issuer)
	case time.Now().Unix() >= c.Expires:
		return errors.New("it has expired")
	case !g.admit(token):
		return errors.New("it is forgotten")
	}
	return nil
}

// key fetches the public key that access tokens are signed with.
func (s *Server) key(tb testing.TB) *rsa.PublicKey {
	tb.Helper()
	var set struct {
		Keys []struct{ N, E string }
	}
	path := strings.TrimPrefix(s.Issuer, originOf(s.Issuer)) + "/jwks"
	if err := json.Unmarshal([]byte(s.Get(tb, path)), &set); err != nil || len(set.Keys) == 0 {
		tb.Fatalf("%d keys, %v", len(set.Keys), err)
	}
	n, err := base64.RawURLEncoding.DecodeString(set.Keys[0].N)
	if err != nil {
		tb.Fatal(err)
	}
	e, err := base64.RawURLEncoding.DecodeString(set.Keys[0].E)
	if err != nil {
		tb.Fatal(err)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
}
