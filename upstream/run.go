package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
	"github.com/plait-mcp/plait/upstream/transport"
)

const (
	// steady is how long a link must last for its server to count as up.
	steady = 10 * time.Second
	// goodbye bounds the end of a wire.
	goodbye = 8 * time.Second
)

// start starts the supervisor. A lazy session has none until it is used.
func (s *Session) start() {
	s.change(func() {
		if s.Server().Lazy && !s.needed() {
			s.state = Idle
		} else {
			s.begun = true
			s.supervise()
		}
	})
}

// run is the supervisor: it returns when ctx ends.
func (s *Session) run(ctx context.Context) {
	defer s.change(func() { s.state, s.link = Closed, nil })
	forgot := false // the last link was also lost, and soon
	for s.admit(ctx) {
		l, err := s.connect(ctx)
		if err != nil {
			s.mourn(ctx, err)
			continue
		}
		since := time.Now()
		err = s.serve(ctx, l)
		s.leave(ctx, l, err)
		brief := time.Since(since) < steady
		_, lost := errors.AsType[*transport.SessionLostError](err)
		again := lost && (!forgot || !brief)
		forgot = again && brief
		cost := s.cost(l)
		if !brief {
			cost = 0
		}
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, errUnused):
			s.doze(ctx)
		case again: // the server is there, it only forgot us
			s.common.health.spent(cost)
		default:
			s.common.health.lost(err, cost, l.woken)
			s.mourn(ctx, err)
		}
	}
}

// cost returns how many requests of plait's own a link took, 0 when the server answered a call on it.
func (s *Session) cost(l *link) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.useful {
		return 0
	}
	return max(0, l.requests.Load()-l.made)
}

// admit waits until the session may try the server, and shows why it does not. It returns false when ctx ended.
func (s *Session) admit(ctx context.Context) bool {
	for ctx.Err() == nil {
		v := s.common.health.enter()
		if v.allowed {
			return true
		}
		s.change(func() { s.show(v) })
		s.disown()
		s.flag(v.state == SignIn)
		v.wait(ctx)
	}
	return false
}

// show shows why the session does not try the server. The state is locked.
func (s *Session) show(v verdict) {
	s.state, s.retry = v.state, v.next
	if v.err != nil {
		s.err = v.err
	}
	if v.state != Connecting {
		s.held = nil
	}
}

// mourn keeps and logs why there is no session.
func (s *Session) mourn(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	v := s.common.health.verdict()
	s.change(func() {
		s.err = err
		s.failures++
		s.tries++
		if !v.allowed { // nobody shall find an attempt that failed still being made
			s.show(v)
		}
	})
	s.disown()
	switch retry := time.Until(v.next).Round(time.Millisecond); {
	case v.state == Parked:
		s.log.Warn("parked: not tried again before its credentials change", "err", err)
	case v.state == SignIn:
		s.log.Warn("needs sign-in", "err", err)
	case s.failures == 1:
		s.log.Warn("not connected", "err", err, "retry", retry)
	default:
		s.log.Debug("still not connected", "err", err, "retry", retry)
	}
}

// Retry ends back-off, breaker and park of the server, for all sessions with it: it is tried now.
func (s *Session) Retry() { s.of.retry() }

// connect makes a wire, shakes hands and puts back what clients had set up. It fails within the
// connectTimeout of the server.
func (s *Session) connect(ctx context.Context) (*link, error) {
	s.change(func() {
		s.state, s.link = Connecting, nil
		if s.flagged { // by a sign-in: what failed before says nothing about this attempt
			s.failures, s.woken = 0, true
		}
	})
	requests, woken := &atomic.Int64{}, s.CredentialsChanged()
	l, err := s.attempt(ctx, requests)
	level := hclog.Debug // the log need not tell of each client that comes
	switch {
	case err == nil:
		if s.common.tally.connects[0].Add(1) == 1 || s.failures > 0 || s.opened {
			level = hclog.Info
		}
		s.common.health.worked()
	case ctx.Err() != nil:
		s.common.health.gaveUp()
		return nil, err
	default:
		s.common.tally.connects[1].Add(1)
		s.common.health.failed(err, requests.Load(), woken)
		return nil, err
	}
	again := s.opened
	l.woken = woken
	s.change(func() {
		s.state, s.link, s.err, s.failures, s.opened = Ready, l, nil, 0, true
		s.spoken, s.used, s.rested = l.version, time.Now(), nil
		s.tries++
		s.unhold(l)
	})
	s.flag(false)
	s.log.Log(level, "connected", "version", l.version)
	if !bytes.Equal(l.level, s.level()) { // it was set meanwhile
		s.sendLevel(ctx, l)
	}
	if again {
		s.repeatUpdates()
		s.repeatChanges(l)
	}
	return l, nil
}

