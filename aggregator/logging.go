package aggregator

import (
	"context"
	"sync"
	"time"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// levelTime is how long the client waits for servers to take a log level; the slower ones take it later.
const levelTime = time.Second

// setLevel sets the log level of all servers that log, now and when they connect again.
func (s *Session) setLevel(ctx context.Context, v *view, m *jsonrpc.Message) (jsonrpc.Text, error) {
	if err := jsonrpc.CheckMembers(m.Params(), "level", "_meta"); err != nil {
		return nil, invalid(err)
	}
	raw, _ := jsonrpc.Get(m.Params(), "level")
	level, _ := jsonrpc.ReadString(raw)
	_, known := protocol.Severity(level)
	if known {
		s.mu.Lock()
		s.level = level
		v = s.now.Load() // a server that comes later has the level from us
		s.mu.Unlock()
	}
	if v.transparent() && v.servers[0].Status().Err == nil {
		if known {
			v.servers[0].KeepLevel(s, raw)
		}
		return s.forward(ctx, v, m, v.servers[0], m.Params())
	}
	if !known {
		return nil, jsonrpc.Errorf(jsonrpc.CodeInvalidParams, "unknown log level %s", raw)
	}
	done := make(chan struct{})
	s.start(func() {
		defer close(done)
		var all sync.WaitGroup
		for _, server := range v.servers {
			all.Go(func() { server.SetLevel(context.WithoutCancel(ctx), s, raw) })
		}
		all.Wait()
	})
	timer := time.NewTimer(levelTime)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
	return jsonrpc.Result(m.ID(), jsonrpc.Raw("{}")), nil
}

// audible reports whether a log message of a shared server is severe enough for this client.
func (s *Session) audible(m *jsonrpc.Message) bool {
	s.mu.Lock()
	want, wanted := protocol.Severity(s.level)
	s.mu.Unlock()
	level, _ := jsonrpc.GetString(m.Params(), "level")
	have, ok := protocol.Severity(level)
	return !wanted || !ok || have >= want
}
