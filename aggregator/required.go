package aggregator

import (
	"context"
	"sync"

	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// required is plait as a client of the servers that are required: somebody who asks whether plait is ready shall not have
// to wait for a client that finds out. It has sessions from the first such question on.
type required struct {
	agg *Aggregator

	mu       sync.Mutex
	asked    bool // somebody wants to know
	closed   bool
	sessions []*upstream.Session
}

var _ upstream.Client = (*required)(nil)

// Missing returns the servers that are required and cannot be used, in the order of the configuration. The first question
// opens sessions of plait's own with those that are required, which last; the answer waits for nothing.
func (a *Aggregator) Missing() []upstream.Status {
	var missing []upstream.Status
	for _, server := range a.required.ask() {
		if status := server.Status(); status.State != upstream.Ready && (status.State != upstream.Idle || status.Version == "") {
			missing = append(missing, status)
		}
	}
	return missing
}

func (r *required) ask() []*upstream.Session {
	r.agg.swap.RLock()
	defer r.agg.swap.RUnlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.asked && !r.closed {
		r.asked = true
		r.sessions, _ = r.agg.servers.Require(r, r.agg.now.Load().cfg.Servers, nil)
	}
	return r.sessions
}

// adopt has sessions with the servers that are required now, if somebody wanted to know of them.
func (r *required) adopt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.asked || r.closed {
		return
	}
	var retired []*upstream.Session
	r.sessions, retired = r.agg.servers.Require(r, r.agg.now.Load().cfg.Servers, r.sessions)
	r.agg.servers.Drain(r, retired, 0)
}

// all returns the sessions that there are.
func (r *required) all() []*upstream.Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessions
}

func (r *required) close() {
	r.mu.Lock()
	sessions := r.sessions
	r.sessions, r.closed = nil, true
	r.mu.Unlock()
	r.agg.servers.Release(r, sessions)
}

// Ask implements upstream.Client: there is nobody who could be asked.
func (*required) Ask(_ context.Context, _ *upstream.Session, _ jsonrpc.ID, m *jsonrpc.Message) jsonrpc.Text {
	return jsonrpc.Failure(m.ID(), jsonrpc.Errorf(jsonrpc.CodeMethodNotFound, "Method not found: %s", m.Method()))
}

// Tell implements upstream.Client.
func (*required) Tell(*upstream.Session, jsonrpc.ID, *jsonrpc.Message) {}

// Changed implements upstream.Client.
func (*required) Changed(*upstream.Session, protocol.List) {}

// SignInChanged implements upstream.Client.
func (*required) SignInChanged(*upstream.Session) {}
