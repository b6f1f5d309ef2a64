package upstream

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
	"github.com/plait-mcp/plait/upstream/transport"
)

// Options are what a Set needs besides the servers.
type Options struct {
	Guardian  *transport.Guardian // kills children when plait is killed; nil: nobody does
	Limit     int64               // bytes of a message
	Version   string              // of plait
	Snapshots *Snapshots          // of the lists; nil: none are kept
	Auth      *auth.Manager       // comes to servers as their identities; nil: only with the static headers of each
	// Bridge says that each session is the only one that matters to its client: it hears of every list that changes, nobody
	// else suffers when its server fails, and the log says at level info what a child writes to its stderr.
	Bridge bool
	NoFile bool // a command line says what the servers are: no advice leads to a file, and none to plait doctor, which reads one
	Log    hclog.Logger
}

// Set is the configured servers: those of the same name that can be used are one, whoever sees them by which rules. Any
// goroutine may call its methods, but Apply, Reopen, Start and Drain come one after the other, and nothing comes after Close.
// The servers that Open and Reopen are given are of the last Apply.
type Set struct {
	opts   Options
	ctx    func() context.Context // parent of all sessions
	cancel context.CancelFunc
	drains sync.WaitGroup
	local  *server    // inside plait
	heirs  []*Session // shared ones that Start starts

	mu       sync.Mutex
	servers  []*server
	of       map[*config.Server]*server
	draining map[*Session]Client // nil for a shared one
}

// NewSet returns the set of servers. Sessions end with ctx or Close.
func NewSet(ctx context.Context, servers []*config.Server, opts Options) *Set {
	if opts.Log == nil {
		opts.Log = hclog.NewNullLogger()
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Set{opts: opts, ctx: func() context.Context { return ctx }, cancel: cancel, draining: map[*Session]Client{}}
	s.local = newServer(&config.Server{Name: "plait", Lazy: true, ConnectTimeout: localTime, CallTimeout: localTime})
	s.Apply(servers) //nolint:contextcheck // what it starts ends with the Set
	return s
}

// localTime bounds a call of the server inside plait.
const localTime = time.Minute

// Open returns the sessions of a client with servers. It starts to connect them and waits for nothing. Release gives
// them back.
func (s *Set) Open(client Client, hello Hello, servers []*config.Server) []*Session {
	sessions := make([]*Session, len(servers))
	for i, cfg := range servers {
		sessions[i] = s.open(opening{server: s.server(cfg), cfg: cfg, client: client, hello: hello})
	}
	return sessions
}

// OpenLocal returns the session of a client with a server inside plait. Release gives it back, too.
func (s *Set) OpenLocal(client Client, hello Hello, local transport.Local) *Session {
	return s.open(opening{server: s.local, cfg: s.local.cfg, client: client, hello: hello, local: local})
}

// server returns what is behind a configured server.
func (s *Set) server(cfg *config.Server) *server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[cfg]
}

// current returns the servers that are configured now.
func (s *Set) current() []*server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.servers
}

// opening is what a session is to be.
type opening struct {
	server *server
	cfg    *config.Server // as the client has it
	client Client
	hello  Hello
	old    *Session        // whose place it takes; nil when it takes none
	local  transport.Local // nil unless the server is inside plait
}

// open returns the session of a client with one server.
func (s *Set) open(o opening) *Session {
	srv, client, hello := o.server, o.client, o.hello
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.shared != nil {
		srv.shared.attach(client)
		return srv.shared
	}
	srv.prepare(s.opts.Auth)
	if srv.cfg.Shared {
		hello = s.own()
	}
	common := srv.common
	if s.opts.Bridge {
		common = newCommon(srv.common.tally)
	}
	session := &Session{
		of: srv, common: common, bridge: s.opts.Bridge, noFile: s.opts.NoFile, since: time.Now(),
		http: srv.http, changed: srv.changed, local: o.local, guardian: s.opts.Guardian, limit: s.opts.Limit, hello: hello,
		log:  s.opts.Log.With("server", srv.cfg.Name),
		wake: make(chan struct{}, 1), due: make(chan struct{}, 1), news: make(chan struct{}),
		clients: map[Client]struct{}{client: {}}, calls: map[jsonrpc.ID]*pending{},
		asks: map[jsonrpc.ID]context.CancelCauseFunc{}, subs: map[string]map[Client]struct{}{}, levels: map[Client]jsonrpc.Raw{},
	}
	session.settings.Store(o.cfg)
	srv.sessions[session] = struct{}{}
	if srv.cfg.Shared {
		srv.shared = session
	}
	ctx, cancel := context.WithCancel(s.ctx())
	session.stop = cancel
	session.supervise = func() { session.work.Go(func() { session.run(ctx) }) }
	session.deliver = func(l *link) { session.work.Go(func() { session.empty(ctx, l) }) }
	switch {
	case len(o.cfg.Problems) > 0:
		session.state, session.err = Misconfigured, o.cfg.Problems
	case srv.err != nil:
		session.state, session.err = Misconfigured, srv.err
	default:
		if o.local == nil {
			session.recall(s.opts.Snapshots)
		}
		if o.old != nil {
			session.inherit(o.old, client)
		}
		if o.old != nil && srv.cfg.Shared {
			s.heirs = append(s.heirs, session)
			break
		}
		session.start()
	}
	return session
}

