package upstream

import (
	"context"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// outboxSize bounds the notifications that wait to be sent to a server.
const outboxSize = 256

// Notify sends a notification of the client, in order, in the background. While a connection is being made it is
// held back for that: the server may have asked already what has changed meanwhile. It is dropped when none is being
// made, and, with a line in the log, when the server does not take what was sent before.
func (s *Session) Notify(m jsonrpc.Text) {
	s.mu.Lock()
	l := s.link
	if l == nil && s.state == Connecting && len(s.held) < outboxSize {
		s.held = append(s.held, m)
	}
	s.mu.Unlock()
	if l != nil {
		s.post(l, m)
	}
}

// unhold posts what was held back. The state is locked, and nobody has the link yet.
func (s *Session) unhold(l *link) {
	for _, m := range s.held {
		s.enqueue(l, m) // there is room for all
	}
	s.held = nil
}

func (s *Session) post(l *link, m jsonrpc.Text) {
	s.mu.Lock()
	taken := s.enqueue(l, m)
	s.mu.Unlock()
	if !taken {
		l.deaf.Do(func() { s.log.Warn("notifications are dropped: the server does not take them") })
	}
}

// enqueue puts a notification into the outbox of a link, which somebody empties while there is anything in it. It
// reports false when there is no room. The state is locked.
func (s *Session) enqueue(l *link, m jsonrpc.Text) bool {
	if l.isLost() || s.state == Closed { // nobody waits any more for those who deliver
		return true
	}
	if len(l.outbox) == outboxSize {
		return false
	}
	l.outbox = append(l.outbox, m)
	if !l.delivering {
		l.delivering = true
		s.deliver(l)
	}
	return true
}

// empty sends what is in the outbox of a link until nothing is, or the link is lost.
func (s *Session) empty(ctx context.Context, l *link) {
	for m := s.dequeue(l); m != nil; m = s.dequeue(l) {
		bounded, cancel := context.WithTimeout(ctx, farewell)
		err := l.conn.Send(bounded, m)
		cancel()
		if err != nil && !l.isLost() {
			s.log.Debug("a notification was not delivered", "err", err)
		}
		if voids(err) {
			l.drop(err)
		}
	}
}

// dequeue takes what is to be delivered next, nil for nothing.
func (s *Session) dequeue(l *link) jsonrpc.Text {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(l.outbox) == 0 || l.isLost() {
		l.outbox, l.delivering = nil, false
		return nil
	}
	m := l.outbox[0]
	l.outbox = l.outbox[1:]
	return m
}
