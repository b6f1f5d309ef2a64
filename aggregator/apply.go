package aggregator

import (
	"context"
	"maps"
	"slices"

	"github.com/plait-mcp/plait/aggregator/catalog"
	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// Apply replaces the configuration while clients work, and returns what that changes. It cannot fail: cfg is
// checked. It blocks until every client is served by it, not until calls in flight have ended. Servers whose
// connection is decided by the same settings notice nothing; the others are opened anew beside the old, which are
// given up when their calls have come to an end, within reload.drain. After Close it does nothing.
func (a *Aggregator) Apply(cfg *config.Config) config.Plan {
	a.applying.Lock()
	defer a.applying.Unlock()
	last := a.now.Load()
	plan := config.Diff(last.cfg, cfg)
	if a.closed {
		return plan
	}
	next := newConfiguration(last.number+1, cfg)

	// Nothing above can be seen.
	a.swap.Lock()
	a.servers.Apply(next.servers())
	a.now.Store(next)
	a.swap.Unlock()
	for _, s := range a.clients() {
		s.adopt(next.of(s.visitor.Profile))
	}
	a.required.adopt()
	a.servers.Start()
	a.drop(plan, next)
	return plan
}

// clients returns the sessions in the order in which they were opened.
func (a *Aggregator) clients() []*Session {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.SortedFunc(maps.Keys(a.sessions), func(x, y *Session) int { return x.number - y.number })
}

// drop forgets what servers said that are not there any more, or may say something else now, and profiles that are gone.
func (a *Aggregator) drop(plan config.Plan, now *configuration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.common) // the names may be others
	for _, c := range plan.Changes {
		if c.Action == config.Stop || c.Action == config.Restart {
			delete(a.instructions, c.Server)
		}
	}
	maps.DeleteFunc(a.pins, func(profile string, _ *catalog.Pins) bool { return now.of(profile).gone })
}

// adopt serves the client from now on by the next generation.
func (s *Session) adopt(next *generation) {
	if retired := s.swap(next); len(retired) > 0 {
		s.agg.servers.Drain(s, retired, next.cfg.Reload.Drain)
	}
	s.hear(adopted)
}

// swap replaces the view and returns the sessions with servers that have no place in the new one.
func (s *Session) swap(next *generation) (retired []*upstream.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.now.Load()
	switch {
	case s.closed || last.generation == next:
		return nil
	case !last.begun():
		s.replace(func(v *view) { v.generation = next })
		return nil
	}
	servers, retired := s.agg.servers.Reopen(s, *s.hello.Load(), next.cfg.Servers, last.servers)
	fresh := slices.DeleteFunc(slices.Clone(servers), func(server *upstream.Session) bool {
		return slices.Contains(last.servers, server)
	})
	now := s.replace(func(v *view) {
		v.generation = next
		v.serve(servers)
		v.resolved = v.resolved && len(fresh) == 0
		v.fresh = slices.DeleteFunc(slices.Concat(last.fresh, fresh), func(server *upstream.Session) bool {
			return v.byName[server.Name()] != server
		})
		v.former = v.byName[last.formerName()]
	})
	for _, old := range retired {
		delete(s.parts, old)
		for _, table := range []*owners{s.learned, s.tasks, s.visits, s.answered} {
			table.move(old, now.byName[old.Name()])
		}
	}
	s.welcomeServers(fresh)
	return retired
}

// welcomeServers tells servers that a reload has opened what the client has set up. The session is locked.
func (s *Session) welcomeServers(fresh []*upstream.Session) {
	if len(fresh) == 0 {
		return
	}
	clear(s.waits[:])
	for _, server := range fresh {
		for l := range protocol.Lists {
			if s.shown[l] != nil {
				server.Want(l)
			}
		}
		if s.level != "" {
			level := jsonrpc.Quote(s.level)
			s.work.Go(func() { server.SetLevel(s.life(), s, level) })
		}
	}
}

// settle waits until the servers that a reload has opened have listed what the client has read, or cannot, so that
// it is told once. It takes startup.wait at most.
func (s *Session) settle() {
	v := s.now.Load()
	if len(v.fresh) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(s.life(), v.cfg.Startup.Wait)
	defer cancel()
	for {
		for _, server := range v.fresh {
			for l := range protocol.Lists {
				if s.hasRead(l) {
					_ = server.AwaitRead(ctx, l) // too late is as good as down
				}
			}
		}
		next := s.now.Load()
		if next.generation == v.generation || ctx.Err() != nil {
			return
		}
		v = next
	}
}

// hasRead reports whether the client knows a list.
func (s *Session) hasRead(l protocol.List) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown[l] != nil
}
