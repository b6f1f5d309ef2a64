package auth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/plait-mcp/plait/auth/challenge"
	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/wallet"
	"github.com/plait-mcp/plait/config"
)

const (
	// stopsToClose refusals of fresh tokens within stopsWithin keep tokens from the server for closedFor.
	stopsToClose = 3
	stopsWithin  = time.Minute
	closedFor    = 5 * time.Minute
)

// try is one sending of a request.
type try struct {
	token *grant.Token // nil for none
	fresh bool         // nobody has used the token before
	last  bool         // the request is not sent again
}

// judge decides what an answer means: whether the request is worth sending again, with another token. The errors of it
// are for blame.
func (c *Client) judge(ctx context.Context, resp *http.Response, t try) (repeat bool, err error) {
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		bearer, ok := challenge.Bearer(resp.Header)
		if ok {
			c.mu.Lock()
			c.challenge = bearer
			c.mu.Unlock()
		}
		if t.token == nil {
			return c.challenged(ctx, bearer, t)
		}
		return c.rejected(ctx, bearer, t)
	case http.StatusForbidden:
		bearer, ok := challenge.Bearer(resp.Header)
		if !ok || bearer.Params["error"] != "insufficient_scope" && t.token != nil {
			return false, nil
		}
		if t.token == nil {
			return c.challenged(ctx, bearer, t)
		}
		return c.narrow(ctx, bearer, t)
	}
	c.worked(ctx, t.token)
	return false, nil
}

// worked notes that requests reach the server.
func (c *Client) worked(ctx context.Context, t *grant.Token) {
	c.mu.Lock()
	c.blocked = nil
	if t != nil {
		c.stops = nil
	}
	moved := t != nil && c.bond != nil && c.bond.Moved != ""
	c.mu.Unlock()
	if moved {
		c.changeBond(ctx, func(b *bond) { b.Moved = "" })
	}
}

// challenged is called when the server wants a token and got none.
func (c *Client) challenged(ctx context.Context, bearer challenge.Challenge, t try) (repeat bool, err error) {
	if t.last {
		return false, nil
	}
	b, err := c.lookAgain(ctx) // somebody may have signed in just now
	if err != nil {
		return false, err
	}
	if b != nil && b.Grant != "" {
		return true, nil
	}
	s := c.site
	if s.isMachine() || s.isGiven() {
		return c.bindOnce(ctx, &bearer)
	}
	found, err := c.discover(ctx, bearer)
	if _, none := errors.AsType[*discovery.NotOAuthError](err); none {
		return false, nil // the server's own answer tells more
	}
	if err != nil {
		return false, err
	}
	joined, err := c.join(ctx, found)
	if err != nil || joined {
		return joined, err
	}
	if b != nil && b.State == declined {
		return false, &needError{IDDeclined, reasonDeclined}
	}
	if b == nil || b.Found == nil || !b.wasAsked(bearer) {
		c.changeBond(ctx, func(b *bond) { b.Found, b.Asked = found, &bearer }) // for whoever asks what is known
	}
	return false, &needError{IDSignIn, "nobody is signed in"}
}

// rejected is called when the server does not take a token.
func (c *Client) rejected(ctx context.Context, bearer challenge.Challenge, t try) (repeat bool, err error) {
	if err := c.moved(ctx, bearer, false); err != nil {
		return false, err
	}
	if !t.last && (!t.fresh || !wallet.IsYoung(t.token, time.Now())) {
		return true, nil
	}
	if err := c.moved(ctx, bearer, true); err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.stops = append(slices.DeleteFunc(c.stops, func(at time.Time) bool { return now.Sub(at) > stopsWithin }), now)
	if len(c.stops) >= stopsToClose {
		c.closedTo, c.stops = now.Add(closedFor), nil
	}
	return false, errRejected
}

// errRejected says that the server refuses a token that was issued for it just now.
var errRejected = errors.New("the server rejects tokens that its own authorization server has just issued")

// shut returns an error while no token is sent to the server because it refuses all of them.
func (c *Client) shut() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Now().Before(c.closedTo) {
		return errRejected
	}
	return nil
}

// moved returns an error when the server has another authorization server than the one where the grant is from. It asks
// when the challenge says something new, or anyway when asked to: tokens of the one are nothing to the other.
func (c *Client) moved(ctx context.Context, bearer challenge.Challenge, anyway bool) error {
	c.mu.Lock()
	b := c.bond
	c.mu.Unlock()
	if b == nil || b.Found == nil || b.Found.Server == nil || b.Found.Server.Issuer == "" || c.site.identity.Issuer != "" {
		return nil
	}
	named := bearer.ResourceMetadata()
	if !anyway && (named == "" || named == b.Found.ResourceMetadata || b.Found.ResourceMetadata == "") {
		return nil
	}
	found, err := c.site.m.discover(ctx, c.site, c.site.identity, lookup{bearer: &bearer, anew: anyway})
	if err != nil || found.Server.Issuer == b.Found.Server.Issuer {
		return nil //nolint:nilerr // then nobody says that it moved
	}
	return &movedError{from: b.Found.Server.Issuer, to: found.Server.Issuer}
}

// movedError says that a server has another authorization server now.
type movedError struct{ from, to string }

func (e *movedError) Error() string {
	return "the server moved to a new authorization server " + hostOf(e.to) + " (it was " + hostOf(e.from) + ")"
}

// narrow is called when the token lacks a scope (RFC 6750 section 3.1). A person has to allow more; a client for itself
// asks for more by itself. Renewing never gives more.
func (c *Client) narrow(ctx context.Context, bearer challenge.Challenge, t try) (repeat bool, err error) {
	missing := bearer.Scopes()
	c.mu.Lock()
	b := c.bond
	c.mu.Unlock()
	if b == nil {
		return false, nil
	}
	rec := c.site.m.wallet.Grant(b.Grant).Record()
	if rec == nil {
		return false, nil
	}
	if c.site.identity.Grant == config.GrantEnterprise { // the identity provider says by itself what may be had
		if t.last || within(missing, c.site.scopes(b)) {
			return false, nil
		}
		c.want(ctx, missing)
		return true, nil
	}
	again := len(missing) > 0 && within(missing, rec.Asked) || len(missing) == 0 && within(b.Wanted, rec.Asked) && len(b.Wanted) > 0
	all := union(rec.Asked, missing)
	switch {
	case c.site.isMachine() && (again || len(missing) == 0 || t.last || c.site.identity.Grant == config.GrantExec):
		return false, nil // no way to more: the server's own answer tells why
	case c.site.isMachine():
		return true, c.site.widen(ctx, b.Grant, all)
	}
	if !again {
		c.want(ctx, missing)
	}
	return false, &narrowError{missing: missing, all: all, again: again}
}

// narrowError says that the sign-in does not cover a request.
type narrowError struct {
	missing, all []string
	again        bool
}

func (e *narrowError) Error() string { return "insufficient_scope" }

// copyUpTo reads away at most n bytes.
func copyUpTo(r io.Reader, n int64) (int64, error) { return io.Copy(io.Discard, io.LimitReader(r, n)) }
