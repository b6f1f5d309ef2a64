package upstream

import (
	"context"
	"time"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// restoreTime bounds each request that puts something back.
const restoreTime = 10 * time.Second

// Subscribe subscribes a client to a resource, by its request. The answer is nil when a shared server has the
// subscription already. It outlives the connection. See Call for errors.
func (s *Session) Subscribe(ctx context.Context, client Client, uri string, c Call) (*jsonrpc.Message, error) {
	done, err := s.turn(ctx, uri)
	if err != nil {
		return nil, err
	}
	defer done()
	s.mu.Lock()
	had := len(s.subs[uri]) > 0
	s.mu.Unlock()
	var m *jsonrpc.Message
	if !had || !s.Server().Shared {
		if m, err = s.Call(ctx, c); err != nil || m.Error() != nil {
			return m, err
		}
	}
	s.change(func() {
		if s.subs[uri] == nil {
			s.subs[uri] = map[Client]struct{}{}
		}
		s.subs[uri][client] = struct{}{}
	})
	return m, nil
}

// Unsubscribe ends a subscription. The answer is nil when other clients of a shared server keep it.
func (s *Session) Unsubscribe(ctx context.Context, client Client, uri string, c Call) (*jsonrpc.Message, error) {
	done, err := s.turn(ctx, uri)
	if err != nil {
		return nil, err
	}
	defer done()
	last := false
	s.change(func() {
		delete(s.subs[uri], client)
		if last = len(s.subs[uri]) == 0; last {
			delete(s.subs, uri)
		}
	})
	if !last && s.Server().Shared {
		return nil, nil //nolint:nilnil // documented: no answer of the server
	}
	return s.Call(ctx, c)
}

// turn waits until no other client of a shared session changes what it is subscribed to: what one begins must not be
// ended by another's request that the server gets later. It returns the error of ctx, or what to call in the end.
func (s *Session) turn(ctx context.Context, uri string) (done func(), err error) {
	if !s.Server().Shared {
		return func() {}, nil
	}
	err = s.await(ctx, func() bool {
		if _, taken := s.turns[uri]; taken {
			return false
		}
		if s.turns == nil {
			s.turns = map[string]struct{}{}
		}
		s.turns[uri] = struct{}{}
		return true
	})
	return func() { s.change(func() { delete(s.turns, uri) }) }, err
}

// SetLevel remembers the log level that a client wants and tells the server, now if it is there and at every
// new connection. A shared server gets the least severe of all.
func (s *Session) SetLevel(ctx context.Context, client Client, level jsonrpc.Raw) {
	s.change(func() { s.levels[client] = level })
	if l := s.current(); l != nil {
		s.sendLevel(ctx, l)
	}
}

// KeepLevel remembers a log level that the client sets by a call of its own.
func (s *Session) KeepLevel(client Client, level jsonrpc.Raw) {
	s.change(func() { s.levels[client] = level })
}

func (s *Session) sendLevel(ctx context.Context, l *link) {
	level := s.level()
	if _, ok := jsonrpc.Get(l.capabilities, "logging"); !ok || level == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, restoreTime)
	defer cancel()
	m, err := s.request(ctx, l, protocol.SetLevel, jsonrpc.Set(jsonrpc.Raw("{}"), level, "level"))
	if err == nil && m.Error() != nil {
		err = m.Error()
	}
	if err != nil {
		s.log.Warn("the log level was not set", "err", err)
	}
}

// level returns the least severe level that a client wants, nil if none wants any.
func (s *Session) level() jsonrpc.Raw {
	s.mu.Lock()
	defer s.mu.Unlock()
	var least jsonrpc.Raw
	rank := -1
	for _, raw := range s.levels {
		word, _ := jsonrpc.ReadString(raw)
		if r, ok := protocol.Severity(word); ok && (rank < 0 || r < rank) {
			least, rank = raw, r
		}
	}
	return least
}

// restore puts back the log level and the subscriptions on a new link, which nobody else has yet.
func (s *Session) restore(ctx context.Context, l *link) {
	l.level = s.level()
	s.sendLevel(ctx, l)
	for _, uri := range s.subscribed() {
		bounded, cancel := context.WithTimeout(ctx, restoreTime)
		_, err := s.request(bounded, l, protocol.Subscribe, uriParams(uri))
		cancel()
		if err != nil {
			s.log.Warn("a subscription was not put back", "err", err)
		}
	}
}

// repeatUpdates tells the subscribers that a resource may have changed while nobody listened.
func (s *Session) repeatUpdates() {
	for _, uri := range s.subscribed() {
		m, err := jsonrpc.Parse(jsonrpc.NewNotification(protocol.Updated, uriParams(uri)).Bytes())
		if err == nil {
			s.each(func(c Client) { c.Tell(s, "", m) })
		}
	}
}

// repeatChanges tells the client of a bridge, whose lists nobody else keeps, that they may be others.
func (s *Session) repeatChanges(l *link) {
	if !s.bridge {
		return
	}
	for _, list := range []protocol.List{protocol.Tools, protocol.Prompts, protocol.Resources} {
		if told, _ := jsonrpc.Get(l.capabilities, list.Capability(), "listChanged"); string(told) != "true" {
			continue
		}
		m, err := jsonrpc.Parse(jsonrpc.NewNotification(list.Changed(), nil).Bytes())
		if err == nil {
			s.each(func(c Client) { c.Tell(s, "", m) })
		}
	}
}

func (s *Session) subscribed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var uris []string
	for uri := range s.subs {
		uris = append(uris, uri)
	}
	return uris
}

func uriParams(uri string) jsonrpc.Raw {
	return jsonrpc.Set(jsonrpc.Raw("{}"), jsonrpc.Quote(uri), "uri")
}
