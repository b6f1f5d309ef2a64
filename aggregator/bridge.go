package aggregator

import (
	"context"
	"errors"

	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// A bridge (Options.Bridge) is nothing but the wire between its clients and their one server: what a server says of
// itself, its lists and its errors are read by nobody on the way. It still answers for the server when that is gone,
// and puts back what the client had set up when the server is started again.

// method returns how a request is served: by its method, and on a bridge as if nobody knew that, but for what has to be
// put back later.
func (s *Session) method(name string) method {
	serve, known := methods[name]
	switch {
	case !known:
		return (*Session).custom
	case !s.agg.bridge:
		return serve
	}
	switch name {
	case protocol.Initialize, protocol.Ping, protocol.Subscribe, protocol.Unsubscribe, protocol.SetLevel:
		return serve
	}
	return (*Session).custom
}

// introduce returns the server's own answer to initialize. It waits as long as the server may take to start.
func (s *Session) introduce(ctx context.Context, m *jsonrpc.Message, hello upstream.Hello) (jsonrpc.Text, error) {
	v := s.begin() //nolint:contextcheck // the sessions outlive the request
	if !v.begun() {
		return nil, errGone
	}
	server := v.servers[0]
	if err := server.AwaitSettled(ctx); err != nil {
		return nil, err
	}
	result := server.Hello()
	if result == nil {
		status := server.Status()
		if said, ok := errors.AsType[*jsonrpc.Error](status.Err); ok {
			return nil, said
		}
		return nil, &upstream.CallError{Server: status.Server, State: "lost", Next: status.Next, ID: status.ID, Err: status.Err}
	}
	hello.Version = server.Version()
	s.hello.Store(&hello)
	return jsonrpc.Result(m.ID(), result), nil
}
