package upstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
	"github.com/plait-mcp/plait/upstream/transport"
)

const (
	// soon is how long a call waits for an attempt that is due anyway.
	soon = 2 * time.Second
	// farewell bounds how long it may take to tell a server that nobody waits.
	farewell = 5 * time.Second
)

// errTimeout ends a call that took too long.
var errTimeout = errors.New("no answer in time")

// TimeoutError says that a server took longer for a call than its callTimeout.
type TimeoutError struct {
	Server, Method string
	Timeout        time.Duration
}

// Error names the server and the next step.
func (e *TimeoutError) Error() string {
	return fmt.Sprintf("server %q did not answer %s within %s (callTimeout); raise callTimeout, or see what the server does",
		e.Server, e.Method, e.Timeout)
}

// pending is a call in flight.
type pending struct {
	Call
	id      jsonrpc.ID // of a task's call
	timeout time.Duration
	timer   *time.Timer

	// guarded by Session.mu
	asks  map[jsonrpc.ID]context.CancelFunc // requests of the server that this call caused
	value float64                           // the last progress
}

// Call sends a request to the server and waits for its answer, which may be an error of JSON-RPC. It waits
// for a connection that is being made. It returns a *DownError when the server cannot be reached, and
// ctx.Err() at once when ctx ends; the server is then told in the background. The server's callTimeout
// bounds the wait; progress, and a question to the client, start it anew. A request that a server refused
// because it forgot the session is sent once more; one that it may have taken is not.
func (s *Session) Call(ctx context.Context, c Call) (*jsonrpc.Message, error) {
	for again := false; ; again = true {
		l, err := s.ready(ctx)
		if err != nil {
			return nil, err
		}
		m, err := s.callOn(ctx, l, c)
		var lost *transport.SessionLostError
		if !errors.As(err, &lost) {
			return m, s.explain(err)
		}
		l.drop(err)
		if lost.Accepted || again {
			return nil, s.explain(err)
		}
		if err := s.await(ctx, func() bool { return s.link != l }); err != nil {
			return nil, err
		}
	}
}

// explain names the server, its state and the next step in an error.
func (s *Session) explain(err error) error {
	var down *DownError
	var late *TimeoutError
	var lost *transport.SessionLostError
	var exit *transport.ExitError
	switch {
	case err == nil, errors.As(err, &down), errors.As(err, &late), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &exit):
		return &CallError{s.Server().Name, "lost", "try its command in a terminal", err}
	case errors.As(err, &lost):
		return &CallError{s.Server().Name, "lost", "try again", err}
	}
	return &CallError{s.Server().Name, Ready.String(), "try again, or see what the server says", err}
}

// ready returns the link, waiting for one that is being made. A call to a server that is down tries it at
// once, but not more often than every two seconds.
func (s *Session) ready(ctx context.Context) (*link, error) {
	var l *link
	var status Status
	asked := false
	err := s.await(ctx, func() bool {
		l, status = s.link, s.status()
		switch {
		case l != nil || s.state == Misconfigured || s.state == Closed:
			return true
		case s.state != Waiting:
			return false
		case asked || time.Now().Before(s.quiet) || time.Since(s.tried) < soon && time.Until(s.retry) > soon:
			return true
		}
		asked = true
		select {
		case s.wake <- struct{}{}:
		default:
		}
		return false
	})
	if err != nil {
		return nil, err
	}
	if l == nil {
		return nil, &DownError{status}
	}
	return l, nil
}

func (s *Session) nextID() jsonrpc.ID { return jsonrpc.Int(s.lastID.Add(1)) }

// callOn makes the call on one link.
func (s *Session) callOn(ctx context.Context, l *link, c Call) (*jsonrpc.Message, error) {
	id := s.nextID()
	p := &pending{Call: c, timeout: s.Server().CallTimeout, value: math.Inf(-1)}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.timer = time.AfterFunc(p.timeout, func() { s.expire(p, cancel) })
	defer p.timer.Stop()

	s.mu.Lock()
	s.calls[id] = p
	l.calls++
	s.mu.Unlock()
	m, err := l.conn.Call(ctx, id, p.text(id))
	s.mu.Lock()
	delete(s.calls, id)
	l.calls--
	asks, last := slices.Collect(maps.Values(p.asks)), l.calls == 0 && s.link != l
	if err == nil && p.Progress != nil && p.becameTask(m) {
		s.keepTask(id, p)
	}
	s.mu.Unlock()
	if last { // leave waits for it
		s.change(func() {})
	}

	if err == nil || ctx.Err() == nil {
		return m, err
	}
	for _, cancel := range asks {
		cancel()
	}
	s.cancelled(l, id)
	if errors.Is(context.Cause(ctx), errTimeout) {
		return nil, &TimeoutError{s.Server().Name, c.Message.Method(), p.timeout}
	}
	return nil, ctx.Err()
}

// maxTasks bounds the tasks whose progress is awaited; that of the oldest is given up.
const maxTasks = 256

// becameTask reports whether the answer to the call is a task that goes on (2025-11-25, tasks).
func (p *pending) becameTask(answer *jsonrpc.Message) bool {
	_, ok := jsonrpc.Get(p.Message.Params(), "task")
	if ok {
		_, ok = jsonrpc.Get(answer.Result(), "task", "taskId")
	}
	return ok
}

// keepTask lets progress of a call that became a task come back. The state is locked.
func (s *Session) keepTask(id jsonrpc.ID, p *pending) {
	if len(s.tasks) == maxTasks {
		s.tasks = slices.Delete(s.tasks, 0, 1)
	}
	p.id = id
	s.tasks = append(s.tasks, p)
}

// caller returns the call, or the task, whose token it is. The state is locked.
func (s *Session) caller(token jsonrpc.ID) *pending {
	if p := s.calls[token]; p != nil {
		return p
	}
	for _, p := range s.tasks {
		if p.id == token {
			return p
		}
	}
	return nil
}

// text returns the request as the server gets it: our id, and our id as its progress token.
func (p *pending) text(id jsonrpc.ID) jsonrpc.Text {
	params := p.Params
	if params == nil {
		params = p.Message.Params()
	}
	if p.Progress != nil {
		params = jsonrpc.Set(params, jsonrpc.Raw(id), "_meta", "progressToken")
	}
	if params == nil {
		return p.Message.WithID(id)
	}
	return p.Message.WithParams(id, params)
}

// expire ends a call whose time is up, unless the server waits for the client meanwhile.
func (s *Session) expire(p *pending, cancel context.CancelCauseFunc) {
	s.mu.Lock()
	asking := len(p.asks) > 0 || len(s.asks) > 0
	s.mu.Unlock()
	if asking {
		p.timer.Reset(p.timeout)
		return
	}
	cancel(errTimeout)
}

// cancelled tells the server that nobody waits for the answer any more (2025-11-25, cancellation).
func (s *Session) cancelled(l *link, id jsonrpc.ID) {
	params := jsonrpc.Raw(`{"requestId":` + string(id) + `,"reason":"the client cancelled the request"}`)
	s.post(l, jsonrpc.NewNotification(protocol.Cancelled, params))
}

// request makes a request of plait's own.
func (s *Session) request(ctx context.Context, l *link, method string, params jsonrpc.Raw) (*jsonrpc.Message, error) {
	id := s.nextID()
	m, err := l.conn.Call(ctx, id, jsonrpc.NewRequest(id, method, params))
	if err != nil {
		if _, ok := errors.AsType[*transport.SessionLostError](err); ok {
			l.drop(err)
		} else if ctx.Err() != nil {
			s.cancelled(l, id)
		}
		return nil, err
	}
	return m, nil
}
