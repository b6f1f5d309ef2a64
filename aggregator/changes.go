package aggregator

import (
	"bytes"
	"time"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// quiet is how long changes are gathered before the client is told.
const quiet = 100 * time.Millisecond

// news is what the client may have to be told of.
type news uint8

const (
	changed    news = 1 << iota // a list changed
	adopted                     // there is a new generation
	announcing                  // announce is at work
)

// hear notes news, and has the client told.
func (s *Session) hear(n news) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.news&announcing == 0 && !s.closed {
		s.work.Go(s.announce)
	}
	s.news |= n | announcing
}

// next takes news and says how long more is gathered, false when there is none.
func (s *Session) next() (wait time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.news&adopted != 0: // what changed by it is known
		s.news &^= adopted
		return 0, true
	case s.news&changed != 0:
		s.news &^= changed
		return quiet, true
	default:
		s.news = 0
		return 0, false
	}
}

// announce tells the client that a list changed which it has read, once, and only when the merged list is
// another. It returns when there are no news, or the session ends.
func (s *Session) announce() {
	for {
		wait, ok := s.next()
		if !ok {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-s.life().Done():
			timer.Stop()
			return
		}
		s.settle()
		for _, method := range s.changes() {
			s.out.send("", jsonrpc.NewNotification(method, nil))
		}
	}
}

// changes returns the notifications that are due.
func (s *Session) changes() []string {
	v := s.now.Load()
	var lists [protocol.Lists]jsonrpc.Raw
	for l := range protocol.Lists {
		lists[l] = v.list(l)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []string
	for l, now := range lists {
		l := protocol.List(l)
		if s.shown[l] == nil || bytes.Equal(s.shown[l], now) {
			continue
		}
		s.shown[l] = now
		if len(due) == 0 || due[len(due)-1] != l.Changed() {
			due = append(due, l.Changed())
		}
	}
	return due
}
