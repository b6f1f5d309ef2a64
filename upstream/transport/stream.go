package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

const (
	streamBuffer = 32 << 10 // for the stream of a call
	listenBuffer = 4 << 10  // for the listening stream, which is idle most of the time

	// maxResumes is how many times in a row a stream is resumed in vain.
	maxResumes   = 5
	resumeFirst  = time.Second
	resumeLast   = 30 * time.Second
	listenFirst  = time.Second
	listenLast   = 5 * time.Minute
	listenLasted = 10 * time.Second // a stream that lasted so long was one
	// maxUnheard is how many times in a row there is no HTTP answer at all until the Conn is given up.
	maxUnheard = 8
)

// stream is a stream of events that brings messages.
type stream struct {
	*events

	body  io.ReadCloser
	free  func()
	alive bool  // an event came
	bad   error // an event came that is no message
}

// stream reads the events of a response. Whoever calls it calls close in the end.
func (h *httpConn) stream(resp *http.Response, from cursor) *stream {
	buf, ok := h.buffers.Get().(*[]byte)
	if !ok {
		b := make([]byte, streamBuffer)
		buf = &b
	}
	return &stream{
		events: newEvents(resp.Body, *buf, from, h.assembler),
		body:   resp.Body,
		free:   func() { h.buffers.Put(buf) },
	}
}

// idleStream is stream for one that is idle most of the time.
func (h *httpConn) idleStream(resp *http.Response, from cursor) *stream {
	return &stream{
		events: newEvents(resp.Body, make([]byte, listenBuffer), from, h.assembler),
		body:   resp.Body, free: func() {},
	}
}

func (h *httpConn) assembler() io.Writer { return jsonrpc.NewAssembler(h.o.Limit, 0) }

// close closes the body and gives the buffer back. A nil stream may be closed.
func (s *stream) close() {
	if s == nil || s.body == nil {
		return
	}
	_ = s.body.Close()
	s.free()
	s.body, s.buf, s.rest = nil, nil, nil
}

// read takes the messages of a stream until it ends, which is an error, io.EOF when it ended cleanly. The
// stream of a call is read until the answer is there, then message by message.
func (h *httpConn) read(s *stream, f *flight) error {
	var cause jsonrpc.ID
	if f != nil {
		cause = f.id
	}
	for {
		ev, err := s.next()
		if err != nil {
			return err
		}
		s.alive = true
		a, ok := ev.data.(*jsonrpc.Assembler)
		if !ok || !ev.message() {
			continue
		}
		m, err := a.Message()
		if err != nil {
			s.bad = err
			h.malformed(err, cause)
		} else {
			h.accept(m, cause)
		}
		if f == nil {
			continue
		}
		var bad *jsonrpc.MalformedError
		if f.answer.Load() != nil || errors.As(err, &bad) && bad.ID.Key() == f.id {
			return err
		}
	}
}

// await reads the stream of a call until the answer was delivered, and resumes the stream when it ends before
// that (MCP, Streamable HTTP, resumability). The stream that it returns goes on.
func (h *httpConn) await(ctx context.Context, s *stream, f *flight) (*stream, error) {
	pause := fullJitter(resumeFirst, resumeLast)
	for vain := 0; ; {
		err := h.read(s, f)
		if f.answer.Load() != nil {
			return s, nil
		}
		s.close()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case s.bad != nil:
			return nil, unreadable(s.bad, h.o.Limit)
		case s.id == "" && errors.Is(err, io.EOF):
			return nil, ErrNoAnswer
		case s.id == "":
			return nil, fmt.Errorf("%w: %w", ErrNoAnswer, err)
		case s.alive:
			vain = 0
			pause.Reset()
		}
		if s, vain, err = h.resume(ctx, s.cursor, vain, pause); err != nil {
			return nil, err
		}
	}
}

// resume opens a stream again where it ended. vain counts the attempts that brought no event.
func (h *httpConn) resume(ctx context.Context, at cursor, vain int, pause backoff.BackOff) (*stream, int, error) {
	err := errors.New("the stream brings nothing")
	for vain < maxResumes {
		wait := at.retry
		if vain > 0 {
			wait = max(wait, retryAfterOf(err)) + pause.NextBackOff()
		}
		vain++
		if err := sleep(ctx, wait); err != nil {
			return nil, vain, err
		}
		var s *stream
		if s, err = h.get(ctx, at, h.stream); err == nil {
			return s, vain, nil
		}
		if !temporary(err) {
			break
		}
	}
	if isLost(err) {
		return nil, vain, err
	}
	return nil, vain, fmt.Errorf("%w: resume it: %w", ErrNoAnswer, err)
}

