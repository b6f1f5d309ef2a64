package downstream

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

const (
	// trusted is how much memory a body gets because its length is said to be that.
	trusted = 64 << 10
	// silence is how long a request is served until its answer becomes a stream: from then on the client can come
	// back for it.
	silence = time.Second
)

const (
	jsonType  = "application/json"
	eventType = "text/event-stream"
)

// post takes a message of a client.
func (h *HTTP) post(w *response, r *http.Request, c Client) {
	if !acceptsBoth(r) {
		h.refuse(w, r, http.StatusNotAcceptable, "the header Accept must allow application/json and text/event-stream")
		return
	}
	m := h.read(w, r)
	if m == nil {
		return
	}
	if m.Method() == protocol.Initialize && r.Header.Get(sessionHeader) == "" {
		h.initialize(w, r, c, m)
		return
	}
	s := h.sessionOf(w, r, c)
	if s == nil {
		return
	}
	defer h.connections.use(r)()
	defer s.enter()()
	s.greet()
	if m.Kind() == jsonrpc.Batch {
		if problem := s.exchange.batchProblem(m); problem != "" {
			h.refuse(w, r, http.StatusBadRequest, problem)
			return
		}
	}
	ids := requests(m)
	if len(ids) == 0 {
		s.exchange.accept(s.life(), m, func(jsonrpc.Text) {})
		w.empty(http.StatusAccepted)
		return
	}
	if h.Ending() {
		h.full(w, r, errEnding)
		return
	}
	h.answer(w, r, s, m, ids)
}

// answer serves requests and sends what belongs to them.
func (h *HTTP) answer(w *response, r *http.Request, s *session, m *jsonrpc.Message, ids []jsonrpc.ID) {
	reader := newReader(w)
	st, err := s.begin(ids, reader)
	switch {
	case errors.Is(err, errCrowded):
		w.Header().Set("Retry-After", "1")
		h.refuse(w, r, http.StatusTooManyRequests, err.Error())
		return
	case err != nil:
		h.refuse(w, r, http.StatusNotFound, err.Error())
		return
	}
	held := w.intake.handOver()
	s.exchange.accept(s.life(), m, func(t jsonrpc.Text) { //nolint:contextcheck // a disconnect does not cancel
		s.finish(st, t)
		held.release()
	})
	t := &tail{reader: reader, session: s, stream: st, gone: r.Context().Done()}
	if answer := t.whole(); answer != nil {
		w.json(http.StatusOK, answer)
		s.detach(st, reader)
		return
	}
	t.follow()
}

// whole waits until it is clear whether there is anything but the answer, and returns that if there is not.
func (t *tail) whole() jsonrpc.Text {
	patience := time.NewTimer(silence)
	defer patience.Stop()
	for {
		o := t.session.look(t.stream, t.reader)
		switch {
		case len(o.events) == 1 && o.from == 1 && o.events[0].answer:
			return o.events[0].text
		case len(o.events) > 0 || o.ended || o.lost:
			return nil
		}
		select {
		case <-t.news:
		case <-patience.C:
			return nil
		case <-t.gone:
			return nil
		case <-t.session.done:
			return nil
		}
	}
}

// initialize opens a session.
func (h *HTTP) initialize(w *response, r *http.Request, c Client, m *jsonrpc.Message) {
	if m.Kind() != jsonrpc.Request {
		h.refuse(w, r, http.StatusBadRequest, "initialize is a request")
		return
	}
	defer h.connections.use(r)()
	s, err := h.open(c) //nolint:contextcheck // the session outlives the request
	if err != nil {
		h.full(w, r, err)
		return
	}
	answers := make(chan jsonrpc.Text, 1)
	s.exchange.accept(s.life(), m, func(t jsonrpc.Text) { answers <- t }) //nolint:contextcheck // as above
	var answer jsonrpc.Text
	select {
	case answer = <-answers:
	case <-r.Context().Done():
		h.drop(s)
		return
	case <-h.life().Done():
		h.drop(s)
		h.full(w, r, errEnded)
		return
	}
	if answer == nil {
		h.drop(s)
		h.full(w, r, errEnded)
		return
	}
	a, err := jsonrpc.Parse(answer.Bytes())
	if err != nil || a.Error() != nil {
		h.drop(s)
		w.json(http.StatusOK, answer)
		return
	}
	s.version, _ = jsonrpc.GetString(a.Result(), "protocolVersion")
	if !h.publish(s) {
		h.drop(s)
		h.full(w, r, errEnded)
		return
	}
	w.session = s
	w.Header().Set(sessionHeader, s.id)
	w.json(http.StatusOK, answer)
}

// full says that no session can be opened.
func (h *HTTP) full(w *response, r *http.Request, err error) {
	if _, ok := errors.AsType[*missingError](err); ok {
		h.reject(w, r, http.StatusNotFound, jsonrpc.Failure(jsonrpc.Null, jsonrpc.Errorf(jsonrpc.CodeInvalidRequest, "%s", err)),
			"nothing is served by this name") // the same for all names
		return
	}
	w.Header().Set("Retry-After", "10")
	h.refuse(w, r, http.StatusServiceUnavailable, err.Error())
}

