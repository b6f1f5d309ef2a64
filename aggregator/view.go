package aggregator

import (
	"sync/atomic"

	"github.com/plait-mcp/plait/aggregator/catalog"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// view is what a client sees at one moment: a generation, the sessions with its servers and what they list. It is
// immutable, and loaded once at the top of a request.
type view struct {
	*generation

	session  *Session
	servers  []*upstream.Session // in the order of the configuration; nil until the client works
	byName   map[string]*upstream.Session
	resolved bool                // every server has listed its resources, or had the time to
	fresh    []*upstream.Session // opened by a reload; they may not have listed anything yet
	former   *upstream.Session   // had the client for itself before others came; nil if none had
	login    *upstream.Session   // that of the login tool; nil when there is none
	old      chan struct{}       // closed when there is a newer view

	made atomic.Pointer[catalog.Catalog] // nil until it is needed
}

// begun reports whether the sessions with the servers are open.
func (v *view) begun() bool { return v.servers != nil }

// only reports whether there is no other server than this.
func (v *view) only(server *upstream.Session) bool {
	return v.alone() && v.byName[server.Name()] == server
}

// serve gives a view that nobody has seen yet its servers.
func (v *view) serve(servers []*upstream.Session) {
	v.servers, v.byName = servers, make(map[string]*upstream.Session, len(servers))
	for _, server := range servers {
		v.byName[server.Name()] = server
	}
}

// catalog returns the catalog of what the servers had listed when it was first needed.
func (v *view) catalog() *catalog.Catalog {
	if c := v.made.Load(); c != nil {
		return c
	}
	return v.session.build(v)
}

// replace makes the next view: like the last one, but for what change does to it, and with a catalog of its own.
// The session is locked.
func (s *Session) replace(change func(next *view)) *view {
	last := s.now.Load()
	next := &view{
		generation: last.generation, session: s, servers: last.servers, byName: last.byName, resolved: last.resolved,
		fresh: last.fresh, former: last.former, login: last.login,
		old: make(chan struct{}),
	}
	change(next)
	s.now.Store(next)
	close(last.old)
	return next
}

// formerName returns the name of the server that has, or had, the client for itself.
func (v *view) formerName() string {
	if v.direct() {
		return v.servers[0].Name()
	}
	if v.former != nil {
		return v.former.Name()
	}
	return ""
}

// heir returns the session that has the place of another, which may be that one; nil when it is nowhere.
func (v *view) heir(server *upstream.Session) *upstream.Session {
	if server == nil {
		return nil
	}
	return v.byName[server.Name()]
}

// viewOf returns the view, and whether a server that comes with something has a place in it: one that is drained
// has none.
func (s *Session) viewOf(server *upstream.Session) (*view, bool) {
	v := s.now.Load()
	if v.byName[server.Name()] != server { // it may be there in a moment
		s.mu.Lock()
		v = s.now.Load()
		s.mu.Unlock()
	}
	return v, v.byName[server.Name()] == server
}

// part is what one server contributes to the catalog, and what it was made from.
type part struct {
	fragment *catalog.Fragment
	namer    *catalog.Namer
	versions [protocol.Lists]uint64
}

// build makes the catalog of a view, unless somebody else just did.
func (s *Session) build(v *view) *catalog.Catalog {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := v.made.Load()
	if c == nil {
		fragments := make([]*catalog.Fragment, len(v.servers))
		for i, server := range v.servers {
			fragments[i] = s.fragment(v, server)
		}
		c = s.agg.build(v, fragments)
		v.made.Store(c)
	}
	return c
}

// fragment returns the part of a server, made anew when the names or one of its lists changed.
func (s *Session) fragment(v *view, server *upstream.Session) *catalog.Fragment {
	var lists [protocol.Lists]upstream.Items
	var versions [protocol.Lists]uint64
	for l := range protocol.Lists {
		lists[l] = server.List(l)
		versions[l] = lists[l].Version
	}
	if have, ok := s.parts[server]; ok && have.namer == v.namer && have.versions == versions {
		return have.fragment
	}
	fragment := s.agg.fragment(v, server.Name(), lists)
	if v.generation == s.now.Load().generation {
		s.parts[server] = part{fragment, v.namer, versions}
	}
	return fragment
}

// build makes a catalog. Of a complete one it remembers who owns which URI: before, the fastest server would
// own what several have, and not the first in the configuration. What is wrong with an item is said once.
func (a *Aggregator) build(v *view, fragments []*catalog.Fragment) *catalog.Catalog {
	profile := v.session.visitor.Profile
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.commonOf(profile).catalog(v.namer, fragments, a.pins[profile])
	if v.resolved && v.generation == a.now.Load().of(profile) {
		a.pins[profile] = c.Pins()
	}
	for _, w := range c.Warnings() {
		if !a.warned[w] {
			a.warned[w] = true
			a.log.Warn("an item of a list is not as it should be", "server", w.Server, "list", w.Kind.String(),
				"item", w.Item, "problem", w.Problem)
		}
	}
	return c
}

// Changed notes that a list of a server changed (upstream.Client).
func (s *Session) Changed(server *upstream.Session, _ protocol.List) {
	switch v, ok := s.viewOf(server); {
	case ok:
		s.agg.remember(server)
	case v.login != server:
		return
	}
	s.mu.Lock()
	s.replace(func(*view) {})
	s.mu.Unlock()
	s.kickOff()
}

// SignInChanged notes that a server began or ceased to need a sign-in (upstream.Client).
func (s *Session) SignInChanged(server *upstream.Session) {
	if server.Status().State == upstream.SignIn && !s.visitor.Remote {
		s.agg.needsSignIn(server.Name())
	}
	s.mu.Lock()
	s.replace(func(*view) {})
	s.mu.Unlock()
	s.kickOff()
}

// kickOff has announce look at the lists.
func (s *Session) kickOff() { s.hear(changed) }
