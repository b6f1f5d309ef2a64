package auth

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/plait-mcp/plait/auth/challenge"
	"github.com/plait-mcp/plait/auth/flow"
	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/config"
)

// Method is how a person signs in.
type Method string

// The methods.
const (
	MethodAuto    Method = ""        // MethodDevice for an identity of that grant, else MethodBrowser
	MethodBrowser Method = "browser" // in a browser, which comes back to plait by itself, or by what is pasted
	MethodPaste   Method = "paste"   // the same; what is pasted is the way back
	MethodDevice  Method = "device"  // on any device, with a code (RFC 8628)
	MethodNone    Method = "none"    // nobody is there: what needs a person is an error at once
)

// SignInOptions say how a person signs in.
type SignInOptions struct {
	Method Method
	Scopes []string // besides what the identity, the server and earlier calls want
	Force  bool     // although somebody is signed in, or a sign-in is under way
	// Show tells the person what to do; nil tells nobody. It is called one at a time.
	Show func(Prompt)
	// Open opens a browser at our page, once for a sign-in however many processes wait for it; nil opens none.
	Open func(ctx context.Context, url string) error
	// Sparing opens none either when one was opened for the identity in the last ten minutes, or three for anybody: it
	// is for openings that a person did not ask for.
	Sparing bool
	// In gives the address that a browser landed on, a line each; nil when nobody pastes any. Nobody can stop a read: it
	// may go on after SignIn returned, until the next line or the end.
	In io.Reader
}

// Prompt is what a person is told in a sign-in.
type Prompt struct {
	Server, Identity string
	AuthServer       string // its host
	Scopes           []string
	URL              string    // where the person has to go: at the authorization server
	Link             string    // our page, which leads there; "" with a code
	UserCode         string    // to be typed at URL; "" without one
	Expires          time.Time // of the link or the code
	Flow             string    // the ID of the sign-in
	Opened           bool      // a browser was opened now
	PID              int       // of the process where it is under way since Started; 0 when it was begun, or opened, now
	Started          time.Time
	Port             int  // where the browser comes back to
	Device           bool // the authorization server knows MethodDevice, too
}

// SignIn signs in as the identity of a server, with a person when it needs one, and returns when that is done, whoever
// did it; ctx bounds it, and the link stays valid after it. Somebody who is signed in already stays so unless Force is
// set, Scopes has what there is not, or a call needed more. When there is nothing to sign in to it does nothing. Its
// errors are those of this package and of ctx.
func (m *Manager) SignIn(ctx context.Context, server *config.Server, opts SignInOptions) error {
	if opts.Show == nil {
		opts.Show = func(Prompt) {}
	}
	c, err := m.client(server)
	if err != nil {
		return err
	}
	defer c.CloseIdleConnections()
	s := c.site
	switch {
	case !s.usesOAuth():
		return nil
	case s.isMachine():
		return c.signInAlone(ctx, opts)
	case !opts.Force && c.isSignedIn(ctx, opts.Scopes):
		return nil
	}
	switch opts.Method {
	case MethodNone:
		return c.askNobody(ctx)
	case MethodDevice:
		return m.signInByDevice(ctx, c, opts)
	case MethodAuto:
		if s.identity.Grant == config.GrantDeviceCode {
			return m.signInByDevice(ctx, c, opts)
		}
	case MethodBrowser, MethodPaste:
	}
	return m.signInByBrowser(ctx, c, opts)
}

// askNobody returns why somebody would have to sign in, nil when there is nothing to sign in to.
func (c *Client) askNobody(ctx context.Context) error {
	_, err := c.site.look(ctx, c, nil)
	switch {
	case errors.Is(err, ErrNotNeeded):
		return nil
	case err != nil:
		return c.typedBegin(err)
	}
	return c.site.typed(&needError{IDSignIn, "nobody is signed in"})
}

// signInAlone gets a token for an identity that needs no person.
func (c *Client) signInAlone(ctx context.Context, opts SignInOptions) error {
	_, err := c.renewAlone(ctx, opts.Force)
	return err
}

// renewAlone returns a token without a person, a new one if wanted; nil when the server wants none.
func (c *Client) renewAlone(ctx context.Context, anew bool) (*grant.Token, error) {
	t, _, err := c.token(ctx, "")
	if err == nil && t == nil {
		bearer, open := c.probe(ctx)
		if open && !c.site.isMachine() {
			return nil, nil //nolint:nilnil // there is none
		}
		if _, err = c.challenged(ctx, bearerOf(bearer), try{}); err == nil {
			t, _, err = c.token(ctx, "")
		}
	} else if err == nil && anew {
		t, _, err = c.token(ctx, t.Access)
	}
	if err != nil {
		return nil, c.typedBegin(err)
	}
	return t, nil
}

