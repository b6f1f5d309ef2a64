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

// farewell bounds how long it may take to tell a server that nobody waits.
const farewell = 5 * time.Second

// errTimeout ends a call that took too long.
var errTimeout = errors.New("no answer in time")

// TimeoutError says that a server took longer for a call than its callTimeout.
type TimeoutError struct {
	Server, Method string
	Timeout        time.Duration
}

// Error names the server, the next step and the id.
func (e *TimeoutError) Error() string {
	return fmt.Sprintf("server %q did not answer %s within %s (callTimeout); raise callTimeout, or see what the server does%s",
		e.Server, e.Method, e.Timeout, mark(idTimeout))
}

// pending is a call in flight.
type pending struct {
	Call
	timeout time.Duration
	timer   *time.Timer

	// guarded by Session.mu
	asks  map[jsonrpc.ID]context.CancelCauseFunc // requests of the server that this call caused
	value float64                                // the last progress
}

// Call sends a request to the server and waits for its answer, which may be an error of JSON-RPC. It waits
// for a connection that is being made, and for its turn when the server has maxConcurrent calls already. It
// returns a *DownError when the server cannot be reached, a *CallError when the server has, or may have, taken
// the call and failed, and ctx.Err() at once when ctx ends; the server is then told in the background. The
// server's callTimeout bounds the wait; progress, and a question to the client, start it anew. A request that a
// server refused because it forgot the session, or that came when the server had just ended, is sent once more; one that
// it may have taken is not. When the session is not wanted any more the error is ErrRetired, and nothing was sent.
func (s *Session) Call(ctx context.Context, c Call) (*jsonrpc.Message, error) {
	began := time.Now()
	m, err := s.call(ctx, c)
	s.common.tally.call(c, m, err, time.Since(began))
	return m, err
}

func (s *Session) call(ctx context.Context, c Call) (*jsonrpc.Message, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.exit()
	done, err := s.takeTurn(ctx, c.Message.Method())
	if err != nil {
		return nil, err
	}
	defer done()
	for again := false; ; {
		l, err := s.ready(ctx)
		if err != nil {
			return nil, err
		}
		m, err := s.callOn(ctx, l, c)
		if err == nil {
			return s.fitting(m)
		}
		if errors.Is(err, errUnused) {
			continue // it ended before the call began
		}
		if _, lost := errors.AsType[*transport.SessionLostError](err); lost {
			l.drop(err)
		}
		if again || !transport.Unsent(err) {
			return nil, s.explain(err)
		}
		if err := s.await(ctx, func() bool { return s.link != l }); err != nil {
			return nil, err
		}
		again = true
	}
}

// ready returns the link, waiting for one that is being made, but not much longer than that may take. A call to a
// server that is down has it tried at once, unless the health of the server forbids it; one to an idle server has
// it connected.
func (s *Session) ready(ctx context.Context) (*link, error) {
	if l := s.use(); l != nil {
		return l, nil
	}
	bounded, cancel := context.WithTimeout(ctx, s.Server().ConnectTimeout+soon)
	defer cancel()
	var l *link
	var status Status
	asked := -1 // how many attempts had come to an end when this call asked for one
	err := s.await(bounded, func() bool {
		l, status = s.link, s.status()
		switch {
		case l != nil:
			s.used = time.Now()
			return true
		case s.state == Idle:
			s.rouse()
			return false
		case (s.state == Waiting || s.state == Parked || s.state == SignIn) && (asked < 0 || asked == s.tries) && s.common.health.hurry():
			asked = s.tries
			s.expect()
			return false
		}
		return s.state != Connecting
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case l == nil:
		return nil, &DownError{status}
	}
	return l, nil
}

// use returns the link and notes that it is used, nil if there is none.
func (s *Session) use() *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != nil {
		s.used = time.Now()
	}
	return s.link
}

