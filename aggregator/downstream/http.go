package downstream

import (
	"cmp"
	"container/list"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// Names of headers (MCP, transports, Streamable HTTP).
const (
	sessionHeader = "Mcp-Session-Id"
	versionHeader = "Mcp-Protocol-Version"
	resumeHeader  = "Last-Event-Id"
)

// Client is who opened a session, and through which door. A session belongs to its Client: to any other it is unknown.
type Client struct {
	Profile   string // of Path/p/NAME; "" at Path
	Principal string // as whom it came in
	Local     bool   // it runs on this machine, as far as the connection tells
}

// HTTPOptions are what an HTTP front needs. The zero values of all after Log stand for what the comments say.
type HTTPOptions struct {
	Open  func(c Client, out jsonrpc.Sender) (jsonrpc.Handler, error) // makes a session; an error says why there is none: 404
	Limit int64                                                       // bytes of a message
	Log   hclog.Logger

	// HasProfile says why there is no profile of a name: 404. The sessions of one that is gone end with their calls. nil:
	// only Open knows.
	HasProfile func(name string) error

	Path string // of Streamable HTTP; "" for /mcp. Profiles are below it, at Path/p/NAME
	SSE  bool   // serve /sse and /message as well, and /sse/p/NAME (2024-11-05, HTTP with SSE)

	Bearer         config.Secret // what a client has to show; "" for nothing
	AllowedHosts   []string      // names that a request may be sent to, besides those of this machine
	AllowedOrigins []string      // origins of web pages that may come, besides those of this machine

	Sessions int           // at a time; 0 for 1000
	Full     string        // what a client is told when there are so many; "" for that there are
	Idle     time.Duration // after which a session that nobody uses is ended; 0 for 30 minutes
	Lifetime time.Duration // after which any session is ended; 0 for 24 hours
	Replay   int64         // bytes of messages that a session keeps for a client that comes back; 0 for 1 MiB
	Drain    time.Duration // that calls in flight get when the front ends; 0 for 10 seconds

	// Ops serves /healthz, /readyz and /metrics, after Host, Origin and, for /metrics, the token were checked; nil: nobody does.
	Ops http.Handler
	// Access is told of every request when it has ended; nil: nobody is. It is called by many goroutines at a time.
	Access  func(Access)
	Telling func() bool // whether Access wants to be told now; nil: always

	Connections int // at a time; 0 for 5000
	// Memory is how many bytes of messages may be received and served at a time, of all clients, and how many may wait for
	// clients to take them or to come back; 0 for 256 MiB, and twice Limit at least.
	Memory int64
}

func (o *HTTPOptions) complete() {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	o.Path = cmp.Or(o.Path, "/mcp")
	o.Sessions = cmp.Or(o.Sessions, 1000) //nolint:mnd // documented
	o.Full = cmp.Or(o.Full, "too many sessions; end one, try again later, or raise serve.http.limits.sessions")
	o.Idle = cmp.Or(o.Idle, 30*time.Minute)       //nolint:mnd // documented
	o.Lifetime = cmp.Or(o.Lifetime, 24*time.Hour) //nolint:mnd // documented
	o.Replay = cmp.Or(o.Replay, 1<<20)            //nolint:mnd // documented
	o.Drain = cmp.Or(o.Drain, 10*time.Second)     //nolint:mnd // documented
	o.Connections = cmp.Or(o.Connections, 5000)   //nolint:mnd // documented
	o.Memory = max(cmp.Or(o.Memory, 256<<20), 2*o.Limit)
}

var (
	errCrowd  = errors.New("too many connections; close one, try again later, or raise serve.http.limits.connections")
	errEnding = errors.New("plait is ending; begin another session in a while")
)

// HTTP serves any number of clients over HTTP (2025-11-25 and older, transports). It is an http.Handler for all paths.
type HTTP struct {
	options HTTPOptions // but what rules say
	rules   atomic.Pointer[rules]
	life    func() context.Context
	end     context.CancelFunc
	work    sync.WaitGroup // the sweeper, and sessions that are being ended
	told    *told
	crew    *crew

	mcp, legacy, messages methods // of the paths

	connections *connections
	memory      memory // of what is being received and served
	waiting     *waiting

	counters counters

	mu       sync.Mutex
	sessions map[string]*session
	fresh    list.List // of those whose client had not gone on after initialize when last looked at, the oldest first
	count    int       // sessions, with those that are being opened
	closed   bool
}

// NewHTTP returns a front that serves until Close, which the caller calls. The end of ctx alone ends nothing.
func NewHTTP(ctx context.Context, o HTTPOptions) *HTTP {
	o.complete()
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	h := &HTTP{
		options: o, life: func() context.Context { return life }, end: end,
		told: newTold(o.Log), crew: newCrew(manyWaiting), connections: newConnections(o.Connections), waiting: newWaiting(),
		sessions: map[string]*session{},
	}
	h.bound(o.Memory)
	h.rules.Store(newRules(&o))
	h.mcp = methods{"POST": h.post, "GET": h.get, "DELETE": h.delete}
	h.legacy, h.messages = methods{"GET": h.sse}, methods{"POST": h.message}
	h.work.Go(h.sweep)
	return h
}

// ServeHTTP implements http.Handler.
func (h *HTTP) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w := newResponse(out, r, &h.memory)
	defer h.account(w, r, time.Now())
	defer w.intake.release()
	w.intake.expect(r)
	if h.connections.isSurplus(r) {
		w.Header().Set("Connection", "close") // there may be room for the next one
		h.full(w, r, errCrowd)
		return
	}
	if no := misshapen(r); no != nil {
		h.refuse(w, r, no.status, no.reason)
		return
	}
	now := h.rules.Load()
	if no := now.admit(w, r); no != nil {
		h.refuse(w, r, no.status, no.reason)
		return
	}
	if h.options.Ops == nil || !isOps(r.URL.Path) {
		h.route(w, r, now)
		return
	}
	if !isProbe(r.URL.Path) {
		if _, no := now.identify(w, r); no != nil {
			h.refuse(w, r, no.status, no.reason)
			return
		}
	}
	h.options.Ops.ServeHTTP(w, r)
}

