package aggregator

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// Session is one client. It implements jsonrpc.Handler towards the client and upstream.Client towards the
// servers.
type Session struct {
	agg     *Aggregator
	visitor Visitor
	since   time.Time
	number  int // counts the sessions
	out     *gate
	log     hclog.Logger
	life    func() context.Context
	end     context.CancelFunc // of life

	asks   jsonrpc.Calls // requests to the client that wait for its answer
	lastID atomic.Int64
	hello  atomic.Pointer[upstream.Hello] // nil before initialize
	now    atomic.Pointer[view]           // replace makes the next
	ended  sync.Once
	work   sync.WaitGroup

	mu       sync.Mutex
	news     news                      // that the client was not told of
	waits    [protocol.Lists]time.Time // until when each list waits for servers; zero: nobody asked
	shown    [protocol.Lists]jsonrpc.Raw
	parts    map[*upstream.Session]part
	level    string
	closed   bool                    // no goroutine is started any more
	asked    map[jsonrpc.ID]question // requests that wait for the client
	learned  *owners                 // URIs seen in results
	tasks    *owners
	visits   *owners // elicitations that calls of shared servers gave the client
	subs     map[resource]bool
	answered *owners // tasks that the client runs for a server
	links    map[string]*link
}

var (
	_ jsonrpc.Handler = (*Session)(nil)
	_ upstream.Client = (*Session)(nil)
)

func newSession(a *Aggregator, v Visitor, out jsonrpc.Sender, number int) *Session {
	life, end := context.WithCancel(a.life())
	s := &Session{
		agg: a, visitor: v, since: time.Now(), number: number, out: &gate{out: out}, log: a.log,
		life: func() context.Context { return life }, end: end,
		parts: map[*upstream.Session]part{}, asked: map[jsonrpc.ID]question{},
		learned: newOwners(), tasks: newOwners(), visits: newOwners(), answered: newOwners(),
		subs:  map[resource]bool{},
		links: map[string]*link{},
	}
	s.now.Store(&view{generation: a.now.Load().of(v.Profile), session: s, old: make(chan struct{})})
	return s
}

// Request serves a request of the client (jsonrpc.Handler).
func (s *Session) Request(ctx context.Context, m *jsonrpc.Message) jsonrpc.Text {
	serve, v := s.method(m.Method()), s.now.Load()
	if m.Method() != protocol.Initialize && m.Method() != protocol.Ping {
		if s.hello.Load() == nil {
			return jsonrpc.Failure(m.ID(), jsonrpc.Errorf(jsonrpc.CodeInvalidRequest, "the first request is initialize"))
		}
		if !v.begun() {
			v = s.begin() //nolint:contextcheck // the sessions outlive the request
		}
		switch {
		case !v.begun():
			return s.failure(m, errGone)
		case v.gone:
			return s.failure(m, &NoProfileError{s.agg.now.Load().names()})
		}
		s.out.open() // what it awaits must reach it, even if it never said that it is initialized
	}
	answer, err := s.serve(ctx, v, m, serve)
	switch {
	case err == nil:
		return answer
	case ctx.Err() != nil:
		return nil // the client does not wait any more
	}
	if needed, ok := signInFor(err); ok {
		return s.needsSignIn(ctx, m, serve, needed)
	}
	return s.failure(m, err)
}

// serve serves a request, once more when a server that it was to go to has lost its place meanwhile: then no server
// has seen it.
func (s *Session) serve(ctx context.Context, v *view, m *jsonrpc.Message, serve method) (jsonrpc.Text, error) {
	for {
		answer, err := serve(s, ctx, v, m)
		if err == nil || !errors.Is(err, upstream.ErrRetired) {
			return answer, err
		}
		select {
		case <-v.old:
			v = s.now.Load()
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.life().Done():
			return nil, errGone
		}
	}
}

// start runs f on a goroutine of the session, unless that has ended.
func (s *Session) start(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.work.Go(f)
	}
}

// Notification takes a notification of the client (jsonrpc.Handler).
func (s *Session) Notification(m *jsonrpc.Message) {
	v := s.now.Load()
	switch m.Method() {
	case protocol.Initialized:
		s.begin()
		s.start(s.out.open)
	case protocol.Progress:
		s.clientProgress(m)
	case protocol.TaskStatus:
		s.clientTask(m)
	case protocol.RootsChanged:
		for _, server := range v.servers {
			if !server.Server().Shared { // it was not told of roots
				server.Notify(m.Text())
			}
		}
	case protocol.Cancelled: // whoever holds the request has ended it
	default:
		v.passOn(m)
	}
}

// Response takes the client's answer to a request of a server (jsonrpc.Handler).
func (s *Session) Response(m *jsonrpc.Message) {
	s.clientTaskOf(m)
	if !s.asks.Deliver(m) {
		s.log.Debug("an answer of the client that nobody waits for", "id", m.ID())
	}
}

// Batches reports whether the protocol version has batches (jsonrpc.Handler).
func (s *Session) Batches() bool {
	hello := s.hello.Load()
	return hello != nil && protocol.Batches(hello.Version)
}

// Close ends the session and those with its servers (jsonrpc.Handler).
func (s *Session) Close() {
	s.ended.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.end()
		s.asks.Fail(errGone)
		v := s.now.Load()
		servers := slices.Clone(v.servers)
		for _, server := range servers {
			s.agg.remember(server)
		}
		if v.login != nil {
			servers = append(servers, v.login)
		}
		s.agg.servers.Release(s, servers)
		s.work.Wait()
		s.agg.forget(s)
	})
}

// gate keeps messages to the client back until it has said that it is initialized, or works. Answers pass beside it.
type gate struct {
	out jsonrpc.Sender

	mu   sync.Mutex
	free bool
	held []outgoing
}

// outgoing is a message to the client, with the id of its request that the message belongs to.
type outgoing struct {
	cause jsonrpc.ID
	text  jsonrpc.Text
}

// maxHeld bounds what is kept back; more is dropped, newest first.
const maxHeld = 1000

func (g *gate) send(cause jsonrpc.ID, t jsonrpc.Text) {
	g.mu.Lock()
	if !g.free {
		if len(g.held) < maxHeld {
			g.held = append(g.held, outgoing{cause, t})
		}
		g.mu.Unlock()
		return
	}
	g.mu.Unlock()
	_ = g.out.Send(cause, t) // the reader of a client that is gone says so
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.free {
		return
	}
	for _, o := range g.held {
		_ = g.out.Send(o.cause, o.text)
	}
	g.free, g.held = true, nil
}
