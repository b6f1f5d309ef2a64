package downstream

import (
	"sync"
	"time"
)

// rules are what may change while a front serves. Nobody changes them: others take their place.
type rules struct {
	guard

	path     string
	sse      bool
	sessions int
	idle     time.Duration
	lifetime time.Duration
	replay   int64
	drain    time.Duration
}

// newRules returns the rules of complete options.
func newRules(o *HTTPOptions) *rules {
	return &rules{
		guard: guard{hosts: o.AllowedHosts, origins: origins(o.AllowedOrigins), bearer: o.Bearer},
		path:  o.Path, sse: o.SSE, sessions: o.Sessions, idle: o.Idle, lifetime: o.Lifetime, replay: o.Replay, drain: o.Drain,
	}
}

// Adopt has what o says of paths, of who may come in and of bounds hold from now on; the rest of o does not count.
// Sessions go on, but for those that nobody could open any more: all of them when another token is asked for, for who
// has the former one must not stay, and those of HTTP with SSE when that is served no longer. Adopt waits for their end.
// Replay counts for new sessions.
func (h *HTTP) Adopt(o HTTPOptions) {
	o.Log, o.Limit = h.options.Log, h.options.Limit
	o.complete()
	now := newRules(&o)
	h.mu.Lock()
	before := h.rules.Load()
	now.turn = before.turn
	if now.bearer != before.bearer {
		now.turn++
	}
	h.rules.Store(now)
	h.mu.Unlock()
	h.connections.bound(o.Connections)
	h.bound(o.Memory)
	var all sync.WaitGroup
	for _, s := range h.all() {
		if s.client.Principal != now.principal() || s.single && !now.sse {
			all.Go(func() { h.drop(s) })
		}
	}
	all.Wait()
}
