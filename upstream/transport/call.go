package transport

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// drainTimeout bounds how long a stream may go on after its answer.
const drainTimeout = 10 * time.Second

// flight is an exchange that has not ended: a call until its answer is there and its stream is over, or a
// message that is sent.
type flight struct {
	id     jsonrpc.ID
	cancel context.CancelFunc              // ends the exchange
	detach func() bool                     // from the context of the caller
	answer atomic.Pointer[jsonrpc.Message] // set once, by deliver

	accepted bool  // guarded by httpConn.mu: the answer will come on the listening stream
	err      error // guarded by httpConn.mu: why the exchange was ended
}

// Call implements Conn.
func (h *httpConn) Call(ctx context.Context, id jsonrpc.ID, request jsonrpc.Text) (*jsonrpc.Message, error) {
	exchange, f, err := h.begin(ctx, id)
	if err != nil {
		return nil, err
	}
	defer h.working.Done()
	rest, err := h.exchange(exchange, f, request)
	f.detach()
	answer, ended := h.outcome(f)
	if rest == nil || answer == nil || !h.run(func(context.Context) { h.drain(rest, f) }) {
		rest.close()
		h.forget(f)
	}
	switch {
	case answer != nil:
		return answer, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case ended != nil:
		return nil, ended
	}
	return nil, err
}

// Send implements Conn.
func (h *httpConn) Send(ctx context.Context, m jsonrpc.Text) error {
	exchange, f, err := h.begin(ctx, "")
	if err != nil {
		return err
	}
	defer h.working.Done()
	defer h.forget(f)
	head := h.head.Load()
	resp, err := do(exchange, h.o.Client, head.post, m)
	switch _, ended := h.outcome(f); {
	case err == nil:
	case ctx.Err() != nil:
		return ctx.Err()
	case ended != nil:
		return ended
	default:
		return err
	}
	if resp.StatusCode/100 != 2 {
		_, err := h.refused(resp, head, "")
		return err
	}
	if media(resp, acceptStream) {
		_ = resp.Body.Close() // nothing can come on it, and it may never end
	} else {
		discard(resp)
	}
	return nil
}

// begin enters an exchange. Whoever calls it calls forget and working.Done in the end.
func (h *httpConn) begin(ctx context.Context, id jsonrpc.ID) (context.Context, *flight, error) {
	if err := h.enter(); err != nil {
		return nil, nil, err
	}
	exchange, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{id: id.Key(), cancel: cancel, detach: context.AfterFunc(ctx, cancel)}
	if err := h.add(f); err != nil {
		f.detach()
		cancel()
		h.working.Done()
		return nil, nil, err
	}
	return exchange, f, nil
}

// add enters f in the tables, where Close finds it.
func (h *httpConn) add(f *flight) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.done:
		return notSent(h.Err())
	default:
	}
	if f.id != "" {
		if h.waiting[f.id] != nil {
			return fmt.Errorf("the id %s is in use", f.id)
		}
		h.waiting[f.id] = f
	}
	h.flights[f] = struct{}{}
	return nil
}

// outcome returns the answer, or why the exchange was ended, and stops waiting.
func (h *httpConn) outcome(f *flight) (*jsonrpc.Message, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting[f.id] == f {
		delete(h.waiting, f.id)
	}
	return f.answer.Load(), f.err
}

// forget ends an exchange.
func (h *httpConn) forget(f *flight) {
	f.detach()
	f.cancel()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.flights, f)
}