func bearerOf(c *challenge.Challenge) challenge.Challenge {
	if c == nil {
		return challenge.Challenge{}
	}
	return *c
}

// isSignedIn reports whether there is a token that does, without a person. What is not known now counts as yes: network
// trouble is no reason to sign in.
func (c *Client) isSignedIn(ctx context.Context, scopes []string) bool {
	b, err := c.lookAgain(ctx)
	if err != nil || b == nil || b.Grant == "" || b.Moved != "" {
		return false
	}
	rec := c.site.m.signedIn(ctx, b)
	if rec == nil || !c.site.isEnterprise() && !within(union(scopes, b.Wanted, c.site.identity.Scopes), rec.Asked) {
		return false
	}
	if _, _, err = c.token(ctx, ""); err == nil {
		return true
	}
	_, unavailable := errors.AsType[*UnavailableError](c.site.typed(err))
	return unavailable
}

// attempts is how often a sign-in is begun anew because the authorization server refused what plait asked for by itself.
const attempts = 4

func (m *Manager) signInByBrowser(ctx context.Context, c *Client, opts SignInOptions) error {
	var pasted sync.Once
	for n := 1; ; n++ {
		b, err := m.begin(ctx, c.site.server, BeginOptions{Scopes: opts.Scopes, Force: opts.Force})
		if errors.Is(err, ErrNotNeeded) {
			return nil
		}
		if err != nil {
			return err
		}
		opened := m.show(ctx, c.site, b, opts)
		if opts.In != nil {
			pasted.Do(func() { go m.readPasted(ctx, opts.In) }) // it ends with its reader, which nobody can end
		}
		err = b.flow.Wait(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return m.unfinished(ctx, c.site, b, opened)
		}
		better := m.learn(ctx, b, err) || b.joined && isOurs(err)
		if !better || n == attempts {
			return c.site.flowError(err)
		}
		opts.Force = false
	}
}

// readPasted takes addresses that a person pastes until the reader ends.
func (m *Manager) readPasted(ctx context.Context, in io.Reader) {
	lines := bufio.NewScanner(in)
	for lines.Scan() && ctx.Err() == nil {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		if err := m.Paste(ctx, line); err != nil && ctx.Err() == nil {
			m.log.Warn("what was pasted does not finish the sign-in", "err", err)
		}
	}
}

// Paste takes the address that a browser landed on which could not come back to plait by itself, or what stands behind
// its question mark. Whichever process waits for the sign-in goes on.
func (m *Manager) Paste(ctx context.Context, address string) error {
	m.attend()
	broker, err := m.signIns()
	if err != nil {
		return err
	}
	return broker.Paste(ctx, address)
}

// NewPage returns a page that lists sign-ins; see [flow.Broker.NewPage].
func (m *Manager) NewPage(ctx context.Context, entries []flow.Entry) (*flow.Page, error) {
	broker, err := m.signIns()
	if err != nil {
		return nil, err
	}
	return broker.NewPage(ctx, entries)
}

// isOurs reports whether a sign-in ended by what plait asked for by itself, so that another one may go better.
func isOurs(err error) bool {
	code := codeOf(err)
	return code == codeTarget || code == codeScope || slices.Contains(codesClient, code)
}

// unfinished ends the waiting for a sign-in. Its link stays valid. Who stops waiting before the time is over will want a
// browser the next time; an old registration that nobody came back with may be why (row M9 of the failures).
func (m *Manager) unfinished(ctx context.Context, s *site, b *begun, opened bool) error {
	after := context.WithoutCancel(ctx)
	late := errors.Is(ctx.Err(), context.DeadlineExceeded)
	if opened && !late {
		m.unclaim(after, s)
	}
	if late && b.client != nil && isOld(b.client) {
		s.forgetClient(after, b.client)
	}
	return context.Cause(ctx)
}

// flowError makes of the end of a flow an error of this package, as far as it has one.
func (s *site) flowError(err error) error {
	out := &RefusedError{Server: s.server.Name, Identity: s.identity.Name, ID: IDFlow, Reason: err.Error(), Advice: "run plait auth login " + s.identity.Name}
	if _, ok := errors.AsType[*flow.DeniedError](err); ok {
		return &LoginRequiredError{Server: s.server.Name, Identity: s.identity.Name, ID: IDDeclined, Reason: "you declined access"}
	}
	switch code := codeOf(err); {
	case code == codeScope:
		out.ID, out.Advice = IDRequest, "set scopes of identity "+s.identity.Name
	case code == codeTarget && s.identity.OneLogin == "always":
		out.ID, out.Advice = IDRequest, "set oneLogin: auto for identity "+s.identity.Name
	case code == codeTarget:
		out.ID, out.Advice = IDRequest, "set resource: omit, or the right one, for identity "+s.identity.Name
	case slices.Contains(codesClient, code):
		out.ID, out.Advice = IDClientRefused, "check clientId and clientSecret of identity "+s.identity.Name
	}
	return out
}