// Status returns the condition of servers for a client that has no sessions with them yet.
func (s *Set) Status(servers []*config.Server) []Status {
	var all []Status
	for _, cfg := range servers {
		status := Status{Server: cfg.Name, State: Idle}
		if srv := s.server(cfg); srv != nil { // or there are others meanwhile
			status.Since = srv.since
		}
		if len(cfg.Problems) > 0 {
			session := Session{state: Misconfigured, since: status.Since, err: cfg.Problems}
			session.settings.Store(cfg)
			status = session.Status()
		}
		all = append(all, status)
	}
	return all
}

// own is what plait says of itself to a shared server: nothing that could call back.
func (s *Set) own() Hello {
	return Hello{Version: protocol.Latest, Params: fmt.Appendf(nil,
		`{"protocolVersion":%q,"capabilities":{},"clientInfo":{"name":"plait","version":%s}}`,
		protocol.Latest, jsonrpc.Quote(s.opts.Version))}
}

func (s *Session) attach(client Client) {
	s.change(func() { s.clients[client] = struct{}{} })
}

// Release ends the sessions of a client, except those that are shared, and waits for that: some seconds at
// most, which the servers have to end their side. Those that are drained for it end too.
func (s *Set) Release(client Client, sessions []*Session) {
	var all sync.WaitGroup
	s.mu.Lock()
	for session, of := range s.draining {
		if of == client {
			all.Go(session.close)
		}
	}
	s.mu.Unlock()
	for _, session := range sessions {
		if session.Server().Shared {
			session.detach(client)
			continue
		}
		all.Go(session.close)
	}
	for _, srv := range s.current() { // that has taken over what this client had with a server it sees no more
		srv.mu.Lock()
		shared := srv.shared
		srv.mu.Unlock()
		if shared != nil {
			shared.detach(client)
		}
	}
	all.Wait()
}

// Close ends the shared sessions, and what is drained, and waits for them as Release does. The clients have released
// theirs.
func (s *Set) Close() {
	var all sync.WaitGroup
	s.mu.Lock()
	servers := s.servers
	for session := range s.draining {
		all.Go(session.close)
	}
	s.mu.Unlock()
	for _, srv := range servers {
		srv.mu.Lock()
		if srv.shared != nil {
			all.Go(srv.shared.close)
		}
		srv.mu.Unlock()
	}
	all.Wait()
	s.cancel()
	s.drains.Wait()
	for _, srv := range servers {
		srv.abandon()
	}
}

// detach takes a client off a shared session, and off the one that took its place.
func (s *Session) detach(client Client) {
	s.forget(client)
	s.mu.Lock()
	heir := s.heir
	s.mu.Unlock()
	if heir != nil {
		heir.detach(client)
	}
}

func (s *Session) forget(client Client) {
	s.change(func() {
		delete(s.clients, client)
		delete(s.levels, client)
		for uri, clients := range s.subs {
			if delete(clients, client); len(clients) == 0 {
				delete(s.subs, uri)
			}
		}
	})
}

// close ends the session and waits for its goroutines.
func (s *Session) close() {
	s.change(func() {
		if s.state == Idle && !s.begun { // nobody else would say so
			s.state = Closed
		}
	})
	s.stop()
	s.work.Wait()
	s.of.left(s)
}
