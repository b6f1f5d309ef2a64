package downstream

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// stalled is how long a client may take for a chunk of what is written to it while others need the room.
const stalled = time.Second

// waiting is the memory for messages that wait for clients, and for those that are kept to be sent again, of all
// sessions. Nobody notices it while there is room. When there is none, what was sent already goes first, then what
// nobody reads or takes, the most first: who takes what waits for him loses nothing.
type waiting struct {
	memory

	queued atomic.Int64 // bytes of messages for which there is no room yet
	making sync.Mutex   // held while room is made

	mu       sync.Mutex
	sessions map[*session]struct{} // that may have messages
}

func newWaiting() *waiting { return &waiting{sessions: map[*session]struct{}{}} }

// bound changes how much memory there is, for what comes in and for what waits.
func (h *HTTP) bound(limit int64) {
	h.memory.limit.Store(limit)
	h.waiting.limit.Store(limit)
}

func (w *waiting) join(s *session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions[s] = struct{}{}
}

func (w *waiting) leave(s *session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.sessions, s)
}

// admit takes n bytes. When there is no room it waits until those who take nothing have shown that, or until done is
// closed: some messages may, so that a client that reads does not suffer from many that have just stopped to.
func (w *waiting) admit(n int64, done <-chan struct{}) bool {
	if w.take(n, n) || w.evict(n) {
		return true
	}
	defer w.queued.Add(-n)
	if w.queued.Add(n) > max(n, w.limit.Load()/4) { //nolint:mnd // besides the limit
		return false
	}
	pause := time.NewTimer(stalled)
	defer pause.Stop()
	select {
	case <-pause.C:
		return w.evict(n)
	case <-done:
		return false
	}
}

// evict makes room for n bytes and takes them.
func (w *waiting) evict(n int64) bool {
	w.making.Lock()
	defer w.making.Unlock()
	w.mu.Lock()
	sessions := slices.Collect(maps.Keys(w.sessions))
	w.mu.Unlock()
	ample := w.room(n) - w.room(n)/8 //nolint:mnd // not for every message again
	for _, s := range sessions {
		if w.used.Load()+n <= ample {
			break
		}
		s.spare()
	}
	if w.take(n, n) {
		return true
	}
	var all []burden
	now := time.Now()
	for _, s := range sessions {
		all = s.burdens(all, now)
	}
	slices.SortFunc(all, func(a, b burden) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.since, b.since))
	})
	over := w.used.Load() + n - w.room(n)
	for _, b := range all {
		if over <= 0 {
			break
		}
		over -= b.session.cut(b.stream, now)
	}
	if over <= 0 {
		w.used.Add(n) // what is blocked goes by itself
		return true
	}
	return w.used.CompareAndSwap(0, n) // one that is longer than all the room has it alone
}

// burden is a stream that nobody reads, or whose client takes nothing.
type burden struct {
	session *session
	stream  *stream
	size    int64
	since   int64 // when the client last took something, 0 if nobody reads
}

// burdens adds those of a session.
func (s *session) burdens(all []burden, now time.Time) []burden {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		if size := st.cost() + st.blocked; size > 0 && st.stuck(now) {
			all = append(all, burden{s, st, size, st.since()})
		}
	}
	return all
}

// since returns since when the client is taking what is being written, 0 if nothing is.
func (s *stream) since() int64 {
	if s.reader == nil {
		return 0
	}
	return s.reader.out.since.Load()
}

// stuck reports whether nobody reads the stream, or the client takes nothing.
func (s *stream) stuck(now time.Time) bool {
	since := s.since()
	return s.reader == nil || since != 0 && now.UnixNano()-since >= int64(stalled)
}

// spare drops all that was sent and is only kept to be sent again.
func (s *session) spare() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		for st.next > st.first {
			s.release(st.drop())
		}
	}
}

// cut takes a stream from its reader and drops what is on it. It returns how much room that makes, if the client has
// taken nothing up to now.
func (s *session) cut(st *stream, now time.Time) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams[st.number] != st || !st.stuck(now) {
		return 0
	}
	s.told.say("deaf", "what waits for a client that takes none of it is dropped: there is no room for what waits for others",
		"limit", s.waiting.limit.Load())
	before := s.kept
	if st.reader != nil {
		st.reader.out.sever()
		s.abandon(st)
	}
	if s.streams[st.number] == st {
		s.trim(st, 0)
	}
	return before - s.kept + st.blocked
}

// admit returns an event for which memory was taken: e, or if there is none for that answer to requests with those
// ids, an error in its place. What is no answer is put off, but never lost.
func (s *session) admit(e event, ids []jsonrpc.ID) event {
	if s.waiting.admit(e.cost(), s.done) {
		return e
	}
	if len(ids) > 0 {
		s.told.say("crowded", "an answer was replaced by an error: too much waits for clients that take it slowly; see serve.http.limits.memory",
			"limit", s.waiting.limit.Load())
		e.text = excuse(ids, "there is no room for the answer, too much waits for clients to take it; call again later, or raise serve.http.limits.memory")
	}
	s.waiting.used.Add(e.cost())
	return e
}

// excuse answers requests whose answer is lost.
func excuse(ids []jsonrpc.ID, reason string) jsonrpc.Text {
	e := jsonrpc.Errorf(jsonrpc.CodeInternal, "%s", reason)
	switch len(ids) {
	case 0: // all were refused
		return jsonrpc.Failure(jsonrpc.Null, e)
	case 1:
		return jsonrpc.Failure(ids[0], e)
	}
	var all []jsonrpc.Text
	for _, id := range ids {
		all = append(all, jsonrpc.Failure(id, e))
	}
	return joined(all)
}
