package aggregator

import (
	"context"
	"errors"

	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// errGone ends what waits for a client that is gone.
var errGone = errors.New("the client is gone")

func invalid(err error) error {
	return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: err.Error()}
}

// failure makes the answer to a request that did not work.
func (s *Session) failure(m *jsonrpc.Message, err error) jsonrpc.Text {
	e := &jsonrpc.Error{Code: jsonrpc.CodeInternal, Message: s.agg.redact(err.Error())}
	var told interface{ Data() jsonrpc.Raw } // about a server, also when it wraps what that said to initialize
	var known *jsonrpc.Error
	switch {
	case errors.As(err, &told):
		e.Data = told.Data()
	case errors.As(err, &known):
		e = known
	}
	return jsonrpc.Failure(m.ID(), e)
}

// forward sends a request to a server, with other params, and returns its answer with the client's id.
func (s *Session) forward(
	ctx context.Context, v *view, m *jsonrpc.Message, server *upstream.Session, params jsonrpc.Raw,
) (jsonrpc.Text, error) {
	c, err := s.call(m, params)
	if err != nil {
		return nil, err
	}
	answer, err := server.Call(ctx, c)
	if err != nil {
		return nil, err
	}
	return s.back(v, m, server, answer), nil
}

// call makes the call for the server: without what concerns only the client and plait, and with a way for
// progress to come back.
func (s *Session) call(m *jsonrpc.Message, params jsonrpc.Raw) (upstream.Call, error) {
	c := upstream.Call{Client: s, Message: m, Params: params}
	meta, ok := jsonrpc.Get(params, "_meta")
	if !ok {
		return c, nil
	}
	if err := jsonrpc.CheckMembers(meta, "progressToken"); err != nil {
		return c, invalid(err)
	}
	for key := range jsonrpc.Members(meta) {
		if protocol.Hop(key) && !s.agg.bridge {
			c.Params = jsonrpc.Delete(c.Params, "_meta", key)
		}
	}
	raw, ok := jsonrpc.Get(meta, "progressToken")
	if !ok {
		return c, nil
	}
	if _, ok := jsonrpc.ReadID(raw); !ok {
		return c, jsonrpc.Errorf(jsonrpc.CodeInvalidParams, "progressToken must be a string or a number")
	}
	c.Progress = func(p *jsonrpc.Message) {
		s.out.send(m.ID(), p.WithParams("", jsonrpc.Set(p.Params(), raw, "progressToken")))
	}
	return c, nil
}

// back makes the client's answer of a server's.
func (s *Session) back(v *view, m *jsonrpc.Message, server *upstream.Session, answer *jsonrpc.Message) jsonrpc.Text {
	if e := answer.Error(); e != nil {
		return s.backError(v, m, server, answer, e)
	}
	if carriesTask(m) {
		s.noteTask(v, m, server, answer.Result())
	}
	if v.direct() {
		return answer.WithID(m.ID())
	}
	if v.catalog().HasAliases(server.Name()) || s.tasks.aliased(server) || carriesTask(m) {
		result := v.catalog().Rewrite(server.Name(), m.Method(), answer.Result())
		result = s.exposeTasks(server, m.Method(), result)
		s.learn(server, m.Method(), result)
		return answer.WithResult(m.ID(), result)
	}
	if answer.Text().Len() <= learnable {
		s.learn(server, m.Method(), answer.Result())
	}
	return answer.WithID(m.ID())
}

// backError passes an error on: as it is, but for URIs and the ids of elicitations, which only 2025-11-25 knows.
func (s *Session) backError(
	v *view, m *jsonrpc.Message, server *upstream.Session, answer *jsonrpc.Message, e *jsonrpc.Error,
) jsonrpc.Text {
	asksForURL := e.Code == protocol.CodeURLElicitation
	if asksForURL && server.Server().Shared {
		s.noteVisits(server, e.Data)
	}
	if asksForURL && s.version() < protocol.V20251125 && m.Method() == protocol.ToolsCall {
		return jsonrpc.Result(m.ID(), urlText(e))
	}
	if v.alone() || e.Data == nil {
		return answer.WithID(m.ID())
	}
	data := e.Data
	if asksForURL {
		data = s.exposeElicitations(server, data)
	}
	if v.catalog().HasAliases(server.Name()) {
		data = v.catalog().RewriteError(server.Name(), data)
	}
	return answer.WithError(m.ID(), jsonrpc.Set(answer.ErrorObject(), data, "data"))
}

// version returns the protocol version negotiated with the client.
func (s *Session) version() string { return s.hello.Load().Version }
