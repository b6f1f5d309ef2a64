package auth

import (
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/plait-mcp/plait/auth/challenge"
	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/wallet"
	"github.com/plait-mcp/plait/config"
)

// Client is how plait talks to one server as its identity. Any goroutine may use it.
type Client struct {
	// HTTP sends the requests of the server. An error of it may have one of the types of this package in its chain:
	// *LoginRequiredError, *StepUpRequiredError, *RefusedError or *UnavailableError. It never waits for a person.
	HTTP *http.Client

	site   *site
	origin *url.URL
	static *credentials // sends, with the headers of the configuration

	mu        sync.Mutex
	changed   chan struct{} // closed, and made anew, when it is worth trying again
	bond      *bond         // never changed, only replaced; nil when nobody has signed in
	grant     *wallet.Grant // where bond leads, nil when it leads nowhere
	at        *place        // with grant: where it is used
	looked    bool          // bond is what the store had
	asked     *asked        // the last discovery
	challenge challenge.Challenge
	blocked   error       // of this package: why requests do not reach the server
	seen      time.Time   // when the grant was signed in to that this is about
	stops     []time.Time // when the server refused tokens that it should not have
	closedTo  time.Time   // no token is sent before: it refuses them all
}

// Client returns the client of a server with a URL. It reads the files that the server names and asks nobody. The
// owner calls Close when it needs it no more.
func (m *Manager) Client(server *config.Server) (*Client, error) {
	c, err := m.client(server)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	m.clients[c] = struct{}{}
	m.mu.Unlock()
	return c, nil
}

// client returns a client that nothing wakes.
func (m *Manager) client(server *config.Server) (*Client, error) {
	transport, to, err := newTransport(server)
	if err != nil {
		return nil, err
	}
	s := newSite(m, server, transport)
	headers := server.Headers
	if own := ownHeaders(s.identity); len(own) > 0 {
		headers = maps.Clone(headers)
		if headers == nil {
			headers = map[string]config.Secret{}
		}
		maps.Copy(headers, own)
	}
	c := &Client{site: s, origin: to, static: newCredentials(transport, to, headers), changed: make(chan struct{})}
	c.HTTP = &http.Client{Transport: c, CheckRedirect: stayHome}
	return c, nil
}

// Changed returns a channel that is closed when it is worth trying the server again after an error of this package:
// somebody signed in, in whatever process, or other credentials came.
func (c *Client) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Close lets go of the connections and of the identity.
func (c *Client) Close() {
	m := c.site.m
	m.mu.Lock()
	delete(m.clients, c)
	m.mu.Unlock()
	c.HTTP.CloseIdleConnections()
}

// CloseIdleConnections lets http.Client reach the connections.
func (c *Client) CloseIdleConnections() {
	c.static.CloseIdleConnections()
	c.site.bare.CloseIdleConnections()
}

// mostTries bounds how often one request is sent: tokens that live for seconds may end on their way.
const mostTries = 5

// RoundTrip implements http.RoundTripper. It attaches the token of the identity, to requests to the server's origin
// only; when the server refuses it, another one is got and the request sent again.
func (c *Client) RoundTrip(r *http.Request) (*http.Response, error) {
	if !SameOrigin(r.URL, c.origin) || !c.site.usesOAuth() || r.Header.Get("Authorization") != "" {
		return c.static.RoundTrip(r)
	}
	refused, send := "", r
	for n := 1; ; n++ {
		t, fresh, err := c.token(r.Context(), refused)
		seen := c.signedIn()
		if err != nil {
			closeBody(send)
			return nil, c.blame(r.Context(), err, seen)
		}
		resp, err := c.static.RoundTrip(withToken(send, t))
		if err != nil {
			return nil, err
		}
		repeat, err := c.judge(r.Context(), resp, try{token: t, fresh: fresh, last: n == mostTries})
		if err != nil {
			discard(resp)
			return nil, c.blame(r.Context(), err, seen)
		}
		if !repeat {
			return resp, nil
		}
		next, ok := rewind(r)
		if !ok {
			return resp, nil
		}
		discard(resp)
		send = next
		if refused = ""; t != nil {
			refused = t.Access
		}
	}
}

// withToken returns a request that carries a token; nil is none.
func withToken(r *http.Request, t *grant.Token) *http.Request {
	if t == nil {
		return r
	}
	with := r.WithContext(r.Context())
	with.Header = maps.Clone(r.Header)
	if with.Header == nil {
		with.Header = http.Header{}
	}
	with.Header.Set("Authorization", "Bearer "+t.Access)
	return with
}

// rewind returns a request as it was before it was sent, when that is possible.
func rewind(r *http.Request) (*http.Request, bool) {
	if r.Body == nil || r.Body == http.NoBody {
		return r, true
	}
	if r.GetBody == nil {
		return nil, false
	}
	body, err := r.GetBody()
	if err != nil {
		return nil, false
	}
	again := r.WithContext(r.Context())
	again.Body = body
	return again, true
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

// discard ends an answer that nobody gets, so that its connection can be used again.
func discard(resp *http.Response) {
	const most = 64 << 10
	_, _ = copyUpTo(resp.Body, most)
	resp.Body.Close()
}

// token returns the token for a request, nil for none: the server is open to everybody as far as is known. It is fresh
// when nobody has used it before.
func (c *Client) token(ctx context.Context, refused string) (*grant.Token, bool, error) {
	if err := c.shut(); err != nil {
		return nil, false, err
	}
	for {
		c.mu.Lock()
		g, at := c.grant, c.at
		c.mu.Unlock()
		if g != nil {
			return g.Token(ctx, at, refused)
		}
		if b, err := c.bonded(ctx); b == nil || err != nil {
			return nil, false, err
		}
	}
}

// signedIn returns when the grant of the client was signed in to, as far as is known here.
func (c *Client) signedIn() time.Time {
	c.mu.Lock()
	g := c.grant
	c.mu.Unlock()
	if g == nil {
		return time.Time{}
	}
	if rec := g.Record(); rec != nil {
		return rec.SignedIn
	}
	return time.Time{}
}

// basic returns the value of the header Authorization for a name and a password (RFC 7617).
func basic(name, password string) config.Secret {
	return config.Secret("Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password)))
}
