package aggregator

import (
	"context"

	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// question is a request of a server that waits for the client's answer.
type question struct {
	server *upstream.Session
	token  jsonrpc.Raw // its progress token, nil for none
	task   bool        // it may be answered with a task
}

// Ask carries a request of a server to the client and its answer back (upstream.Client).
func (s *Session) Ask(ctx context.Context, server *upstream.Session, cause jsonrpc.ID, m *jsonrpc.Message) jsonrpc.Text {
	v, _ := s.viewOf(server)
	if err := s.mayAsk(v, server, m); err != nil {
		return jsonrpc.Failure(m.ID(), err)
	}
	id := jsonrpc.Int(s.lastID.Add(1))
	params := s.question(v, server, m)
	q := question{server: server}
	_, q.task = jsonrpc.Get(params, "task")
	if raw, ok := jsonrpc.Get(params, "_meta", "progressToken"); ok {
		q.token = raw
		params = jsonrpc.Set(params, jsonrpc.Raw(id), "_meta", "progressToken")
	}
	s.mu.Lock()
	s.asked[id] = q
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.asked, id)
		s.mu.Unlock()
	}()
	text := m.WithID(id)
	if params != nil {
		text = m.WithParams(id, params)
	}
	answer, err := s.asks.Add(id)
	if err != nil {
		return jsonrpc.Failure(m.ID(), jsonrpc.Errorf(jsonrpc.CodeInternal, "%s", err))
	}
	defer s.asks.Remove(id)
	s.out.send(cause, text)
	select {
	case a, ok := <-answer:
		if !ok {
			return jsonrpc.Failure(m.ID(), jsonrpc.Errorf(jsonrpc.CodeInternal, "%s", errGone))
		}
		return s.reply(v, server, m, a)
	case <-ctx.Done():
		s.out.send(cause, upstream.Cancellation(ctx, id))
		return nil
	}
}

// question returns the params of a server's request as the client gets them. With several servers a person
// must see which one asks, and "this server" would mean all of them.
func (s *Session) question(v *view, server *upstream.Session, m *jsonrpc.Message) jsonrpc.Raw {
	params := m.Params()
	if v.only(server) {
		return params
	}
	params = v.catalog().Rewrite(server.Name(), m.Method(), params)
	params = s.exposeTask(server, params, "_meta", relatedTask, "taskId")
	switch m.Method() {
	case protocol.Elicit:
		if text, ok := jsonrpc.GetString(params, "message"); ok {
			params = jsonrpc.Set(params, jsonrpc.Quote("["+server.Name()+"] "+text), "message")
		}
		params = s.exposeElicitation(server, params)
	case protocol.CreateMessage:
		if from, ok := jsonrpc.GetString(params, "includeContext"); ok && from != "none" {
			params = jsonrpc.Set(params, jsonrpc.Raw(`"none"`), "includeContext")
		}
	}
	return params
}

// clientProgress passes the client's progress on to the server that asked.
func (s *Session) clientProgress(m *jsonrpc.Message) {
	raw, _ := jsonrpc.Get(m.Params(), "progressToken")
	s.mu.Lock()
	q := s.asked[jsonrpc.ID(raw).Key()]
	s.mu.Unlock()
	if q.token != nil {
		q.server.Notify(m.WithParams("", jsonrpc.Set(m.Params(), q.token, "progressToken")))
	}
}

// viewFor returns the view for a notification, nil when it does not concern the client any more: of a server that is
// drained only what belongs to calls in flight does.
func (s *Session) viewFor(server *upstream.Session, method string) *view {
	v, ok := s.viewOf(server)
	if !ok && method != protocol.LogMessage && method != protocol.ElicitComplete {
		return nil
	}
	return v
}

// Tell takes a notification of a server (upstream.Client).
func (s *Session) Tell(server *upstream.Session, cause jsonrpc.ID, m *jsonrpc.Message) {
	v := s.viewFor(server, m.Method())
	if v == nil || !s.concerns(v, server, m) {
		return
	}
	text := m.Text()
	switch m.Method() {
	case protocol.Updated:
		uri, _ := jsonrpc.GetString(m.Params(), "uri")
		if exposed := v.catalog().Expose(server.Name(), uri); exposed != uri {
			text = m.WithParams("", jsonrpc.Set(m.Params(), jsonrpc.Quote(exposed), "uri"))
		}
	case protocol.ElicitComplete:
		if !v.only(server) {
			text = m.WithParams("", s.exposeElicitation(server, m.Params()))
		}
	case protocol.TaskStatus:
		if !v.only(server) {
			text = m.WithParams("", s.exposeTask(server, m.Params(), "taskId"))
		}
	}
	s.out.send(cause, text)
}

// concerns reports whether a notification of a server is for the client. A shared server has others, too.
func (s *Session) concerns(v *view, server *upstream.Session, m *jsonrpc.Message) bool {
	shared := server.Server().Shared
	switch m.Method() {
	case protocol.LogMessage:
		return !shared || s.audible(m)
	case protocol.Updated:
		uri, _ := jsonrpc.GetString(m.Params(), "uri")
		return (!shared || s.subscribed(server.Name(), uri)) && v.mayRead(server, uri)
	case protocol.ElicitComplete:
		return !shared || s.visited(server, m.Params())
	case protocol.TaskStatus:
		id, _ := jsonrpc.GetString(m.Params(), "taskId")
		return s.isConcerned(v, server, id)
	}
	if v.owner(m.Method()) == server || serves(server, m.Method()) {
		return true
	}
	s.log.Debug("a notification that no rule passes on", "server", server.Name(), "method", m.Method())
	return false
}
