package upstream

import (
	"context"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// outboxSize bounds the notifications that wait to be sent to a server.
const outboxSize = 256

// Notify sends a notification of the client, in order, in the background. It is dropped, with a line in the
// log, when the server is not connected or does not take what was sent before.
func (s *Session) Notify(m jsonrpc.Text) {
	if l := s.current(); l != nil {
		s.post(l, m)
	}
}

func (s *Session) post(l *link, m jsonrpc.Text) {
	select {
	case <-l.lost:
	case s.outbox <- m:
	default:
		l.deaf.Do(func() { s.log.Warn("notifications are dropped: the server does not take them") })
	}
}

// deliver sends what is in the outbox until ctx ends; what is left then is thrown away.
func (s *Session) deliver(ctx context.Context, l *link) {
	for {
		select {
		case <-ctx.Done():
			for len(s.outbox) > 0 {
				<-s.outbox
			}
			return
		case m := <-s.outbox:
			bounded, cancel := context.WithTimeout(ctx, farewell)
			if err := l.conn.Send(bounded, m); err != nil && ctx.Err() == nil {
				s.log.Debug("a notification was not delivered", "err", err)
			}
			cancel()
		}
	}
}