// exchange sends a request and waits until its answer was delivered. The stream that it returns goes on.
func (h *httpConn) exchange(ctx context.Context, f *flight, request jsonrpc.Text) (*stream, error) {
	head := h.head.Load()
	resp, err := do(ctx, h.o.Client, head.post, request)
	if err != nil {
		return nil, err
	}
	if id := resp.Header.Get("Mcp-Session-Id"); id != "" && !head.open {
		h.identify(id, "", false)
	}
	switch {
	case resp.StatusCode/100 != 2:
		answer, err := h.refused(resp, head, f.id)
		if answer != nil {
			h.deliver(answer, f.id)
		}
		return nil, err
	case media(resp, acceptStream):
		return h.await(ctx, h.stream(resp, cursor{}), f)
	case resp.StatusCode == http.StatusAccepted, resp.StatusCode == http.StatusNoContent, resp.ContentLength == 0:
		discard(resp)
		return nil, h.awaitElsewhere(ctx, f)
	case media(resp, "application/json"), resp.Header.Get("Content-Type") == "":
		defer resp.Body.Close()
		return nil, h.readBody(resp, f)
	}
	defer resp.Body.Close()
	return nil, unexpected(resp)
}

// readBody reads the messages of a JSON response.
func (h *httpConn) readBody(resp *http.Response, f *flight) error {
	if resp.ContentLength > h.o.Limit {
		err := fmt.Errorf("its %d bytes are longer than the limit", resp.ContentLength)
		return unreadable(&TooLongError{Bytes: resp.ContentLength, err: err}, h.o.Limit)
	}
	a := jsonrpc.NewAssembler(h.o.Limit, int(resp.ContentLength))
	if _, err := a.ReadFrom(resp.Body); err != nil {
		return fmt.Errorf("read the response: %w", err)
	}
	m, err := a.Message()
	if err != nil {
		return unreadable(err, h.o.Limit)
	}
	if h.accept(m, f.id); f.answer.Load() == nil {
		return fmt.Errorf("%w: the response answers another request", ErrNoAnswer)
	}
	return nil
}

// awaitElsewhere waits for an answer that the server has promised for the listening stream.
func (h *httpConn) awaitElsewhere(ctx context.Context, f *flight) error {
	h.mu.Lock()
	f.accepted = true
	listens := h.listening == isListening
	h.mu.Unlock()
	if f.answer.Load() == nil && !listens {
		return fmt.Errorf("%w: the server accepted the request and has no stream for the answer", ErrNoAnswer)
	}
	<-ctx.Done() // the answer ends the exchange, too
	return ctx.Err()
}

// refused reads a response without success. It returns the answer to the request with that id when the
// response is one, and loses the Conn when the server says that it does not know the session.
func (h *httpConn) refused(resp *http.Response, head *session, id jsonrpc.ID) (*jsonrpc.Message, error) {
	r := readRefusal(resp, h.o.Limit)
	if head.id != "" && r.sessionLost(id) {
		h.lose(r.status.Error())
		return nil, &SessionLostError{Reason: r.status.Error()}
	}
	answer := r.answers(id)
	if answer == nil || !head.open && answer != r.answer && refusesWire(r.status.Code) {
		r.status.answer = answer
		return nil, r.status
	}
	return answer, nil
}

// deliver hands an answer to the call that waits for it and reports whether one does. An error without an id
// on the stream of the call cause is the answer to that.
func (h *httpConn) deliver(m *jsonrpc.Message, cause jsonrpc.ID) bool {
	h.mu.Lock()
	to := h.waiting[m.ID().Key()]
	if own := h.waiting[cause]; to == nil && own != nil && m.ID() == jsonrpc.Null && m.Error() != nil {
		to, m = own, withID(m, cause)
	}
	if to != nil {
		delete(h.waiting, to.id)
		to.answer.Store(m)
	}
	h.mu.Unlock()
	if to != nil && to.id != cause {
		to.cancel() // what it still waits for
	}
	return to != nil
}

// failOne ends the exchange of the call whose answer cannot be read.
func (h *httpConn) failOne(bad *jsonrpc.MalformedError, why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f := h.waiting[bad.ID.Key()]; f != nil && f.err == nil {
		f.err = why
		f.cancel()
	}
}

// drain reads what comes after the answer, so that the connection can be used again.
func (h *httpConn) drain(s *stream, f *flight) {
	timer := time.AfterFunc(drainTimeout, f.cancel)
	for h.read(s, f) == nil {
	}
	timer.Stop()
	s.close()
	h.forget(f)
}
