package upstream

import (
	"context"
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
	of       *server
	settings atomic.Pointer[config.Server] // of the server; others come that decide the same connection
	http     *http.Client
	changed  func() <-chan struct{} // see server
	local    transport.Local
	guardian *transport.Guardian
	bridge   bool // see Options
	noFile   bool // see Options
	limit    int64
	hello    Hello
	log      hclog.Logger

	common *common // what all sessions with this server share

	flagged bool // the clients know that a sign-in is needed; for the supervisor alone

	snapshots   *Snapshots // nil: none are kept
	snapshotKey string
	remembered  jsonrpc.Raw // of the snapshot: the answer to initialize

	lastID atomic.Int64
	wake   chan struct{} // has an element when an idle session is to connect
	due    chan struct{} // a list is to be read
	stop   context.CancelFunc
	work   sync.WaitGroup // the supervisor and all that it started

	supervise func()        // starts the supervisor
	deliver   func(l *link) // starts who empties an outbox

	mu       sync.Mutex
	news     chan struct{} // closed, and made anew, when anything below changes
	state    State
	begun    bool          // there is a supervisor, or was one
	since    time.Time     // when it began
	latency  time.Duration // of the last call or ping
	spoken   string        // the protocol version negotiated last
	err      error
	retry    time.Time
	failures int            // attempts in a row that did not work
	tries    int            // attempts that came to an end, well or not
	link     *link          // not nil when Ready
	held     []jsonrpc.Text // notifications of the client that came while Connecting
	rested   *link          // that which ended last because nobody used it
	used     time.Time      // when the session was used last
	opened   bool           // there was a link before
	woken    bool           // a sign-in had it connect
	clients  map[Client]struct{}
	calls    map[jsonrpc.ID]*pending
	tasks    []task
	asks     map[jsonrpc.ID]context.CancelCauseFunc
	lists    [protocol.Lists]list
	saving   bool // a goroutine will write the snapshot
	subs     map[string]map[Client]struct{}
	turns    map[string]struct{} // resources whose subscription is being changed
	levels   map[Client]jsonrpc.Raw
	users    int      // calls that are not answered yet
	retired  bool     // it takes no more calls
	heir     *Session // of a shared one: the session that its clients go to
}

// link is the wire of the moment, after the handshake. It never changes, except that it gets lost.
type link struct {
	conn         transport.Conn
	version      string
	result       jsonrpc.Raw // of initialize
	capabilities jsonrpc.Raw
	requests     *atomic.Int64
	woken        <-chan struct{} // closed when the credentials may be others than when the attempt began
	level        jsonrpc.Raw     // which restore put back
	outbox       []jsonrpc.Text  // notifications of the client, in order; this and the next five are guarded by Session.mu
	delivering   bool            // a goroutine empties the outbox
	calls        int             // in flight
	made         int64           // calls, over HTTP
	useful       bool            // a call was answered
	vain         int             // requests in a row that did not reach the server
	deaf         sync.Once       // the log was told that the server takes no notifications

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

func (l *link) isLost() bool {
	select {
	case <-l.lost:
		return true
	default:
		return false
	}
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
	return Status{
		Server: s.Name(), State: s.state, Since: s.since, Version: s.spoken, Latency: s.latency,
		ID: s.id(), Err: s.err, Unread: s.unread(), Retry: s.retry, Next: s.next(),
	}
}

// Hello returns what the server answered to initialize, nil while the session is neither ready nor idle.
func (s *Session) Hello() jsonrpc.Raw {
	if l := s.greeted(); l != nil {
		return l.result
	}
	return nil
}

// Version returns the negotiated protocol version, "" while the session is neither ready nor idle.
func (s *Session) Version() string {
	if l := s.greeted(); l != nil {
		return l.version
	}
	return ""
}

// Can reports whether the server declared a capability. It is false while the session is neither ready nor idle. Of
// an idle one that was not connected yet the snapshot knows.
func (s *Session) Can(path ...string) bool {
	var capabilities jsonrpc.Raw
	if l := s.greeted(); l != nil {
		capabilities = l.capabilities
	} else if s.Status().State == Idle {
		capabilities, _ = jsonrpc.Get(s.remembered, "capabilities")
	}
	_, ok := jsonrpc.Get(capabilities, path...)
	return ok
}

// greeted returns the link, or that which ended because nobody used it.
func (s *Session) greeted() *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == nil {
		return s.rested
	}
	return s.link
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
	before := s.state
	f()
	if s.state != before || s.since.IsZero() {
		s.since = time.Now()
	}
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

// Tries returns how many attempts to connect have come to an end, well or not.
func (s *Session) Tries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries
}

// AwaitTried waits until the session is connected, or one more attempt than so many has come to an end, or none is to
// be made before somebody uses it.
func (s *Session) AwaitTried(ctx context.Context, tries int) error {
	return s.await(ctx, func() bool {
		return s.link != nil || s.tries > tries || s.state == Idle || s.state == Misconfigured || s.state == Closed
	})
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
