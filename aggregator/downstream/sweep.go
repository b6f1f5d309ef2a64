package downstream

import (
	"runtime"
	"runtime/debug"
	"time"
)

// hesitation is how long a client may take to go on after initialize.
const hesitation = time.Minute

// sweep ends sessions that nobody uses or that are too old, until Close.
func (h *HTTP) sweep() {
	var freed uint64 // sessions that had been opened when memory was given back
	for {
		rules := h.rules.Load()
		pause := time.NewTimer(min(rules.idle, rules.lifetime, hesitation)/4 + time.Millisecond)
		select {
		case <-h.life().Done():
			pause.Stop()
			return
		case now := <-pause.C:
			for _, s := range h.all() {
				if reason := h.overdue(s, rules, now); reason != "" {
					h.options.Log.Debug("a session is ended", "reason", reason)
					h.work.Go(func() { h.expire(s, reason) })
				}
				s.forget(now)
			}
			h.crew.relieve()
			freed = h.free(freed)
		}
	}
}

func (h *HTTP) overdue(s *session, rules *rules, now time.Time) string {
	if h.lacks(s.client.Profile) != nil && s.exchange.idle() {
		return "its profile is gone"
	}
	if now.Sub(s.began) > rules.lifetime {
		return "its time is up"
	}
	if since := s.freshSince(); !since.IsZero() && now.Sub(since) > hesitation {
		return "its client does not go on"
	}
	if since := s.idleSince(); !since.IsZero() && now.Sub(since) > rules.idle {
		return "nobody uses it"
	}
	return ""
}

// expire is drop with an answer to the calls in flight.
func (h *HTTP) expire(s *session, reason string) {
	if !h.hide(s) {
		return
	}
	s.exchange.giveUp(h.life(), "the session has ended: "+reason+"; begin another and send it again")
	h.bury(s)
}

// free gives memory back to the system when all sessions have ended and there were some since so many had been opened. It
// returns how many had been when that was done.
func (h *HTTP) free(before uint64) uint64 {
	h.mu.Lock()
	opened, count := h.counters.opened.Load(), h.count
	h.mu.Unlock()
	if count > 0 || opened == before {
		return before
	}
	runtime.GC() // what a pool holds outlives one collection
	debug.FreeOSMemory()
	return opened
}
