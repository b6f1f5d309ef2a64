package upstream

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
	"github.com/plait-mcp/plait/upstream/transport"
)

// Session is one session with one server, for one client or, when the server is shared, for all. Any
// goroutine may call its methods.
type Session struct {
	settings atomic.Pointer[config.Server] // of the server; others come that decide the same connection
	http     *http.Client
	guardian *transport.Guardian
	limit    int64
	hello    Hello
	log      hclog.Logger

	snapshots   *Snapshots // nil: none are kept
	snapshotKey string
	remembered  jsonrpc.Raw // of the snapshot: the answer to initialize

	lastID atomic.Int64
	outbox chan jsonrpc.Text // notifications of the client, in order
	wake   chan struct{}     // cuts the back-off short
	due    chan struct{}     // a list is to be read
	stop   context.CancelFunc
	work   sync.WaitGroup // the supervisor and all that it started

	mu       sync.Mutex
	news     chan struct{} // closed, and made anew, when anything below changes
	state    State
	err      error
	retry    time.Time
	tried    time.Time // when the last attempt ended
	quiet    time.Time // until when the server asked not to be tried (Retry-After)
	failures int       // attempts in a row that did not work
	link     *link     // not nil when Ready
	opened   bool      // there was a link before
	clients  map[Client]struct{}
	calls    map[jsonrpc.ID]*pending
	tasks    []*pending // answered with a task, whose progress is still to come
	asks     map[jsonrpc.ID]context.CancelFunc
	lists    [protocol.Lists]list
	saving   bool // a goroutine will write the snapshot
	subs     map[string]map[Client]struct{}
	levels   map[Client]jsonrpc.Raw
}

// link is the wire of the moment, after the handshake. It never changes, except that it gets lost.
type link struct {
	conn         transport.Conn
	version      string
	result       jsonrpc.Raw // of initialize
	capabilities jsonrpc.Raw
	calls        int       // in flight; guarded by Session.mu
	deaf         sync.Once // the log was told that the server takes no notifications

	once sync.Once
	lost chan struct{}
	err  error
}

// drop gives the link up.
func (l *link) drop(err error) {
	l.once.Do(func() {
		l.err = err
		close(l.lost)
	})
}

// Name returns the name of the server in the configuration.
func (s *Session) Name() string { return s.Server().Name }

// Server returns the configuration of the server as it is now. A reload replaces it, so that who needs two
// settings that belong together asks once.
func (s *Session) Server() *config.Server { return s.settings.Load() }

// Status returns the condition of the session.
func (s *Session) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status()
}

func (s *Session) status() Status {
	return Status{Server: s.Server().Name, State: s.state, Err: s.err, Retry: s.retry, Next: s.next()}
}

// next says what a person can do about the state.
func (s *Session) next() string {
	var status *transport.StatusError
	var exit *transport.ExitError
	switch {
	case s.err == nil:
		return ""
	case s.state == Misconfigured:
		return "correct the configuration"
	case errors.As(s.err, &status) && (status.Code == http.StatusUnauthorized || status.Code == http.StatusForbidden):
		return "give it credentials in headers"
	case errors.As(s.err, &status):
		return "check its url"
	case errors.As(s.err, &exit) || s.Server().Command != "":
		return "try its command in a terminal"
	}
	return "check that it runs and that its url is right"
}

// Hello returns what the server answered to initialize, nil while the session is not ready.
func (s *Session) Hello() jsonrpc.Raw {
	if l := s.current(); l != nil {
		return l.result
	}
	return nil
}

// Version returns the negotiated protocol version, "" while the session is not ready.
func (s *Session) Version() string {
	if l := s.current(); l != nil {
		return l.version
	}
	return ""
}

// Can reports whether the server declared a capability. It is false while the session is not ready.
func (s *Session) Can(path ...string) bool {
	l := s.current()
	if l == nil {
		return false
	}
	_, ok := jsonrpc.Get(l.capabilities, path...)
	return ok
}

func (s *Session) current() *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link
}

// change runs f with the state locked and tells everybody who waits for news. It is the only place where
// the state changes.
func (s *Session) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.news)
	s.news = make(chan struct{})
}

// await waits until done, called with the state locked, returns true. It returns the error of ctx.
func (s *Session) await(ctx context.Context, done func() bool) error {
	for {
		s.mu.Lock()
		ok, news := done(), s.news
		s.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// AwaitSettled waits until the session is ready or its first attempt has failed.
func (s *Session) AwaitSettled(ctx context.Context) error {
	return s.await(ctx, s.settled)
}

func (s *Session) settled() bool {
	return s.state != Connecting || s.failures > 0
}

// each calls f for every client.
func (s *Session) each(f func(Client)) {
	s.mu.Lock()
	clients := make([]Client, 0, 1)
	for c := range s.clients {
		clients = append(clients, c)
	}
	s.mu.Unlock()
	for _, c := range clients {
		f(c)
	}
}
