package upstream

import (
	"context"
	"errors"
	"time"
)

// errUnused ends a link that nobody uses.
var errUnused = errors.New("nobody uses the session")

// doze waits until a session that is idle is used, or ctx ends.
func (s *Session) doze(ctx context.Context) {
	select {
	case <-s.wake:
	case <-ctx.Done():
	}
}

// needed reports whether a client has something that only a connection keeps: a subscription, or a list of which
// nothing is known. The state is locked.
func (s *Session) needed() bool {
	for i := range s.lists {
		if s.lists[i].wanted && s.lists[i].read.IsZero() {
			return true
		}
	}
	return len(s.subs) > 0
}

// rouse has a session that is idle connect. The state is locked.
func (s *Session) rouse() {
	if s.state != Idle {
		return
	}
	s.expect()
	if !s.begun {
		s.begun = true
		s.supervise()
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// expect shows that an attempt is to begin. The state is locked; nobody waits for this news.
func (s *Session) expect() { s.state, s.since = Connecting, time.Now() }

// endUnused ends a link that was not used for the idleTimeout of the server. It returns then, or when ctx ends.
func (s *Session) endUnused(ctx context.Context, l *link) {
	limit := s.Server().IdleTimeout
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		var left time.Duration
		s.change(func() {
			if left = s.unused(l, limit); left <= 0 && s.link == l {
				s.state, s.link, s.rested = Idle, nil, l
			}
		})
		if left <= 0 {
			l.drop(errUnused)
			return
		}
		timer.Reset(left)
	}
}

// unused returns how long the link must go on being unused. It is used while a call, a request of the server, a
// subscription, a task or the reading of a list is under way. The state is locked.
func (s *Session) unused(l *link, limit time.Duration) time.Duration {
	s.tasks = openTasks(s.tasks)
	busy := l.calls > 0 || len(s.asks) > 0 || len(s.subs) > 0 || len(s.tasks) > 0
	for i := range s.lists {
		busy = busy || s.lists[i].loading
	}
	if busy {
		return limit
	}
	return limit - time.Since(s.used)
}
