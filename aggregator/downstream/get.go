package downstream

import (
	"errors"
	"net/http"
)

// get opens a stream: the one for what belongs to no request, or one that the client comes back to.
func (h *HTTP) get(w *response, r *http.Request, c Client) {
	if !accepts(r, eventType) {
		h.refuse(w, r, http.StatusNotAcceptable, "the header Accept must allow text/event-stream")
		return
	}
	s := h.sessionOf(w, r, c)
	if s == nil {
		return
	}
	defer h.connections.use(r)()
	defer s.enter()()
	reader := newReader(w)
	var st *stream
	var err error
	if id := r.Header.Get(resumeHeader); id != "" {
		number, after, ok := readEventID(id)
		if !ok {
			h.refuse(w, r, http.StatusBadRequest, "this is no id of an event")
			return
		}
		st, err = s.resume(number, after, reader)
	} else {
		st, err = s.listen(reader)
	}
	switch {
	case errors.Is(err, errOver): // come back no more (WHATWG HTML, server-sent events): clients do, for ever, or end the session at an error
		w.empty(http.StatusNoContent)
	case errors.Is(err, errNoStream):
		h.refuse(w, r, http.StatusBadRequest, err.Error())
	case err != nil:
		h.refuse(w, r, http.StatusNotFound, err.Error())
	default:
		t := &tail{reader: reader, session: s, stream: st, gone: r.Context().Done()}
		t.follow()
	}
}

// delete ends a session at the client's wish.
func (h *HTTP) delete(w *response, r *http.Request, c Client) {
	s := h.sessionOf(w, r, c)
	if s == nil {
		return
	}
	if !h.hide(s) { // another one has ended it meanwhile
		h.unknown(w, r)
		return
	}
	h.work.Go(func() { h.bury(s) }) // servers take their time
	w.empty(http.StatusNoContent)
}
