package upstream

import (
	"context"
	"strconv"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// Request serves a request of the server (transport.Handler): a ping here, everything else by the client.
func (s *Session) Request(ctx context.Context, cause jsonrpc.ID, m *jsonrpc.Message) jsonrpc.Text {
	if m.Method() == protocol.Ping {
		return jsonrpc.Result(m.ID(), jsonrpc.Raw("{}"))
	}
	s.common.tally.heard(m)
	client := s.only()
	if client == nil {
		return jsonrpc.Failure(m.ID(), jsonrpc.Errorf(jsonrpc.CodeInvalidParams,
			"no associated client request: the session is shared by several clients"))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	of, done := s.asking(cause, m.ID().Key(), cancel)
	defer done()
	return client.Ask(ctx, s, of.causeFor(client), m)
}

// only returns the client of a session that is not shared.
func (s *Session) only() Client {
	if s.Server().Shared {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		return c
	}
	return nil
}

// causing returns the call in flight because of which the server says something, nil when nobody knows. On a wire
// without streams it is known when only one call is in flight. The state is locked.
func (s *Session) causing(cause jsonrpc.ID) *pending {
	p := s.calls[cause]
	if cause == "" && len(s.calls) == 1 {
		for _, p = range s.calls {
		}
	}
	return p
}

// causeFor returns the id of the request as the client knows it, "" when the call, which may be nil, is another's.
func (p *pending) causeFor(c Client) jsonrpc.ID {
	if p == nil || p.Client != c {
		return ""
	}
	return p.Message.ID()
}

// asking enters a request of the server, so that the server, or the end of the call that caused it, can
// cancel it. It returns that call, nil when nobody knows it.
func (s *Session) asking(cause, id jsonrpc.ID, cancel context.CancelCauseFunc) (p *pending, done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asks[id] = cancel
	p = s.causing(cause)
	if p != nil {
		if p.asks == nil {
			p.asks = map[jsonrpc.ID]context.CancelCauseFunc{}
		}
		p.asks[id] = cancel
	}
	return p, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.asks, id)
		if p != nil {
			delete(p.asks, id)
			p.timer.Reset(p.timeout)
		}
	}
}

// Notification takes a notification of the server (transport.Handler).
func (s *Session) Notification(cause jsonrpc.ID, m *jsonrpc.Message) {
	s.common.tally.heard(m)
	switch m.Method() {
	case protocol.Progress:
		s.progress(m)
	case protocol.Cancelled:
		raw, _ := jsonrpc.Get(m.Params(), "requestId")
		if id, ok := jsonrpc.ReadID(raw); ok {
			s.mu.Lock()
			cancel := s.asks[id.Key()]
			s.mu.Unlock()
			if cancel != nil {
				reason, _ := jsonrpc.Get(m.Params(), "reason")
				cancel(&jsonrpc.CancelledError{Reason: reason})
			}
		}
	default:
		if m.Method() == protocol.TaskStatus {
			s.mu.Lock()
			s.endTask(m.Params())
			s.mu.Unlock()
		}
		changed := protocol.ListsOf(m.Method())
		for _, l := range changed {
			s.stale(l)
		}
		if changed == nil || s.bridge {
			s.tell(cause, m)
		}
	}
}

// tell passes a notification on. Of what has an addressee the clients know themselves whether they are that. All else is
// for the client whose call caused it, and for all when there is no call.
func (s *Session) tell(cause jsonrpc.ID, m *jsonrpc.Message) {
	switch m.Method() {
	case protocol.Updated, protocol.TaskStatus, protocol.ElicitComplete:
		s.mu.Lock()
		p := s.calls[cause]
		s.mu.Unlock()
		s.each(func(c Client) { c.Tell(s, p.causeFor(c), m) })
		return
	}
	s.mu.Lock()
	p, client, quiet := s.causing(cause), s.soleCaller(), len(s.calls) == 0
	s.mu.Unlock()
	switch {
	case p != nil:
		p.Client.Tell(s, p.causeFor(p.Client), m)
	case cause == "" && client != nil:
		client.Tell(s, "", m)
	case cause == "" && quiet || !s.Server().Shared:
		s.each(func(c Client) { c.Tell(s, "", m) })
	default:
		s.log.Debug("a notification of a shared server that may concern any of its callers", "method", m.Method())
	}
}

// soleCaller returns the client whose calls all calls in flight are, nil when there are none, or others'. The state is
// locked.
func (s *Session) soleCaller() Client {
	var sole Client
	for _, p := range s.calls {
		if sole != nil && sole != p.Client {
			return nil
		}
		sole = p.Client
	}
	return sole
}

// progress hands a notification of progress to the call that it belongs to. One that comes after the
// answer, that nobody asked for, or that does not increase is dropped (2025-11-25, progress).
func (s *Session) progress(m *jsonrpc.Message) {
	token, _ := jsonrpc.Get(m.Params(), "progressToken")
	raw, _ := jsonrpc.Get(m.Params(), "progress")
	value, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return
	}
	s.mu.Lock()
	p := s.caller(jsonrpc.ID(token))
	ok := p != nil && p.Progress != nil && value > p.value
	if ok {
		p.value = value
	}
	s.mu.Unlock()
	if p != nil {
		p.timer.Reset(p.timeout)
	}
	if ok {
		p.Progress(m)
	}
}
