package downstream

import (
	"net/http"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// sse opens a session that lasts as long as the connection. Its first event says where messages go.
func (h *HTTP) sse(w *response, r *http.Request, c Client) {
	if !accepts(r, eventType) {
		h.refuse(w, r, http.StatusNotAcceptable, "the header Accept must allow text/event-stream")
		return
	}
	s, err := h.open(c) //nolint:contextcheck // calls may end after the connection
	if err != nil {
		h.full(w, r, err)
		return
	}
	defer h.drop(s)
	w.session, s.single = s, true
	defer h.connections.use(r)()
	defer s.enter()()
	reader := newReader(w)
	st, err := s.listen(reader)
	if err != nil {
		h.full(w, r, err)
		return
	}
	if !h.publish(s) {
		h.full(w, r, errEnded)
		return
	}
	t := &tail{reader: reader, session: s, stream: st, gone: r.Context().Done()}
	t.follow()
}

// message takes a message of a client whose answers go over its one stream.
func (h *HTTP) message(w *response, r *http.Request, c Client) {
	s := h.find(r.URL.Query().Get("sessionId"), c)
	if s == nil || !s.single {
		h.refuse(w, r, http.StatusNotFound, "there is no such session; GET "+of(ssePath, c.Profile)+" begins one")
		return
	}
	w.session = s
	m := h.read(w, r)
	if m == nil {
		return
	}
	defer h.connections.use(r)()
	defer s.enter()()
	s.greet()
	if len(requests(m)) > 0 && h.Ending() {
		h.full(w, r, errEnding)
		return
	}
	answered := func() {}
	if m.Kind() == jsonrpc.Request || m.Kind() == jsonrpc.Batch {
		answered = w.intake.handOver().release
	}
	s.accepting.Lock() // initialize comes first
	s.exchange.accept(s.life(), m, func(t jsonrpc.Text) {
		if t != nil {
			_ = s.send("", s.admit(event{text: t}, requests(m))) // the session has ended
		}
		answered()
	})
	s.accepting.Unlock()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusAccepted)
	w.put([]byte("Accepted"))
}