// listen keeps the stream for what the server says of its own accord, until ctx ends or the server has none.
// It returns why.
func (h *httpConn) listen(ctx context.Context) error {
	pause := fullJitter(listenFirst, listenLast)
	at := cursor{retry: defaultRetry}
	last := -1 // the status that was logged
	opened := false
	unheard := 0
	for {
		s, err := h.get(ctx, at, h.idleStream)
		var wait time.Duration
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			opened = true
			at, wait = h.readListening(s, pause)
		case Denied(err):
			h.end(err)
			return err
		case !temporary(err) && (!opened || statusOf(err) != http.StatusConflict): // 409: the old one is not over yet
			h.log.Debug("the server has no stream of its own messages", "err", err)
			return err
		default:
			wait = max(pause.NextBackOff(), retryAfterOf(err))
		}
		if unheard++; err == nil || statusOf(err) != 0 {
			unheard = 0
		}
		if unheard == maxUnheard {
			h.lose(err.Error())
			return err
		}
		if status := statusOf(err); status != last {
			last = status
			if err != nil {
				h.log.Warn("the stream of the server's messages is down, trying again", "err", err)
			}
		}
		if err := sleep(ctx, max(wait, at.retry)); err != nil {
			return err
		}
	}
}

// readListening reads the listening stream until it ends. It returns where to resume it and how long to wait.
func (h *httpConn) readListening(s *stream, pause backoff.BackOff) (cursor, time.Duration) {
	opened := time.Now()
	err := h.read(s, nil)
	s.close()
	h.log.Debug("the stream of the server's messages ended", "err", err)
	if s.alive || time.Since(opened) >= listenLasted {
		pause.Reset()
		return s.cursor, 0
	}
	return s.cursor, pause.NextBackOff()
}

// get opens a stream of events by GET, where at says.
func (h *httpConn) get(ctx context.Context, at cursor, open func(*http.Response, cursor) *stream) (*stream, error) {
	head := h.head.Load()
	r := head.get
	if at.id != "" {
		r = r.WithContext(ctx)
		r.Header = maps.Clone(r.Header)
		r.Header.Set("Last-Event-Id", at.id)
	}
	resp, err := do(ctx, h.o.Client, r, nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		_, err = h.refused(resp, head, "")
		if lost, ok := errors.AsType[*SessionLostError](err); ok {
			err = &SessionLostError{Accepted: true, Reason: lost.Reason}
		}
		return nil, err
	}
	if !media(resp, acceptStream) {
		defer resp.Body.Close()
		return nil, fmt.Errorf("%w: %w", errOtherWire, unexpected(resp))
	}
	return open(resp, at), nil
}

// temporary reports whether what failed with err may work a little later.
func temporary(err error) bool {
	_, stepUp := errors.AsType[*auth.StepUpRequiredError](err)
	if stepUp || isLost(err) || Denied(err) || errors.Is(err, errOtherWire) {
		return false
	}
	switch status := statusOf(err); status {
	case 0, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	default:
		return status >= http.StatusInternalServerError && status != http.StatusNotImplemented
	}
}

// statusOf returns the HTTP status of an error, 0 when it has none.
func statusOf(err error) int {
	if status, ok := errors.AsType[*StatusError](err); ok {
		return status.Code
	}
	return 0
}

// retryAfterOf returns how long the server asks to wait, at most what the listening stream would wait anyway.
func retryAfterOf(err error) time.Duration {
	if status, ok := errors.AsType[*StatusError](err); ok {
		return min(status.RetryAfter, listenLast)
	}
	return 0
}

// fullJitter returns a back-off whose pauses lie between 0 and a bound that doubles from first to last.
func fullJitter(first, last time.Duration) *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.RandomizationFactor = 1 // from 0 to twice the interval
	b.Multiplier = 2
	b.InitialInterval, b.MaxInterval = first/2, last/2
	b.Reset()
	return b
}

// sleep waits for d, or returns why ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
