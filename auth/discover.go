package auth

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/plait-mcp/plait/auth/challenge"
	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

// asked is the result of one discovery.
type asked struct {
	found *discovery.Found
	err   error
	until time.Time
}

const (
	// trusted is how long the result of a discovery is not asked for again, failed and open those without one.
	trusted = time.Minute
	failed  = 5 * time.Second
	open    = 5 * time.Minute
)

// discover finds out about the authorization server, once for many requests.
func (c *Client) discover(ctx context.Context, bearer challenge.Challenge) (*discovery.Found, error) {
	c.mu.Lock()
	last := c.asked
	c.mu.Unlock()
	if last != nil && time.Now().Before(last.until) {
		return last.found, last.err
	}
	found, err := c.site.m.discover(ctx, c.site, c.site.identity, lookup{bearer: &bearer})
	if ctx.Err() != nil {
		return nil, err
	}
	next := &asked{found: found, err: err, until: time.Now().Add(trusted)}
	if _, none := errors.AsType[*discovery.NotOAuthError](err); none {
		next.until = time.Now().Add(open)
	} else if err != nil {
		next.until = time.Now().Add(failed)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = next
	return found, err
}

// lookup says what a discovery goes by.
type lookup struct {
	bearer *challenge.Challenge // of the server; nil when there is none
	anew   bool                 // what is known from before does not count: it may be why something goes wrong
}

// discover finds out about the authorization server of a site, for an identity that may be another one there. What was
// found is known to all processes for a while.
func (m *Manager) discover(ctx context.Context, s *site, as *config.Identity, by lookup) (*discovery.Found, error) {
	r := s.request(as, by.bearer)
	if by.anew {
		r.Since = time.Now().Add(-trusted) // many processes may want to know at once
	}
	b, err := s.bond(ctx)
	if err == nil && b != nil && b.Grant != "" && b.Found != nil && as == s.identity {
		r.Prefer = b.Found.Server.Issuer
	}
	return discovery.Resolve(ctx, r)
}

// request says for which server and as whom an authorization server is looked for; bearer may be nil.
func (s *site) request(as *config.Identity, bearer *challenge.Challenge) discovery.Request {
	r := discovery.Request{HTTP: s.bare, URL: s.server.URL, Identity: as, Cache: known{s.m.opts.Store}}
	if bearer != nil {
		r.Challenge = *bearer
	}
	return r
}

// known keeps what was discovered in a store.
type known struct{ store *store.Store }

// Load implements discovery.Cache.
func (k known) Load(ctx context.Context, key string, into any) error {
	_, err := k.store.Load(ctx, store.Discovery, key, into)
	return err
}

// Save implements discovery.Cache.
func (k known) Save(ctx context.Context, key string, value any) {
	_ = k.store.Put(ctx, store.Discovery, key, value) // then it is asked for again
}

// greeting is the request that a server is asked with for its challenge: the one that a session begins with.
const greeting = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},` +
	`"clientInfo":{"name":"plait","version":`

// probe asks the server without a token: its challenge tells where tokens are; nil when it gives none. It is open when
// the server answers everybody.
func (c *Client) probe(ctx context.Context) (bearer *challenge.Challenge, open bool) {
	ctx, cancel := context.WithTimeout(ctx, invitation)
	defer cancel()
	body := greeting + strconv.Quote(c.site.m.opts.Version) + `}}}`
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.site.server.URL, strings.NewReader(body))
	if err != nil {
		return nil, false
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	resp, err := c.static.RoundTrip(r)
	if err != nil {
		return nil, false
	}
	if resp.StatusCode/100 == 2 { //nolint:mnd // a success
		resp.Body.Close() // it may be a stream without an end
		c.goodbye(ctx, resp.Header.Get("Mcp-Session-Id"))
		return nil, true
	}
	defer discard(resp)
	if found, ok := challenge.Bearer(resp.Header); ok {
		return &found, false
	}
	return nil, false
}

// goodbye ends the session that a probe began.
func (c *Client) goodbye(ctx context.Context, session string) {
	if session == "" {
		return
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodDelete, c.site.server.URL, nil)
	if err != nil {
		return
	}
	r.Header.Set("Mcp-Session-Id", session)
	if resp, err := c.static.RoundTrip(r); err == nil {
		discard(resp)
	}
}
