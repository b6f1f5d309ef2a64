package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plait-mcp/plait/auth/challenge"
	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/auth/wallet"
	"github.com/plait-mcp/plait/config"
)

// declined is the state of a bond: the person said no to the first sign-in.
const (
	declined       = "declined"
	reasonDeclined = "access was declined"
)

// bond leads from a server, as an identity comes to it, to the grant that is used there. It is made by a sign-in, or by
// the first token that needs none, so that the next process asks nobody.
type bond struct {
	Who    string           `json:"who"` // of the identity, see who
	Server string           `json:"server"`
	URL    string           `json:"url"`
	Grant  string           `json:"grant"` // key of its record; "" when there is none but something is known
	Found  *discovery.Found `json:"found,omitempty"`
	Client string           `json:"client,omitempty"` // its id
	Print  string           `json:"print,omitempty"`  // of an identity that needs no person: another one has other tokens
	State  string           `json:"state,omitempty"`  // declined, or ""
	Wanted []string         `json:"wanted,omitempty"` // what calls needed and the grant does not have
	Moved  string           `json:"moved,omitempty"`  // the issuer that the server names instead of that of the grant

	// Asked is the challenge to a request without a token, of a server that lets anybody in until they want something.
	Asked *challenge.Challenge `json:"asked,omitempty"`

	// What its authorization server does not take: a sign-in for several resources, `resource`, offline_access.
	Alone      bool `json:"alone,omitempty"`
	NoResource bool `json:"noResource,omitempty"`
	NoOffline  bool `json:"noOffline,omitempty"`
}

// bonded returns the bond that leads to the grant of the client, nil when requests go without a token: only with the
// identity auto, until the server asks for one.
func (c *Client) bonded(ctx context.Context) (*bond, error) {
	c.mu.Lock()
	b, looked := c.bond, c.looked
	c.mu.Unlock()
	if !looked {
		var err error
		if b, err = c.lookAgain(ctx); err != nil && !c.mayAskFirst(err) {
			return nil, err
		}
	}
	s := c.site
	switch {
	case b != nil && b.Grant != "":
		return b, nil
	case s.isMachine(), s.isGiven():
		return c.bind(ctx, nil)
	case s.identity.Grant == config.GrantAuto:
		return nil, nil //nolint:nilnil // anonymous
	case b != nil && b.State == declined:
		return nil, &needError{IDDeclined, reasonDeclined}
	}
	return nil, &needError{IDSignIn, "nobody is signed in"}
}

// mayAskFirst reports whether a request goes without a token although what is saved cannot be read: the folder is not safe,
// which does not concern a server that is open to everybody.
func (c *Client) mayAskFirst(err error) bool {
	_, unsafe := errors.AsType[*store.UnsafeError](err)
	return unsafe && c.site.identity.Grant == config.GrantAuto && !c.site.isGiven()
}

// lookAgain reads the bond from the store, nil when there is none that fits the identity as it is configured now.
func (c *Client) lookAgain(ctx context.Context) (*bond, error) {
	s := c.site
	b, err := s.bond(ctx)
	if err != nil {
		return nil, err
	}
	if b != nil {
		s.m.attend()
	}
	c.take(b)
	return b, nil
}

// take makes b the bond of the client; nil is none.
func (c *Client) take(b *bond) {
	var at *place
	var g *wallet.Grant
	if b != nil && b.Grant != "" {
		at, g = newPlace(c.site, b), c.site.m.wallet.Grant(b.Grant)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bond, c.looked, c.at, c.grant = b, true, at, g
}

// bond reads the bond of the site, nil when there is none that fits the identity as it is configured now.
func (s *site) bond(ctx context.Context) (*bond, error) {
	b := &bond{}
	_, err := s.m.opts.Store.Load(ctx, bonds, s.key(), b)
	if isMissing(err) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, fmt.Errorf("read the saved sign-in: %w", err)
	}
	if !s.fits(b) {
		return nil, nil //nolint:nilnil // it is another identity's
	}
	return b, nil
}

// fits reports whether a bond was made by the identity as it is configured now.
func (s *site) fits(b *bond) bool {
	i := s.identity
	issuer := ""
	if b.Found != nil && b.Found.Server != nil {
		issuer = b.Found.Server.Issuer
	}
	switch {
	case s.isMachine() || s.isGiven():
		return b.Print == i.Fingerprint()
	case i.ClientID != "" && b.Client != "" && i.ClientID != b.Client:
		return false
	}
	return i.Issuer == "" || issuer == "" || strings.TrimSuffix(i.Issuer, "/") == strings.TrimSuffix(issuer, "/")
}

// putBond changes the bond of the site as it is in the store by now, or makes it, and returns it. When it cannot be
// saved it is returned all the same.
func (s *site) putBond(ctx context.Context, change func(*bond)) (*bond, error) {
	for {
		b := &bond{}
		generation, err := s.m.opts.Store.Load(ctx, bonds, s.key(), b)
		if err != nil || !s.fits(b) {
			b = &bond{}
		}
		if err == nil || isMissing(err) {
			change(b)
			b.Who, b.Server, b.URL = s.who, s.server.Name, s.server.URL
			_, err = s.m.opts.Store.Save(ctx, bonds, s.key(), generation, b)
		} else {
			change(b)
		}
		switch {
		case err == nil:
			return b, nil
		case !errors.Is(err, store.ErrConflict):
			return b, fmt.Errorf("save the sign-in: %w", err)
		}
	}
}

