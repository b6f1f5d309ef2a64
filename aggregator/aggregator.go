package aggregator

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/aggregator/catalog"
	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/transport"
)

// Options are what an Aggregator needs besides the configuration.
type Options struct {
	Guardian *transport.Guardian // kills children when plait is killed; nil: nobody does
	Version  string              // of plait
	Log      hclog.Logger
	// Auth comes to servers as their identities; nil: only with the static headers of each.
	Auth *auth.Manager
	// LoginTool makes the server of the tool plait_auth for a client, which is listed while a server needs a sign-in;
	// nil: there is no such tool.
	LoginTool func(*Session) transport.Local
	// Bridge says that plait is nothing but the wire of the one server, whose names pass unchanged: all that is not about
	// the connection is between the client and the server. What one client does to its server is no other one's trouble.
	Bridge bool
	NoFile bool // see upstream.Options
	// Alone says that nobody is there who could sign in: no link is made, and nothing is registered for one.
	Alone bool
	// NeedsSignIn is told of a server when a person has to sign in there, once for each client on this machine and each
	// time. It must not block. nil: nobody is told.
	NeedsSignIn func(server string)
	// Snapshots is where the last lists of servers are kept, for the first list after the start; nil: nowhere.
	Snapshots *upstream.Snapshots
	// Redact takes secrets out of what clients are told of errors, which quotes servers; nil leaves it as it is.
	Redact func(text string) string
}

// Aggregator is the configured servers as one. Any goroutine may call its methods.
type Aggregator struct {
	servers *upstream.Set
	auth    *auth.Manager // may be nil
	version string
	redact  func(string) string
	log     hclog.Logger

	needsSignIn func(server string)
	loginTool   func(*Session) transport.Local
	alone       bool
	bridge      bool

	life func() context.Context // all that is done for a client ends with it

	applying sync.Mutex // one change of the configuration at a time
	closed   bool       // guarded by applying

	swap sync.RWMutex                  // held while servers is not that of now
	now  atomic.Pointer[configuration] // for the clients that come

	mu           sync.Mutex
	pins         map[string]*catalog.Pins // who owns which URI, by profile
	common       map[string]*common       // what was made for the client that came last, by profile
	instructions map[string]string        // of the servers that were connected once
	warned       map[catalog.Warning]bool
	sessions     map[*Session]struct{}
	opened       int // sessions so far

	required *required
}

// New returns the aggregator of the servers in cfg. It connects nothing before a client comes. ctx ends all
// that it does; Close waits for that.
func New(ctx context.Context, cfg *config.Config, opts Options) *Aggregator {
	if opts.Log == nil {
		opts.Log = hclog.NewNullLogger()
	}
	if opts.Redact == nil {
		opts.Redact = func(text string) string { return text }
	}
	if opts.NeedsSignIn == nil {
		opts.NeedsSignIn = func(string) {}
	}
	a := &Aggregator{
		needsSignIn: opts.NeedsSignIn, loginTool: opts.LoginTool, alone: opts.Alone, bridge: opts.Bridge,

		auth:    opts.Auth,
		life:    func() context.Context { return ctx },
		version: opts.Version, redact: opts.Redact, log: opts.Log,
		pins: map[string]*catalog.Pins{}, common: map[string]*common{}, instructions: map[string]string{}, warned: map[catalog.Warning]bool{}, sessions: map[*Session]struct{}{},
	}
	a.required = &required{agg: a}
	now := newConfiguration(1, cfg)
	a.now.Store(now)
	a.servers = upstream.NewSet(ctx, now.servers(), upstream.Options{
		Guardian: opts.Guardian, Limit: cfg.Limits.Message, Version: opts.Version, Snapshots: opts.Snapshots,
		Auth: opts.Auth, Bridge: opts.Bridge, NoFile: opts.NoFile, Log: opts.Log.Named("upstream"),
	})
	return a
}

// Visitor is what a client cannot say of itself. The zero Visitor is one that has started plait.
type Visitor struct {
	Profile string // that it sees the servers by; "" for that of the configuration
	Remote  bool   // it runs on another machine, as far as anybody knows
}

// NoProfileError says that a client wants a profile that there is not.
type NoProfileError struct{ Profiles []string }

// Error implements error.
func (e *NoProfileError) Error() string {
	if len(e.Profiles) == 0 {
		return "there is no such profile, and none is configured; write it under profiles, or leave it out"
	}
	return "there is no such profile; there are " + strings.Join(e.Profiles, ", ")
}

// Open returns the session of the client that has started plait, which reads from out. Its first request is initialize.
func (a *Aggregator) Open(out jsonrpc.Sender) *Session {
	s, _ := a.Admit(Visitor{}, out) // the profile of the configuration is there
	return s
}

// Admit is Open for any client. The error is a *NoProfileError.
func (a *Aggregator) Admit(v Visitor, out jsonrpc.Sender) (*Session, error) {
	a.swap.RLock() // Apply finds it, or it has what Apply gave
	defer a.swap.RUnlock()
	if err := a.HasProfile(v.Profile); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.opened++
	s := newSession(a, v, out, a.opened)
	a.sessions[s] = struct{}{}
	return s, nil
}

// HasProfile returns a *NoProfileError when clients cannot have that profile, "" for that of the configuration.
func (a *Aggregator) HasProfile(name string) error {
	if now := a.now.Load(); now.of(name).gone {
		return &NoProfileError{now.names()}
	}
	return nil
}

// Close ends the sessions that are left and all servers, and waits for that, some seconds at most.
func (a *Aggregator) Close() {
	a.applying.Lock()
	a.closed = true
	a.applying.Unlock()
	var all sync.WaitGroup
	for _, s := range a.clients() {
		all.Go(s.Close)
	}
	all.Go(a.required.close)
	all.Wait()
	a.servers.Close()
}

// forget takes a session off the list.
func (a *Aggregator) forget(s *Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.sessions, s)
}