// explain names the server, its state, the next step and the id in the error of a call.
func (s *Session) explain(err error) error {
	var down *DownError
	var late *TimeoutError
	var lost *transport.SessionLostError
	var exit *transport.ExitError
	var long *transport.TooLongError
	e := &CallError{Server: s.Name(), State: Ready.String(), ID: idCallFailed, Err: err}
	limit := s.Server().MaxResultBytes
	switch status := statusOf(err); {
	case errors.As(err, &down), errors.As(err, &late), errors.Is(err, context.Canceled):
		return err
	case concernsCredentials(err):
		return s.denied(err)
	case errors.As(err, &exit):
		e.State, e.ID, e.Next = "lost", idLost, "plait starts it anew: call again, or try its command in a terminal"
	case errors.As(err, &lost):
		e.State, e.ID, e.Next = "lost", idLost, "try again"
	case errors.As(err, &long) && limit > 0:
		return &TooLargeError{Server: s.Name(), Bytes: long.Bytes, Limit: limit}
	case errors.As(err, &long):
		e.ID, e.Next = idTooLarge, "ask for less, raise limits.message, or try again"
	case status != nil:
		e.ID, e.Next = adviseCall(status)
	default:
		e.Next = "try again, or see what the server says"
	}
	return e
}

// heard notes whether a request reached the server, and reports whether the link is to be given up: the credentials
// do not do any more, or the server was not reached several times in a row and no other call is under way. The state
// is locked.
func (s *Session) heard(l *link, began time.Time, err error) bool {
	switch {
	case err == nil:
		l.vain, s.latency = 0, time.Since(began)
	case voids(err):
		return true
	case unreachable(err):
		l.vain++
		return l.vain >= tolerated && l.calls == 0
	case statusOf(err) != nil:
		l.vain = 0
	}
	return false
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
	if s.link != l { // whoever ends a wire waits for the calls on it that have begun
		s.mu.Unlock()
		return nil, errUnused
	}
	s.calls[id] = p
	l.calls++
	if s.http != nil {
		l.made++
	}
	s.mu.Unlock()
	began := time.Now()
	m, err := l.conn.Call(ctx, id, p.text(id))
	s.mu.Lock()
	delete(s.calls, id)
	l.calls--
	s.used = time.Now()
	gone := s.heard(l, began, err)
	asks, last := slices.Collect(maps.Values(p.asks)), l.calls == 0 && s.link != l
	if err == nil {
		l.useful = true
		s.followTasks(id, p, m)
	}
	s.mu.Unlock()
	if gone {
		l.drop(err)
	}
	if last { // leave waits for it
		s.change(func() {})
	}

	if err == nil || ctx.Err() == nil {
		return m, err
	}
	for _, cancel := range asks {
		cancel(context.Cause(ctx))
	}
	s.post(l, Cancellation(ctx, id))
	if errors.Is(context.Cause(ctx), errTimeout) {
		return nil, &TimeoutError{s.Server().Name, c.Message.Method(), p.timeout}
	}
	return nil, ctx.Err()
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

// Cancellation tells the other side that nobody waits for the answer to a request any more, because ctx has ended: for the
// reason that was given, if any (2025-11-25, cancellation).
func Cancellation(ctx context.Context, id jsonrpc.ID) jsonrpc.Text {
	params := jsonrpc.Raw(`{"requestId":` + string(id) + `}`)
	if said, ok := errors.AsType[*jsonrpc.CancelledError](context.Cause(ctx)); ok && said.Reason != nil {
		params = jsonrpc.Set(params, said.Reason, "reason")
	}
	return jsonrpc.NewNotification(protocol.Cancelled, params)
}

// request makes a request of plait's own.
func (s *Session) request(ctx context.Context, l *link, method string, params jsonrpc.Raw) (*jsonrpc.Message, error) {
	id, began := s.nextID(), time.Now()
	m, err := l.conn.Call(ctx, id, jsonrpc.NewRequest(id, method, params))
	s.mu.Lock()
	gone := s.heard(l, began, err)
	s.mu.Unlock()
	if err != nil {
		if _, ok := errors.AsType[*transport.SessionLostError](err); ok || gone {
			l.drop(err)
		} else if ctx.Err() != nil {
			s.post(l, Cancellation(ctx, id))
		}
		return nil, err
	}
	return m, nil
}