// changeBond changes the bond of the client.
func (c *Client) changeBond(ctx context.Context, change func(*bond)) {
	b, err := c.site.putBond(ctx, change)
	if err != nil {
		c.site.m.log.Warn("could not save what is known of a server", "server", c.site.server.Name, "err", err)
	}
	c.take(b)
}

// wasAsked reports whether a challenge says nothing new.
func (b *bond) wasAsked(now challenge.Challenge) bool {
	return b.Asked != nil && b.Asked.ResourceMetadata() == now.ResourceMetadata() && slices.Equal(b.Asked.Scopes(), now.Scopes())
}

// want remembers what a call needed, for the next sign-in.
func (c *Client) want(ctx context.Context, scopes []string) {
	c.mu.Lock()
	known := c.bond != nil && within(scopes, c.bond.Wanted)
	c.mu.Unlock()
	if !known {
		c.changeBond(ctx, func(b *bond) { b.Wanted = union(b.Wanted, scopes) })
	}
}

// part takes the server from a grant that does not serve it.
func (c *Client) part(ctx context.Context) {
	c.changeBond(ctx, func(b *bond) { b.Grant, b.Alone = "", true })
}

// join takes part in a grant that the identity has at the same authorization server, for another server of it: it
// signs in once. It is false when there is none, or when that serves only what it was made for.
func (c *Client) join(ctx context.Context, found *discovery.Found) (bool, error) {
	s := c.site
	c.mu.Lock()
	alone := c.bond != nil && c.bond.Alone
	c.mu.Unlock()
	if alone || s.identity.Implicit || s.identity.OneLogin == "never" {
		return false, nil
	}
	others, err := s.m.bondsOf(ctx, s.who)
	if err != nil {
		return false, err
	}
	for _, b := range others {
		if b.Grant == "" || b.URL == s.server.URL || b.Found == nil || !s.isEnterprise() && b.Found.Server.Issuer != found.Server.Issuer || !s.fits(b) {
			continue
		}
		own := &bond{Grant: b.Grant, Found: found, Client: b.Client}
		g := s.m.wallet.Grant(b.Grant)
		if rec, err := g.Read(ctx); err != nil || rec == nil || rec.Expired() != nil {
			continue
		}
		_, _, err := g.Token(ctx, newPlace(s, own), "")
		if err != nil {
			s.m.log.Debug("a sign-in does not serve another server", "server", s.server.Name, "identity", s.identity.Name, "err", text(err))
			continue
		}
		c.changeBond(ctx, func(b *bond) { *b = *own })
		return true, nil
	}
	return false, nil
}

// bondsOf returns all bonds of an identity.
func (m *Manager) bondsOf(ctx context.Context, who string) ([]*bond, error) {
	keys, err := m.opts.Store.List(ctx, bonds)
	if err != nil {
		return nil, fmt.Errorf("read the saved sign-ins: %w", err)
	}
	var own []*bond
	for _, key := range keys {
		b := &bond{}
		if _, err := m.opts.Store.Load(ctx, bonds, key, b); err == nil && b.Who == who {
			own = append(own, b)
		}
	}
	return own, nil
}

// follow takes over what the store has now, and wakes those who wait for a sign-in.
func (c *Client) follow(ctx context.Context) {
	c.mu.Lock()
	looked, before := c.looked, c.bond
	c.mu.Unlock()
	if !looked || !c.site.usesOAuth() {
		return
	}
	b, err := c.lookAgain(ctx)
	if err != nil || b == nil || b.Grant == "" {
		if before != nil && before.Grant != "" {
			_, _ = c.site.m.wallet.Grant(before.Grant).Read(ctx)
		}
		return
	}
	g := c.site.m.wallet.Grant(b.Grant)
	rec, err := g.Read(ctx)
	if err != nil || rec == nil || rec.Expired() != nil {
		return
	}
	t := g.Peek(c.site.resource(b))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.blocked != nil && c.helps(rec, t) {
		c.blocked, c.stops, c.closedTo, c.asked = nil, nil, time.Time{}, nil
		close(c.changed)
		c.changed = make(chan struct{})
	}
}

// isBlocked reports whether something keeps requests from the server.
func (c *Client) isBlocked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blocked != nil
}

// helps reports whether what was saved may end what keeps requests from the server. c is locked.
func (c *Client) helps(rec *wallet.Record, t *grant.Token) bool {
	if !rec.SignedIn.Equal(c.seen) {
		return true
	}
	if _, unavailable := errors.AsType[*UnavailableError](c.blocked); unavailable {
		return t != nil
	}
	if login, ok := errors.AsType[*LoginRequiredError](c.blocked); ok {
		return login.ID != IDMoved && t != nil // somebody was faster
	}
	return false
}

// Retry forgets what keeps requests from the server for a while: a person wants it tried now.
func (c *Client) Retry() {
	c.mu.Lock()
	b := c.bond
	c.asked, c.stops, c.closedTo = nil, nil, time.Time{}
	c.mu.Unlock()
	if b != nil && b.Grant != "" {
		c.site.m.wallet.Grant(b.Grant).Retry()
	}
}