// show tells a person of a sign-in, and opens a browser unless one shows it already. It returns whether it did.
func (m *Manager) show(ctx context.Context, s *site, b *begun, opts SignInOptions) (opened bool) {
	p := Prompt{
		Server: s.server.Name, Identity: s.identity.Name, Flow: b.flow.ID, Link: b.flow.Link(), URL: b.flow.URL(), Expires: b.flow.Expires,
		AuthServer: hostOnly(b.flow.URL()),
	}
	if link, err := url.Parse(p.Link); err == nil {
		p.Port, _ = strconv.Atoi(link.Port())
	}
	if b.plan != nil {
		p.Scopes, p.Device = b.plan.scopes, b.plan.bond.Found.Server.DeviceAuthorizationEndpoint != ""
	}
	if opts.Open != nil && m.claim(ctx, s, b.flow.ID, opts.Sparing) {
		if err := opts.Open(ctx, p.Link); err != nil {
			m.log.Warn("no browser was opened", "identity", s.identity.Name, "err", err)
			m.unclaim(ctx, s)
		} else {
			p.Opened = true
		}
	}
	if b.joined && !p.Opened {
		p.PID, p.Started = b.flow.PID, b.flow.Created
	}
	opts.Show(p)
	return p.Opened
}

// hostOnly returns the host of an address.
func hostOnly(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// signInByDevice signs in with a code that a person types on another device.
func (m *Manager) signInByDevice(ctx context.Context, c *Client, opts SignInOptions) error {
	p, err := m.plan(ctx, c, opts.Scopes)
	if errors.Is(err, ErrNotNeeded) {
		return nil
	}
	if err != nil {
		return c.typedBegin(err)
	}
	broker, err := m.signIns()
	if err != nil {
		return err
	}
	p.device = true
	client, err := c.site.register(ctx, broker, p)
	if err != nil {
		return c.typedBegin(err)
	}
	t, err := c.site.endpoint(p.bond.Found.Server, client).Device(ctx, p.scopes, c.site.resource(p.bond), func(d grant.DeviceCode) {
		opts.Show(Prompt{
			Server: c.site.server.Name, Identity: c.site.identity.Name, Scopes: p.scopes,
			AuthServer: hostOnly(p.bond.Found.Server.Issuer), URL: d.URI, UserCode: d.UserCode, Expires: d.Expires, Device: true,
		})
	})
	if err != nil {
		return c.typedBegin(err)
	}
	if err := m.settle(ctx, p.errand(client), append([]*site{c.site}, p.sites...), t); err != nil {
		return c.typedBegin(err)
	}
	return nil
}

// tab says when a browser was opened for an identity.
type tab struct {
	At   time.Time `json:"at"`
	Flow string    `json:"flow"`
}

const (
	// tabsWithin is for how long an opened browser counts.
	tabsWithin = 10 * time.Minute
	// mostTabs may be opened in that time by what no person asked for.
	mostTabs = 3
)

// claim reports whether this process is the one that opens a browser for a sign-in.
func (m *Manager) claim(ctx context.Context, s *site, id string, sparing bool) bool {
	unlock, err := m.opts.Store.Lock(ctx, "tabs")
	if err != nil {
		return false
	}
	defer unlock()
	keys, err := m.opts.Store.List(ctx, tabs)
	if err != nil {
		return !sparing
	}
	recent, own := 0, false
	for _, key := range keys {
		var t tab
		if _, err := m.opts.Store.Load(ctx, tabs, key, &t); err != nil || time.Since(t.At) > tabsWithin {
			continue
		}
		if t.Flow == id {
			return false
		}
		recent++
		own = own || key == s.who
	}
	if sparing && (own || recent >= mostTabs) {
		return false
	}
	return m.opts.Store.Put(ctx, tabs, s.who, tab{At: time.Now().Round(0), Flow: id}) == nil
}

// unclaim takes a claim back: no browser shows the sign-in.
func (m *Manager) unclaim(ctx context.Context, s *site) {
	if err := m.opts.Store.Remove(context.WithoutCancel(ctx), tabs, s.who); err != nil && !isMissing(err) {
		m.log.Debug("could not forget an opened browser", "err", err)
	}
}
