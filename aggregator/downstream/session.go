package downstream

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

const (
	// recall is how long a stream that has ended is kept for a client that lost it.
	recall = 2 * time.Minute
	// maxStreams bounds the requests of a session that have a stream of their own.
	maxStreams = 1000
)

var (
	errEnded    = errors.New("the session has ended; send initialize to begin another")
	errCrowded  = errors.New("the session has too many requests open; wait for some of them")
	errNoStream = errors.New("the session knows no such event; open the stream without Last-Event-ID")
	errOver     = errors.New("nothing comes after this event")
)

// session is one client that speaks HTTP. It is the jsonrpc.Sender of its exchange: what belongs to a request goes
// to the stream of that, everything else to the stream that no request has, number 0.
type session struct {
	id      string
	client  Client // who opened it; nobody else may use it
	single  bool   // everything goes to stream 0 (2024-11-05, HTTP with SSE)
	budget  int64  // how much may be kept to be sent again
	waiting *waiting
	told    *told
	version string // that was negotiated; set before anybody else sees the session
	began   time.Time

	exchange  *exchange
	accepting sync.Mutex             // held while exchange takes messages that come in any order
	dropped   bool                   // the front has ended it; guarded by HTTP.mu
	listed    *list.Element          // of HTTP.fresh; guarded by HTTP.mu
	life      func() context.Context // of all that is served
	end       context.CancelFunc     // of life
	done      chan struct{}          // closed when the session has ended

	mu       sync.Mutex
	room     sync.Cond // less is kept, or somebody left
	streams  map[int]*stream
	causes   map[jsonrpc.ID]*stream
	retired  []*stream // ended streams that are kept, the oldest first
	last     int       // the number of the newest stream
	kept     int64     // what all events take
	serving  int       // HTTP requests
	used     time.Time // when the last of them ended
	opened   time.Time // when clients could find it
	greeted  bool      // the client has done more than initialize
	listened bool      // the client has opened stream 0 once
	lost     bool      // something was dropped
	closed   bool
}

var _ jsonrpc.Sender = (*session)(nil)

// newSession makes a session that keeps so many bytes to be sent again.
func newSession(h *HTTP, id string, c Client, replay int64) (*session, error) {
	life, end := context.WithCancel(h.life())
	s := &session{
		id: id, client: c, budget: replay, waiting: h.waiting, told: h.told, began: time.Now(), used: time.Now(),
		life: func() context.Context { return life }, end: end, done: make(chan struct{}),
		streams: map[int]*stream{0: newStream(0, nil)}, causes: map[jsonrpc.ID]*stream{},
	}
	s.room.L = &s.mu
	handler, err := h.options.Open(c, s)
	if err != nil {
		end()
		return nil, err
	}
	s.exchange = newExchange(handler, s, h.told, h.crew)
	s.waiting.join(s)
	return s, nil
}

// enter notes that an HTTP request uses the session, until leave is called.
func (s *session) enter() (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.serving--
		s.used = time.Now()
	}
}

// publish notes that clients can find the session.
func (s *session) publish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened = time.Now()
}

// greet notes that the client goes on after initialize.
func (s *session) greet() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.greeted = true
}

// fresh reports whether the client has done nothing but initialize.
func (s *session) fresh() bool { return !s.freshSince().IsZero() }

// freshSince returns since when the client could go on after initialize and has not, the zero time for one that has.
func (s *session) freshSince() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.greeted {
		return time.Time{}
	}
	return s.opened
}

// idleSince returns since when nobody has used the session, the zero time when somebody does.
func (s *session) idleSince() time.Time {
	busy := !s.exchange.idle()
	s.mu.Lock()
	defer s.mu.Unlock()
	if busy || s.serving > 0 {
		return time.Time{}
	}
	return s.used
}

// Send implements jsonrpc.Sender.
func (s *session) Send(cause jsonrpc.ID, t jsonrpc.Text) error {
	return s.send(cause, s.admit(event{text: t}, nil))
}

func (s *session) send(cause jsonrpc.ID, e event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.causes[cause.Key()]
	if st == nil {
		st = s.common()
	}
	return s.put(st, e)
}

// common returns the stream for what belongs to no request: stream 0, or for a client that never opened that one any
// that it reads. The state is locked.
func (s *session) common() *stream {
	if !s.listened {
		for _, st := range s.causes {
			if st.reader != nil {
				return st
			}
		}
	}
	return s.streams[0]
}

// begin opens the stream of requests with those ids, read by r.
func (s *session) begin(ids []jsonrpc.ID, r *reader) (*stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, errEnded
	case len(s.causes) >= maxStreams:
		return nil, errCrowded
	}
	s.last++
	st := newStream(s.last, nil)
	for _, id := range ids {
		if key := id.Key(); s.causes[key] == nil { // a second request with that id is refused
			s.causes[key] = st
			st.causes = append(st.causes, key)
		}
	}
	st.reader = r
	s.streams[st.number] = st
	return st, nil
}

// finish gives the answer to the requests of a stream, nil for none, and ends it.
func (s *session) finish(st *stream, answer jsonrpc.Text) {
	var e event
	if answer != nil {
		e = s.admit(event{text: answer, answer: true}, st.causes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range st.causes {
		delete(s.causes, id)
	}
	if answer != nil && s.put(st, e) != nil {
		return // the session has ended: nobody reads it
	}
	if s.streams[st.number] != st {
		return // the client went away before it knew a way to come back
	}
	st.ended = true
	st.reader.wake()
	if st.reader == nil {
		s.retire(st)
	}
}

// retire keeps a stream for a while that has ended and that nobody reads. The state is locked.
func (s *session) retire(st *stream) {
	switch {
	case !st.named:
		s.remove(st)
	case st.retired.IsZero():
		st.retired = time.Now()
		s.retired = append(s.retired, st)
	}
}

// remove forgets a stream. The state is locked.
func (s *session) remove(st *stream) {
	if s.streams[st.number] != st {
		return
	}
	s.release(st.cost())
	delete(s.streams, st.number)
	for _, id := range st.causes {
		if s.causes[id] == st {
			delete(s.causes, id)
		}
	}
}

// forget removes the streams that were kept long enough.
func (s *session) forget(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.retired) > 0 && now.Sub(s.retired[0].retired) > recall {
		s.oldest()
	}
}

// oldest removes the stream that was retired first, unless somebody came back for it. The state is locked.
func (s *session) oldest() {
	st := s.retired[0]
	s.retired[0] = nil
	if s.retired = s.retired[1:]; st.reader == nil {
		s.remove(st)
	}
	st.retired = time.Time{}
}

// stop ends the session and waits for all that is being served.
func (s *session) stop() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	close(s.done)
	for _, st := range s.streams {
		if st.reader == nil {
			s.remove(st)
		}
	}
	s.release(0)
	s.mu.Unlock()
	s.end()
	s.exchange.close()
	s.exchange.handler.Close()
	s.exchange.work.Wait()
}
