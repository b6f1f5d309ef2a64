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
		l.outbox <- m // it has room for all
	}
	s.held = nil
}

func (s *Session) post(l *link, m jsonrpc.Text) {
	select {
	case <-l.lost:
	case l.outbox <- m:
	default:
		l.deaf.Do(func() { s.log.Warn("notifications are dropped: the server does not take them") })
	}
}

// deliver sends what is in the outbox of a link until ctx ends.
func (s *Session) deliver(ctx context.Context, l *link) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-l.outbox:
			bounded, cancel := context.WithTimeout(ctx, farewell)
			err := l.conn.Send(bounded, m)
			cancel()
			if err != nil && ctx.Err() == nil {
				s.log.Debug("a notification was not delivered", "err", err)
			}
			if voids(err) {
				l.drop(err)
			}
		}
	}
}