// sessionOf returns the session that the request names, or refuses the request.
func (h *HTTP) sessionOf(w *response, r *http.Request, c Client) *session {
	if version := r.Header.Get(versionHeader); version != "" && !protocol.Known(version) {
		h.refuse(w, r, http.StatusBadRequest, "this protocol version is not served; send initialize and see which is")
		return nil
	}
	id := r.Header.Get(sessionHeader)
	if id == "" {
		h.refuse(w, r, http.StatusBadRequest, "the header Mcp-Session-Id is missing; the first request is initialize")
		return nil
	}
	s := h.find(id, c)
	if s == nil || s.single {
		h.unknown(w, r)
		return nil
	}
	w.session = s
	return s
}

// unknown refuses a request of a session that is not there.
func (h *HTTP) unknown(w *response, r *http.Request) {
	h.refuse(w, r, http.StatusNotFound, "there is no such session; send initialize to begin another")
}

// read reads the message in the body, or refuses the request and returns nil.
func (h *HTTP) read(w *response, r *http.Request) *jsonrpc.Message {
	if !isJSON(r.Header.Get("Content-Type")) || r.Header.Get("Content-Encoding") != "" {
		h.refuse(w, r, http.StatusUnsupportedMediaType, "the body must be application/json, in UTF-8 and without Content-Encoding")
		return nil
	}
	if r.ContentLength > h.options.Limit {
		h.refuse(w, r, http.StatusRequestEntityTooLarge, "the message is too long; see limits.message")
		return nil
	}
	if !w.intake.hold.grow(expense) {
		h.full(w, r, errMemory)
		return nil
	}
	a := jsonrpc.NewAssembler(h.options.Limit, int(min(max(r.ContentLength, 0), trusted)))
	_, err := a.ReadFrom(&w.intake)
	switch {
	case errors.Is(err, errMemory):
		h.full(w, r, err)
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		h.refuse(w, r, http.StatusRequestTimeout, "the body did not come in time")
		return nil
	case err != nil && !errors.Is(err, context.Canceled):
		h.refuse(w, r, http.StatusBadRequest, "the body did not come whole")
		return nil
	case err != nil:
		return nil
	}
	m, err := a.Message()
	w.intake.unread = err != nil && a.Len() != r.ContentLength
	if err == nil {
		h.note(w, m)
		return m
	}
	bad := malformed(err)
	status := http.StatusBadRequest
	if bad.TooLong {
		status = http.StatusRequestEntityTooLarge
	}
	h.reject(w, r, status, bad.Answer(), bad.Reason)
	return nil
}

// isJSON reports whether a media type is that of JSON in UTF-8.
func isJSON(media string) bool {
	if media == jsonType { // what nearly all clients send
		return true
	}
	kind, params, err := mime.ParseMediaType(media)
	charset := params["charset"]
	return err == nil && kind == jsonType && (charset == "" || strings.EqualFold(charset, "utf-8"))
}

// requests returns the ids of the requests in a message; a batch always gets an answer when it has any, or has faults.
func requests(m *jsonrpc.Message) []jsonrpc.ID {
	switch m.Kind() {
	case jsonrpc.Request:
		return []jsonrpc.ID{m.ID()}
	case jsonrpc.Batch:
	case jsonrpc.Notification, jsonrpc.Response:
		return nil
	}
	ids := []jsonrpc.ID{}
	empty, plain := true, true
	for part, err := range m.Batch() {
		empty = false
		if err != nil || part.Kind() == jsonrpc.Batch {
			plain = false
		} else if part.Kind() == jsonrpc.Request {
			ids = append(ids, part.ID())
		}
	}
	if len(ids) == 0 && (empty || !plain) {
		return []jsonrpc.ID{jsonrpc.Null}
	}
	return ids
}

// acceptsBoth reports whether the client takes whatever answer there may be.
func acceptsBoth(r *http.Request) bool {
	if headers := r.Header["Accept"]; len(headers) == 1 && headers[0] == jsonType+", "+eventType { // what nearly all clients send
		return true
	}
	return accepts(r, jsonType) && accepts(r, eventType)
}

// accepts reports whether the client takes an answer of that type (RFC 9110, section 12.5.1).
func accepts(r *http.Request, kind string) bool {
	headers := r.Header.Values("Accept")
	if len(headers) == 0 {
		return true
	}
	group, _, _ := strings.Cut(kind, "/")
	for _, header := range headers {
		for part := range strings.SplitSeq(header, ",") {
			name, params, err := mime.ParseMediaType(part)
			if err == nil && params["q"] != "0" && slices.Contains([]string{kind, group + "/*", "*/*"}, name) {
				return true
			}
		}
	}
	return false
}
