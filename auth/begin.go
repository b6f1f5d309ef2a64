package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/auth/flow"
	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/register"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/auth/wallet"
	"github.com/plait-mcp/plait/config"
)

// ErrNotNeeded says that there is nothing to sign in to: the server is open to everybody, its identity needs no person, or
// somebody is signed in.
var ErrNotNeeded = errors.New("no sign-in is needed")

// BeginOptions say what kind of sign-in is wanted.
type BeginOptions struct {
	Scopes []string // besides what the identity, the server and earlier calls want
	Force  bool     // begin another one although one is under way
}

// Begin begins a sign-in for a server and returns it, or the one that is under way already, in whatever process. It
// asks the server and its authorization server, registers plait there when needed, and opens no browser. Whatever
// process finishes it, the sign-in is saved, and the clients of all servers that it covers wake. Its errors are those of
// this package, and ErrNotNeeded.
func (m *Manager) Begin(ctx context.Context, server *config.Server, opts BeginOptions) (*flow.Flow, error) {
	b, err := m.begin(ctx, server, opts)
	if err != nil {
		return nil, err
	}
	if !b.joined {
		m.goes(func(ctx context.Context) { m.await(ctx, b) })
	}
	return b.flow, nil
}

// begun is a sign-in under way.
type begun struct {
	flow   *flow.Flow
	plan   *plan            // nil when it was joined without a look at the server
	client *register.Client // nil when it was joined
	joined bool             // it was under way already
}

// plan is what a sign-in is about.
type plan struct {
	site   *site
	bond   *bond
	others []*bond // of servers that the same sign-in covers
	sites  []*site // of them
	key    string  // of the flow
	scopes []string
	device bool            // by a code, not in a browser
	idp    *grant.Endpoint // where the person signs in instead; nil but for the grant enterprise
}

func (m *Manager) begin(ctx context.Context, server *config.Server, opts BeginOptions) (*begun, error) {
	c, err := m.client(server)
	if err != nil {
		return nil, err
	}
	defer c.CloseIdleConnections()
	s := c.site
	if !s.identity.Grant.NeedsPerson() || s.isMachine() {
		return nil, ErrNotNeeded
	}
	m.attend()
	unlock, err := m.opts.Store.Lock(ctx, "login-"+s.who)
	if err != nil {
		return nil, c.typedBegin(fmt.Errorf("wait for another sign-in of %s: %w", s.identity.Name, err))
	}
	defer unlock()
	if f := m.under(ctx, s, opts); f != nil {
		return &begun{flow: f, joined: true}, nil
	}
	p, err := m.plan(ctx, c, opts.Scopes)
	if err != nil {
		return nil, c.typedBegin(err)
	}
	b, err := m.send(ctx, c, p, opts)
	if err != nil {
		return nil, c.typedBegin(err)
	}
	return b, nil
}

// typedBegin makes of an error of a beginning sign-in one that somebody outside decides on.
func (c *Client) typedBegin(err error) error {
	if errors.Is(err, ErrNotNeeded) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if port, ok := errors.AsType[*flow.PortError](err); ok {
		return &RefusedError{
			Server: c.site.server.Name, Identity: c.site.identity.Name, ID: IDFlow, Reason: port.Error(), Advice: "then run plait auth login " + c.site.identity.Name,
		}
	}
	return c.site.typed(err)
}

// under returns the sign-in for a site that is under way as far as this process knows, nil when there is none.
func (m *Manager) under(ctx context.Context, s *site, opts BeginOptions) *flow.Flow {
	m.mu.Lock()
	known := m.begun[s.key()]
	m.mu.Unlock()
	if known == "" || opts.Force || len(opts.Scopes) > 0 {
		return nil
	}
	b, err := s.bond(ctx)
	if err != nil || b != nil && len(b.Wanted) > 0 {
		return nil
	}
	broker, err := m.signIns()
	if err != nil {
		return nil
	}
	f, err := broker.Find(ctx, known)
	if err != nil {
		return nil
	}
	return f
}

