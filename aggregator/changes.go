package aggregator

import (
	"bytes"
	"time"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// quiet is how long changes are gathered before the client is told.
const quiet = 100 * time.Millisecond

// announce tells the client that a list changed which it has read, once, and only when the merged list is
// another. It returns when the session ends.
func (s *Session) announce() {
	for {
		wait := quiet
		select {
		case <-s.kick:
		case <-s.adopted: // what changed by it is known
			wait = 0
		case <-s.life().Done():
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
