package upstream

import (
	"context"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// Hello is what a client said of itself in its initialize request.
type Hello struct {
	Params  jsonrpc.Raw // as it came
	Version string      // the version negotiated with it
}

// Client is a client as its sessions see it.
type Client interface {
	// Ask carries a request of the server to the client and returns the answer, nil when ctx ended first:
	// then the client is told that nobody waits any more. cause is the id of the client's request because of
	// which the server asks, "" when nobody knows. It blocks as long as the client thinks.
	Ask(ctx context.Context, s *Session, cause jsonrpc.ID, m *jsonrpc.Message) jsonrpc.Text
	// Tell takes a notification of the server, in order, with its cause. It blocks while the client does not read.
	Tell(s *Session, cause jsonrpc.ID, m *jsonrpc.Message)
	// Changed says that the items of a list are not what they were. It does not block.
	Changed(s *Session, list protocol.List)
	// SignInChanged says that a session began to need a sign-in (state SignIn), or does not need it any more. It does
	// not block.
	SignInChanged(s *Session)
}

// Call is one request of a client for one server.
type Call struct {
	Client  Client           // who calls; what the server says because of the call is for it alone
	Message *jsonrpc.Message // as the client sent it
	Params  jsonrpc.Raw      // what the server shall get instead of its params; nil: as they came
	// Progress takes the notifications of progress, in order and before the answer; nil when the client
	// did not ask for any.
	Progress func(*jsonrpc.Message)
}