// plan finds out what a sign-in for a server is about. The lock of the identity's sign-ins is held.
func (m *Manager) plan(ctx context.Context, c *Client, extra []string) (*plan, error) {
	s := c.site
	old, err := s.bond(ctx)
	if err != nil {
		return nil, err
	}
	own, err := s.look(ctx, c, old)
	if err != nil {
		return nil, err
	}
	if err := s.staysWith(old, own.Found); err != nil {
		return nil, err
	}
	p := &plan{site: s, bond: own, scopes: union(s.scopes(own), extra)}
	if s.isEnterprise() {
		if p.idp, err = s.provider(ctx); err != nil {
			return nil, err
		}
	}
	if p.idp != nil || !own.Alone && s.identity.OneLogin != "never" && !s.identity.Implicit {
		p.invite(ctx, m.siblings(s))
	}
	issuer := own.Found.Server.Issuer
	if p.idp != nil {
		issuer, p.scopes = p.idp.Metadata.Issuer, p.idp.Scopes(nil)
	} else if rec := m.signedIn(ctx, old); rec != nil && rec.Issuer == issuer && s.identity.Scopes == nil {
		p.scopes = union(p.scopes, rec.Asked) // MCP 2026-07-28, Scope Selection: never less than before
	}
	p.key = store.Key(append([]string{"flow", s.who, issuer, strconv.FormatBool(own.Alone), p.alone()}, slices.Sorted(slices.Values(p.scopes))...)...)
	return p, nil
}

// alone returns the resource that a sign-in is for when it is for one server.
func (p *plan) alone() string {
	if p.bond.Alone || p.site.identity.Implicit {
		return p.site.server.URL
	}
	return ""
}

// look asks a server and finds its authorization server. It returns a new bond, with what was learned before.
func (s *site) look(ctx context.Context, c *Client, old *bond) (*bond, error) {
	b := &bond{}
	if old != nil {
		*b = *old
	}
	b.Grant, b.Client, b.Moved = "", "", ""
	bearer, open := c.probe(ctx)
	if open && b.Asked != nil {
		bearer, open = b.Asked, false
	}
	if open && s.identity.Grant == config.GrantAuto && len(b.Wanted) == 0 && (old == nil || old.Grant == "") {
		return nil, ErrNotNeeded
	}
	found, err := s.m.discover(ctx, s, s.identity, lookup{bearer: bearer, anew: true})
	if err != nil {
		return nil, err
	}
	b.Found = found
	if s.isGiven() {
		b.Print = s.identity.Fingerprint()
	}
	return b, nil
}

// staysWith refuses to show a client that was registered by hand to another authorization server than before (MCP
// 2026-07-28, AS Binding).
func (s *site) staysWith(old *bond, found *discovery.Found) error {
	if old == nil || old.Grant == "" || old.Found == nil || s.identity.ClientID == "" || s.identity.Issuer != "" || old.Found.Server.Issuer == found.Server.Issuer {
		return nil
	}
	return &movedError{from: old.Found.Server.Issuer, to: found.Server.Issuer}
}

// signedIn returns the record that a bond leads to, nil when there is none.
func (m *Manager) signedIn(ctx context.Context, b *bond) *wallet.Record {
	if b == nil || b.Grant == "" {
		return nil
	}
	rec, err := m.wallet.Grant(b.Grant).Read(ctx)
	if err != nil {
		return nil
	}
	return rec
}

// siblings returns the other servers that the identity of a site is for.
func (m *Manager) siblings(s *site) []*config.Server {
	var others []*config.Server
	for _, server := range m.servers() {
		if server.Identity == nil || server.Identity.Implicit || server.Identity.Name != s.identity.Name || server.URL == "" ||
			server.URL == s.server.URL || len(server.Problems) > 0 {
			continue
		}
		if !slices.ContainsFunc(others, func(o *config.Server) bool { return o.URL == server.URL }) {
			others = append(others, server)
		}
	}
	return others
}

