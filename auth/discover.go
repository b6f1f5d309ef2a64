package auth

import (
	"context"
	"errors"
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