// route finds who serves a request.
func (h *HTTP) route(w *response, r *http.Request, now *rules) {
	methods, profile := h.served(r.URL, now)
	serve := methods[r.Method]
	switch {
	case methods == nil:
		h.refuse(w, r, http.StatusNotFound, "nothing is served at this path; MCP is at "+now.path)
		return
	case r.Method == http.MethodOptions: // a browser asks before it sends the token
		preflight(w, r)
		return
	case serve == nil:
		for _, method := range []string{"GET", "POST", "DELETE"} {
			if methods[method] != nil {
				w.Header().Add("Allow", method)
			}
		}
		h.refuse(w, r, http.StatusMethodNotAllowed, "this method is not served here")
		return
	}
	principal, no := now.identify(w, r)
	if no != nil {
		h.refuse(w, r, no.status, no.reason)
		return
	}
	if err := h.lacks(profile); err != nil {
		h.refuse(w, r, http.StatusNotFound, err.Error())
		return
	}
	serve(w, r, Client{Profile: profile, Principal: principal, Local: isLocal(r) && !isForwarded(r)})
}

// refuse answers a request that is not served, and logs the first of its kind.
func (h *HTTP) refuse(w *response, r *http.Request, status int, reason string) {
	h.reject(w, r, status, jsonrpc.Failure(jsonrpc.Null, jsonrpc.Errorf(jsonrpc.CodeInvalidRequest, "%s", reason)), reason)
}

func (h *HTTP) reject(w *response, r *http.Request, status int, answer jsonrpc.Text, reason string) {
	h.told.say(reason, "a request was refused; more of its kind are logged at level debug",
		"status", status, "reason", reason, "method", printable(r.Method), "path", printable(r.URL.Path), "from", r.RemoteAddr)
	if w.intake.unread {
		w.Header().Set("Connection", "close")
		w.intake.leave()
	}
	w.json(status, answer)
}

// open makes a session that nobody finds yet. When there are too many it takes the place of one whose client has
// not gone on after initialize, and waits until that has ended: many that only ask for sessions keep nobody out.
func (h *HTTP) open(c Client) (*session, error) {
	now := h.rules.Load()
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil, errEnding
	}
	if h.count >= now.sessions {
		old := h.hesitant()
		h.mu.Unlock()
		if old == nil {
			return nil, errors.New(h.options.Full)
		}
		h.told.say(h.options.Full, "too many sessions; those end first whose client does not go on after initialize", "limit", now.sessions)
		old.stop()
	} else {
		h.count++
		h.work.Add(1) // until it has ended
		h.mu.Unlock()
	}
	s, err := newSession(h, rand.Text(), c, now.replay)
	if err != nil {
		h.leave()
		return nil, &missingError{err}
	}
	h.counters.opened.Add(1)
	return s, nil
}

// missingError says that what a session was asked for is not there.
type missingError struct{ error }

// Unwrap returns what Open said.
func (e *missingError) Unwrap() error { return e.error }

// hesitant hides the session that has waited longest for its client to go on after initialize, and returns it, nil
// for none. The state is locked.
func (h *HTTP) hesitant() *session {
	for h.fresh.Len() > 0 {
		s, _ := h.fresh.Front().Value.(*session)
		if h.unlist(s); s.fresh() {
			delete(h.sessions, s.id)
			s.dropped = true
			return s
		}
	}
	return nil
}

// unlist takes a session off the list of fresh ones. The state is locked.
func (h *HTTP) unlist(s *session) {
	if s.listed != nil {
		h.fresh.Remove(s.listed)
		s.listed = nil
	}
}

// publish lets clients find a session, or reports that the front has closed, or asks for another token by now.
func (h *HTTP) publish(s *session) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || s.client.Principal != h.rules.Load().principal() {
		return false
	}
	s.publish()
	h.sessions[s.id] = s
	s.listed = h.fresh.PushBack(s)
	return true
}

// find returns a session of the client. Whose it is, and whether there is one, is told to nobody else.
func (h *HTTP) find(id string, c Client) *session {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.sessions[id]; s != nil && s.client == c {
		return s
	}
	return nil
}

// drop ends a session that open has made and waits for that, unless somebody else does it.
func (h *HTTP) drop(s *session) {
	if h.hide(s) {
		h.bury(s)
	}
}

// hide has nobody find a session any more and reports whether the caller has to bury it.
func (h *HTTP) hide(s *session) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sessions, s.id)
	h.unlist(s)
	first := !s.dropped
	s.dropped = true
	return first
}

func (h *HTTP) bury(s *session) {
	s.stop()
	h.leave()
}

// leave counts a session out.
func (h *HTTP) leave() {
	h.mu.Lock()
	h.count--
	h.mu.Unlock()
	h.work.Done()
}

func (h *HTTP) all() []*session {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*session, 0, len(h.sessions))
	for _, s := range h.sessions {
		all = append(all, s)
	}
	return all
}