// attempt is connect, and counts the requests.
func (s *Session) attempt(ctx context.Context, requests *atomic.Int64) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Server().ConnectTimeout)
	defer cancel()
	id, hello := s.nextID(), s.hello.Params
	if v := s.Server().ProtocolVersion; v != "" {
		hello = jsonrpc.Set(hello, jsonrpc.Quote(v), "protocolVersion")
	}
	var stderr hclog.Level
	if s.bridge {
		stderr = hclog.Info
	}
	conn, m, err := transport.Open(ctx, transport.Options{
		Server: s.Server(), Client: metered(s.http, requests), Local: s.local, Handler: s, Limit: s.limit, Log: s.log,
		Guardian: s.guardian, Stderr: stderr,
	}, id, jsonrpc.NewRequest(id, protocol.Initialize, hello))
	if err != nil {
		if ctx.Err() == context.DeadlineExceeded {
			err = fmt.Errorf("%w within %s (connectTimeout)", errSilent, s.Server().ConnectTimeout)
		}
		return nil, err
	}
	l, err := s.greet(ctx, conn, m)
	if err != nil {
		s.end(ctx, conn)
		return nil, err
	}
	l.requests = requests
	s.restore(ctx, l)
	return l, nil
}

// greet reads the answer to initialize and sends notifications/initialized.
func (s *Session) greet(ctx context.Context, conn transport.Conn, m *jsonrpc.Message) (*link, error) {
	if e := m.Error(); e != nil {
		return nil, fmt.Errorf("%w: %w", errGreeting, e)
	}
	l := &link{conn: conn, result: s.common.latest.sameHello(m.Result()), lost: make(chan struct{})}
	l.version, _ = jsonrpc.GetString(l.result, "protocolVersion")
	if !protocol.Known(l.version) {
		return nil, fmt.Errorf("%w: the server speaks protocol version %q, which plait does not", errGreeting, l.version)
	}
	l.capabilities, _ = jsonrpc.Get(l.result, "capabilities")
	if err := conn.Send(ctx, jsonrpc.NewNotification(protocol.Initialized, nil)); err != nil {
		return nil, fmt.Errorf("initialized: %w", err)
	}
	conn.Listen(l.version)
	return l, nil
}

// serve keeps the link, and the lists current, until the link is lost or ctx ends, and returns why.
func (s *Session) serve(ctx context.Context, l *link) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if s.Server().IdleTimeout > 0 {
		s.work.Go(func() { s.endUnused(ctx, l) })
	}
	defer time.AfterFunc(steady, s.common.health.lasted).Stop()
	p := newPulse(s.Server().Ping.Interval)
	defer p.timer.Stop()
	s.refresh()
	for {
		s.readLists(ctx, l)
		select {
		case <-s.due:
		case <-s.doubted():
		case <-p.timer.C:
			s.work.Go(func() { s.ping(ctx, l, p) })
		case <-ctx.Done():
			return ctx.Err()
		case <-l.lost:
			return l.err
		case <-l.conn.Done():
			l.drop(l.conn.Err())
			return l.err
		}
	}
}

// leave ends a link that is lost or not wanted any more. Of one that the server forgot, or whose credentials it
// refuses now, the calls in flight come to their own end first: each learns whether the server took it, and one
// that it took may be answered.
func (s *Session) leave(ctx context.Context, l *link, err error) {
	if !errors.Is(err, errUnused) {
		s.change(func() { s.state, s.link, s.err = Connecting, nil, err })
	}
	l.drop(err) // when ctx ended
	if _, lost := errors.AsType[*transport.SessionLostError](err); !lost && !voids(err) {
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

// slowPing is how rarely a server is pinged that does not answer pings.
const slowPing = 15 * time.Minute

// pulse says when a server is pinged.
type pulse struct {
	every, wait time.Duration
	timer       *time.Timer
}

// newPulse makes one that pings at intervals; 0 is never.
func newPulse(every time.Duration) *pulse {
	p := &pulse{every: every, wait: every, timer: time.NewTimer(every)}
	if every == 0 {
		p.timer.Stop()
	}
	return p
}

// ping pings the server once. A ping that gets no answer is logged; the next ones come less and less often. See
// [Session.heard] for what follows when the server cannot even be reached.
func (s *Session) ping(ctx context.Context, l *link, p *pulse) {
	bounded, cancel := context.WithTimeout(ctx, s.Server().Ping.Timeout)
	_, err := s.request(bounded, l, protocol.Ping, nil)
	cancel()
	if ctx.Err() != nil {
		return
	}
	p.wait = nextPing(p.wait, p.every, err)
	p.timer.Reset(p.wait)
	if err != nil {
		s.log.Warn("lost ping", "err", err)
	}
}

// nextPing returns how long to wait for the next ping after one that ended with err.
func nextPing(last, every time.Duration, err error) time.Duration {
	asked, _ := quietFor(err)
	if err == nil || unreachable(err) {
		return max(every, asked)
	}
	return max(min(2*last, slowPing), every, asked)
}