// servers returns all servers that are configured.
func (m *Manager) servers() []*config.Server {
	if m.opts.Servers != nil {
		return m.opts.Servers()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []*config.Server
	for c := range m.clients {
		all = append(all, c.site.server)
	}
	return all
}

// invitation bounds how long other servers of an identity are asked whether one sign-in is for them, too.
const invitation = 10 * time.Second

// invite takes other servers of the identity in that have the same authorization server, so that one sign-in is enough
// (RFC 8707 section 2.2). Those that do not answer sign in when they are needed.
func (p *plan) invite(ctx context.Context, servers []*config.Server) {
	ctx, cancel := context.WithTimeout(ctx, invitation)
	defer cancel()
	sites, found := make([]*site, len(servers)), make([]*bond, len(servers))
	var all sync.WaitGroup
	for i, server := range servers {
		all.Go(func() {
			c, err := p.site.m.client(server)
			if err != nil {
				return
			}
			defer c.CloseIdleConnections()
			old, err := c.site.bond(ctx)
			if err != nil || old != nil && old.Alone {
				return
			}
			if b, err := c.site.look(ctx, c, old); err == nil {
				sites[i], found[i] = c.site, b
			}
		})
	}
	all.Wait()
	for i, b := range found {
		if b == nil || p.idp == nil && b.Found.Server.Issuer != p.bond.Found.Server.Issuer {
			continue
		}
		p.sites, p.others = append(p.sites, sites[i]), append(p.others, b)
		p.scopes = union(p.scopes, sites[i].scopes(b))
	}
}

// resources returns what a sign-in names, the server's own first.
func (p *plan) resources() []string {
	own := p.site.resource(p.bond)
	if own == "" || p.idp != nil {
		return nil
	}
	all := []string{own}
	for i, b := range p.others {
		all = union(all, []string{p.sites[i].resource(b)})
	}
	return all
}

// send begins the flow of a plan, or joins the one that is under way. The lock of the identity's sign-ins is held.
func (m *Manager) send(ctx context.Context, c *Client, p *plan, opts BeginOptions) (*begun, error) {
	s := p.site
	m.mu.Lock()
	m.begun[s.key()] = p.key
	m.mu.Unlock()
	broker, err := m.signIns()
	if err != nil {
		return nil, err
	}
	if !opts.Force {
		if f, err := broker.Find(ctx, p.key); err != nil || f != nil {
			return &begun{flow: f, plan: p, joined: true}, err
		}
		if c.isSignedIn(ctx, opts.Scopes) { // since the caller looked
			return nil, ErrNotNeeded
		}
	}
	at, err := p.way(ctx, broker)
	if err != nil {
		return nil, err
	}
	state, verifier := flow.NewState(), grant.NewVerifier()
	address, err := at.AuthorizeURL(grant.Authorize{
		State: state, Verifier: verifier, RedirectURI: at.Client.RedirectURI, Scopes: p.scopes, Resources: p.resources(),
	})
	if err != nil {
		return nil, err
	}
	errand, err := json.Marshal(p.errand(at.Client))
	if err != nil {
		return nil, err
	}
	f, err := broker.Begin(ctx, &flow.Pending{
		State: state, Verifier: verifier, RedirectURI: at.Client.RedirectURI, AuthorizeURL: address, Issuer: at.Metadata.Issuer,
		IssRequired: at.Metadata.IssInResponse, GrantKey: p.key, Identity: s.identity.Name, Servers: p.names(), Scopes: p.scopes,
		AuthServer: hostOnly(at.Metadata.Issuer), Finish: errand,
	})
	if err != nil {
		return nil, err
	}
	return &begun{flow: f, plan: p, client: at.Client}, nil
}

// way returns where the person signs in, and as which client.
func (p *plan) way(ctx context.Context, broker *flow.Broker) (*grant.Endpoint, error) {
	if p.idp != nil {
		return p.atProvider(ctx, broker)
	}
	client, err := p.site.register(ctx, broker, p)
	if err != nil {
		return nil, err
	}
	return p.site.endpoint(p.bond.Found.Server, client), nil
}

// names returns the servers that a sign-in is for.
func (p *plan) names() []string {
	names := []string{p.site.server.Name}
	for _, s := range p.sites {
		names = append(names, s.server.Name)
	}
	return names
}

// signIns returns the broker, which is made when it is needed first.
func (m *Manager) signIns() (*flow.Broker, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broker != nil {
		return m.broker, nil
	}
	made := make(chan *flow.Broker, 1)
	if !m.goes(func(ctx context.Context) {
		made <- flow.NewBroker(ctx, flow.Options{Store: m.opts.Store, Callback: m.opts.Auth.Callback, Finish: m.finish, Log: m.log})
	}) {
		return nil, errClosed
	}
	m.broker = <-made
	return m.broker, nil
}
