package upstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
	"github.com/plait-mcp/plait/upstream/transport"
)

const (
	firstWait = time.Second
	longWait  = 5 * time.Minute
	// steady is how long a link must last for the waits to begin anew.
	steady = 10 * time.Second
	// goodbye bounds the end of a wire.
	goodbye = 8 * time.Second
)

// run is the supervisor: it returns when ctx ends.
func (s *Session) run(ctx context.Context) {
	defer s.change(func() { s.state, s.link = Closed, nil })
	waits := newBackoff()
	forgot := false // the last link was also lost, and soon
	for ctx.Err() == nil {
		l, err := s.connect(ctx)
		if err == nil {
			since := time.Now()
			err = s.serve(ctx, l)
			s.leave(ctx, l, err)
			brief := time.Since(since) < steady
			if !brief {
				waits.Reset()
			}
			_, lost := errors.AsType[*transport.SessionLostError](err)
			again := lost && (!forgot || !brief)
			forgot = again && brief
			if again {
				continue // the server is there, it only forgot us
			}
		}
		if ctx.Err() != nil {
			return
		}
		s.rest(ctx, err, waits.NextBackOff())
	}
}

// newBackoff makes the waits of an unlucky session: full jitter, 1 s to 5 min.
func newBackoff() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval: firstWait / 2, RandomizationFactor: 1, Multiplier: 2, MaxInterval: longWait / 2,
	}
}

// rest waits before the next attempt, as long as the server asked for or at least wait, or until a call
// wants the server, which it cannot while the server asked for quiet.
func (s *Session) rest(ctx context.Context, err error, wait time.Duration) {
	var asked time.Duration
	if status, ok := errors.AsType[*transport.StatusError](err); ok {
		asked = min(status.RetryAfter, longWait)
		wait = max(wait, asked)
	}
	s.change(func() {
		now := time.Now()
		s.state, s.err, s.tried, s.retry, s.quiet = Waiting, err, now, now.Add(wait), now.Add(asked)
		s.failures++
		select { // a call that wanted the last attempt
		case <-s.wake:
		default:
		}
	})
	if s.failures == 1 {
		s.log.Warn("not connected", "err", err, "retry", wait.Round(time.Millisecond))
	} else {
		s.log.Debug("still not connected", "err", err, "retry", wait.Round(time.Millisecond))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.wake:
	case <-ctx.Done():
	}
}

// connect makes a wire, shakes hands and puts back what clients had set up. It fails within the
// connectTimeout of the server.
func (s *Session) connect(ctx context.Context) (*link, error) {
	s.change(func() { s.state, s.link = Connecting, nil })
	ctx, cancel := context.WithTimeout(ctx, s.Server().ConnectTimeout)
	defer cancel()
	id, hello := s.nextID(), s.hello.Params
	if v := s.Server().ProtocolVersion; v != "" {
		hello = jsonrpc.Set(hello, jsonrpc.Quote(v), "protocolVersion")
	}
	conn, m, err := transport.Open(ctx, transport.Options{
		Server: s.Server(), Client: s.http, Handler: s, Limit: s.limit, Log: s.log, Guardian: s.guardian,
	}, id, jsonrpc.NewRequest(id, protocol.Initialize, hello))
	if err != nil {
		if ctx.Err() == context.DeadlineExceeded {
			err = fmt.Errorf("no answer to initialize within %s (connectTimeout)", s.Server().ConnectTimeout)
		}
		return nil, err
	}
	l, err := s.greet(ctx, conn, m)
	if err != nil {
		s.end(ctx, conn)
		return nil, err
	}
	s.restore(ctx, l)
	again := s.opened
	s.change(func() {
		s.state, s.link, s.err, s.failures, s.opened = Ready, l, nil, 0, true
	})
	s.log.Info("connected", "version", l.version)
	if again {
		s.repeatUpdates()
	}
	return l, nil
}

// greet reads the answer to initialize and sends notifications/initialized.
func (s *Session) greet(ctx context.Context, conn transport.Conn, m *jsonrpc.Message) (*link, error) {
	if e := m.Error(); e != nil {
		return nil, fmt.Errorf("initialize: %w", e)
	}
	l := &link{conn: conn, result: m.Result(), lost: make(chan struct{})}
	l.version, _ = jsonrpc.GetString(l.result, "protocolVersion")
	if !protocol.Known(l.version) {
		return nil, fmt.Errorf("the server speaks protocol version %q, which plait does not", l.version)
	}
	l.capabilities, _ = jsonrpc.Get(l.result, "capabilities")
	if err := conn.Send(ctx, jsonrpc.NewNotification(protocol.Initialized, nil)); err != nil {
		return nil, fmt.Errorf("initialized: %w", err)
	}
	conn.Listen(l.version)
	return l, nil
}

// serve keeps the link until it is lost or ctx ends, and returns why.
func (s *Session) serve(ctx context.Context, l *link) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.work.Go(func() { s.deliver(ctx, l) })
	s.work.Go(func() { s.keepLists(ctx, l) })
	if s.Server().Ping.Interval > 0 {
		s.work.Go(func() { s.keepAlive(ctx, l) })
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-l.lost:
		return l.err
	case <-l.conn.Done():
		return l.conn.Err()
	}
}

// leave ends a link that is lost or not wanted any more. Of one that the server forgot, the calls in flight
// come to their own end first: each learns whether the server took it, and one that it took may be answered.
func (s *Session) leave(ctx context.Context, l *link, err error) {
	s.change(func() { s.state, s.link, s.err = Connecting, nil, err })
	l.drop(err)
	if _, lost := errors.AsType[*transport.SessionLostError](err); !lost {
		s.end(ctx, l.conn)
		return
	}
	s.work.Go(func() {
		_ = s.await(ctx, func() bool { return l.calls == 0 })
		s.end(ctx, l.conn)
	})
}

// end closes a wire, bounded, whatever has become of ctx.
func (s *Session) end(ctx context.Context, conn transport.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	if err := conn.Close(ctx); err != nil {
		s.log.Debug("the session did not end well", "err", err)
	}
}

// keepAlive pings the server. A ping that gets no answer is logged and changes nothing.
func (s *Session) keepAlive(ctx context.Context, l *link) {
	ticker := time.NewTicker(s.Server().Ping.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		bounded, cancel := context.WithTimeout(ctx, s.Server().Ping.Timeout)
		_, err := s.request(bounded, l, protocol.Ping, nil)
		cancel()
		if err != nil && ctx.Err() == nil {
			s.log.Warn("lost ping", "err", err)
		}
	}
}
