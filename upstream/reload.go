package upstream

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// ErrRetired says that a session takes no more calls, because the configuration changed: another has its place.
var ErrRetired = errors.New("the configuration changed")

// Apply replaces the servers, of which there may be several for a name, as profiles see it: Open gives sessions with
// these from now on, and Reopen is to be called for each client that has some. A server stays the same inside when its name, and all that decides the connection, did.
func (s *Set) Apply(servers []*config.Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	type key struct {
		name   string
		usable bool
	}
	keyOf := func(cfg *config.Server) key { return key{cfg.Name, len(cfg.Problems) == 0} }
	had, has := map[key]*server{}, map[key]*server{}
	for _, srv := range s.servers {
		had[keyOf(srv.settings())] = srv
	}
	s.servers, s.of = nil, make(map[*config.Server]*server, len(servers))
	for _, cfg := range servers {
		k := keyOf(cfg)
		if has[k] == nil {
			srv := newServer(cfg)
			switch same := had[k]; {
			case same == nil:
			case same.take(srv):
				srv = same
				delete(had, k)
			default:
				srv.common.tally = same.common.tally
			}
			has[k] = srv
			s.servers = append(s.servers, srv)
		}
		s.of[cfg] = has[k]
	}
	for _, srv := range had {
		s.orphan(srv)
	}
}

// orphan has a server that is not configured any more lose its shared session when all clients have left it. The
// set is locked.
func (s *Set) orphan(srv *server) {
	defer srv.abandon()
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if session := srv.shared; session != nil {
		s.draining[session] = nil
		s.drains.Go(func() {
			_ = session.await(s.ctx(), func() bool { return len(session.clients) == 0 })
			s.bury(session)
		})
	}
}

// Reopen returns the sessions of a client with servers after Apply, never nil: those of have whose
// server stayed the same, with its new settings, and new ones, which take over what the client had set up with
// the server of that name. retired are those that are not needed any more; Drain ends them. Shared sessions that take
// over wait for Start.
func (s *Set) Reopen(client Client, hello Hello, servers []*config.Server, have []*Session) (now, retired []*Session) {
	now = make([]*Session, 0, len(servers))
	for _, cfg := range servers {
		o := opening{server: s.server(cfg), cfg: cfg, client: client, hello: hello}
		i := slices.IndexFunc(have, func(old *Session) bool { return old.Name() == cfg.Name })
		switch {
		case i < 0:
			now = append(now, s.open(o))
		case have[i].of == o.server:
			have[i].settings.Store(cfg)
			now = append(now, have[i])
		default:
			o.old = have[i]
			now = append(now, s.open(o))
		}
	}
	for _, old := range have {
		if !slices.Contains(now, old) {
			retired = append(retired, old)
		}
	}
	return now, retired
}

// Start starts the shared sessions that take over from others, when all clients have been given theirs: what such a server
// says at once, none of them shall miss.
func (s *Set) Start() {
	for _, session := range s.heirs {
		session.start()
	}
	s.heirs = nil
}

// Require is Reopen with those of servers that are required, for plait itself, which only wants to know whether they can be
// reached. One that is idle and was never connected is used, so that this comes out.
func (s *Set) Require(client Client, servers []*config.Server, have []*Session) (now, retired []*Session) {
	servers = slices.DeleteFunc(slices.Clone(servers), func(cfg *config.Server) bool { return !cfg.Required })
	now, retired = s.Reopen(client, s.own(), servers, have)
	for _, session := range now {
		session.mu.Lock()
		if !session.opened {
			session.rouse()
		}
		session.mu.Unlock()
	}
	return now, retired
}

// Drain ends sessions of a client in the background: they take no more calls, those in flight have limit to come
// to their end. A shared session ends when it is drained for all of its clients; one of a server that others still
// have goes on for them.
func (s *Set) Drain(client Client, retired []*Session, limit time.Duration) {
	for _, session := range retired {
		if session.Server().Shared && slices.Contains(s.current(), session.of) {
			session.detach(client)
			continue
		}
		session.mu.Lock()
		session.retired = true
		session.mu.Unlock()
		if !session.Server().Shared {
			s.mu.Lock()
			s.draining[session] = client
			s.mu.Unlock()
		}
		s.drains.Go(func() { s.drain(client, session, limit) })
	}
}

func (s *Set) drain(client Client, session *Session, limit time.Duration) {
	ctx, cancel := context.WithTimeout(s.ctx(), limit)
	defer cancel()
	err := session.await(ctx, func() bool { return session.users == 0 || session.state == Closed })
	if errors.Is(err, context.DeadlineExceeded) {
		session.log.Warn("calls are given up: the server is not configured any more", "drain", limit)
	}
	if session.Server().Shared {
		session.forget(client)
		return
	}
	s.bury(session)
}

// bury ends a session that nobody has any more.
func (s *Set) bury(session *Session) {
	session.close()
	s.mu.Lock()
	delete(s.draining, session)
	s.mu.Unlock()
}

// enter counts a call in, unless no more are taken.
func (s *Session) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired {
		return ErrRetired
	}
	s.users++
	return nil
}

// exit counts a call out.
func (s *Session) exit() {
	s.mu.Lock()
	s.users--
	last := s.retired && s.users == 0
	s.mu.Unlock()
	if last { // drain waits for it
		s.change(func() {})
	}
}

// inherit takes over what a client, or all clients of two shared sessions, had set up with the session that was
// there before. Its lists are shown until this one has read its own or cannot. The session does not run yet.
func (s *Session) inherit(old *Session, client Client) {
	old.mu.Lock()
	defer old.mu.Unlock()
	heirs := map[Client]struct{}{client: {}}
	if s.Server().Shared && old.Server().Shared {
		old.heir, heirs = s, old.clients
	}
	for c := range heirs {
		s.clients[c] = struct{}{}
		if level := old.levels[c]; level != nil {
			s.levels[c] = level
		}
		for uri, subscribers := range old.subs {
			if _, ok := subscribers[c]; !ok {
				continue
			}
			if s.subs[uri] == nil {
				s.subs[uri] = map[Client]struct{}{}
			}
			s.subs[uri][c] = struct{}{}
		}
	}
	s.opened = true // so that the subscribers hear that something may have changed meanwhile
	for l := range protocol.Lists {
		have, own := &old.lists[l], &s.lists[l]
		own.wanted = have.wanted
		if own.read.IsZero() {
			own.items, own.frame = have.items, have.frame
		}
	}
}

// inherited reports whether a list is that of the session before. The state is locked.
func (k *list) inherited() bool { return k.read.IsZero() && k.frame != nil }

// disown forgets a list that is inherited and reports whether it was. The state is locked.
func (k *list) disown() bool {
	if !k.inherited() {
		return false
	}
	k.known = known{}
	k.version++
	return true
}

// disown forgets the lists that are inherited: the server cannot be asked for its own.
func (s *Session) disown() {
	for l := range protocol.Lists {
		s.mu.Lock()
		changed := s.lists[l].disown()
		s.mu.Unlock()
		if changed {
			s.each(func(c Client) { c.Changed(s, l) })
		}
	}
}
