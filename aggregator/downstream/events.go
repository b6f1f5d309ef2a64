package downstream

import (
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

const (
	// slowest is how long a client may take to take a chunk of what is written to it.
	slowest = 30 * time.Second
	chunk   = 256 << 10
	// heartbeat is how often a silent stream says that it is alive, so that nobody on the way ends it.
	heartbeat = 20 * time.Second
	// retryAfter is how many milliseconds a client waits until it comes back to a stream that broke.
	retryAfter = "1000"
)

var errSevered = errors.New("the client takes nothing while others need the room")

// response writes one HTTP response; it gives up a client that does not read.
type response struct {
	http.ResponseWriter

	control *http.ResponseController
	err     error        // of the first write that failed; nothing is written after it
	timed   int          // bytes of the chunk whose time runs
	since   atomic.Int64 // when the client began to take that chunk, in nanoseconds; 0 when nothing is being written
	severed atomic.Bool

	intake  intake   // the body of the request
	status  int      // 0 before there is one
	sent    int64    // bytes
	session *session // that serves the request, nil for none
	methods []string // that the request brought, if somebody wants to know
}

func newResponse(w http.ResponseWriter, r *http.Request, m *memory) *response {
	control := http.NewResponseController(w)
	return &response{ResponseWriter: w, control: control, intake: intake{from: r.Body, control: control, hold: &hold{memory: m}}}
}

// empty sends a response without a body.
func (w *response) empty(status int) {
	_ = w.control.SetWriteDeadline(time.Now().Add(slowest)) // as in put
	w.WriteHeader(status)
}

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	w.status = cmp.Or(w.status, status)
	w.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (w *response) Write(p []byte) (int, error) {
	w.status = cmp.Or(w.status, http.StatusOK)
	n, err := w.ResponseWriter.Write(p) //nolint:gosec,nolintlint // JSON or events, which no browser takes for a page; it is not always found
	w.sent += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach what it controls.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// put writes a text. Every chunk has its time; what comes with it in small pieces has none of its own.
func (w *response) put(p []byte) {
	for len(p) > 0 && w.err == nil {
		n := min(len(p), chunk-w.timed)
		if w.timed == 0 {
			now := time.Now()
			w.since.Store(now.UnixNano())
			_ = w.control.SetWriteDeadline(now.Add(slowest)) // what cannot do that has none
			if w.severed.Load() {
				w.err = errSevered
				return
			}
		}
		_, w.err = w.Write(p[:n])
		w.timed = (w.timed + n) % chunk
		p = p[n:]
	}
}

func (w *response) flush() {
	if w.err == nil {
		w.err = w.control.Flush()
		w.timed = 0
		w.since.Store(0)
	}
}

// sever has a write fail that is going on, and all that come. It may be called by another goroutine, while the request
// is being served.
func (w *response) sever() {
	w.severed.Store(true)
	_ = w.control.SetWriteDeadline(time.Unix(1, 0)) // as in put
}

// json sends a message as the whole response.
func (w *response) json(status int, t jsonrpc.Text) {
	h := w.Header()
	h.Set("Content-Type", jsonType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(t.Len()))
	w.WriteHeader(status)
	for _, p := range t {
		w.put(p)
	}
}

// stream begins a response of events (WHATWG HTML, server-sent events).
func (w *response) stream() {
	h := w.Header()
	h.Set("Content-Type", eventType)
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
}

// event writes an event; one without an id cannot be asked for again.
func (w *response) event(name, id string, t jsonrpc.Text) {
	w.put([]byte("event: " + name + "\n"))
	if id != "" {
		w.put([]byte("id: " + id + "\n"))
	}
	w.put([]byte("data: "))
	for _, p := range t { // a message has no line ends
		w.put(p)
	}
	w.put([]byte("\n\n"))
}

// tail is a reader of one stream of a session, at work on one HTTP request.
type tail struct {
	*reader

	session *session
	stream  *stream
	gone    <-chan struct{} // the client has closed the connection
}

// follow sends the stream as events until it ends, another takes it over, or the client or the session is gone.
func (t *tail) follow() {
	defer t.session.detach(t.stream, t.reader)
	t.out.stream()
	t.prime()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for t.send() {
		select {
		case <-t.news:
		case <-beat.C:
			t.out.put([]byte(": alive\n\n"))
			t.out.flush()
		case <-t.gone:
			return
		case <-t.session.done:
			t.send() // what came just before
			return
		}
	}
}

// prime says where messages go (2024-11-05), or gives the client an id to come back with before there is any message (2025-11-25; for older clients data
// without a message is an error).
func (t *tail) prime() {
	if t.session.single {
		t.out.event("endpoint", "", jsonrpc.Text{[]byte(of(messagePath, t.session.client.Profile) + "?sessionId=" + t.session.id)})
	} else if t.session.version >= protocol.V20251125 {
		t.out.put([]byte("id: " + t.session.prime(t.stream, t.reader) + "\nretry: " + retryAfter + "\ndata:\n\n"))
	}
	t.out.flush()
}

// send sends what there is and reports whether more may come.
func (t *tail) send() bool {
	for t.out.err == nil {
		o := t.session.look(t.stream, t.reader)
		if o.lost {
			return false
		}
		for i, e := range o.events {
			id := ""
			if !t.session.single {
				id = eventID(t.stream.number, o.from+i)
			}
			t.out.event("message", id, e.text)
		}
		if len(o.events) == 0 {
			return !o.ended
		}
		t.out.flush()
		if t.out.err == nil {
			t.session.sent(t.stream, t.reader, len(o.events))
		}
		if !t.session.single {
			t.session.name(t.stream, t.reader)
		}
	}
	return false
}
