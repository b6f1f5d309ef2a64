package downstream

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

const (
	patience = 3 * time.Second  // that requests may go on after the client has closed its end
	deafTime = 15 * time.Second // that a client may take for a message when its session has ended
)

// Options are what ServeStdio needs.
type Options struct {
	Open  func(out jsonrpc.Sender) jsonrpc.Handler // makes the session of a client
	Limit int64                                    // bytes of a message
	Log   hclog.Logger

	// Deaf is called when a client that has to go takes no message for 15 seconds: Write blocks, which nothing can interrupt,
	// and ServeStdio does not return before it does. nil: nobody is.
	Deaf func()
}

// ServeStdio serves one client that writes messages as lines to in and reads from out (MCP, stdio transport).
// It returns when in ends, and then gives requests that are being served three seconds; when out breaks; or
// at once when ctx ends. The session is closed then, for which the client has to read what is being written, see Options.Deaf.
// The error is that of in or out; the end of in is none.
func ServeStdio(ctx context.Context, in io.Reader, out io.Writer, o Options) error {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	serving, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	to := &lines{out: jsonrpc.NewWriter(out), stop: stop}
	crew := newCrew(fewWaiting)
	defer crew.close()
	x := newExchange(o.Open(to), to, newTold(o.Log), crew)
	ended := make(chan error, 1)
	go func() { // blocks in Read, which nothing can interrupt: it ends with in
		ended <- x.read(serving, jsonrpc.NewReader(in, o.Limit))
	}()
	var err error
	select {
	case err = <-ended:
		x.finish(serving, patience)
	case <-serving.Done():
		if err = context.Cause(serving); errors.Is(err, ctx.Err()) {
			err = nil
		}
	}
	stop(nil)
	if o.Deaf != nil {
		defer to.part(o.Deaf)()
	}
	x.close()
	x.handler.Close()
	x.work.Wait()
	return err
}

// read takes messages until in ends.
func (x *exchange) read(ctx context.Context, in *jsonrpc.Reader) error {
	for ctx.Err() == nil {
		m, err := in.Read()
		var bad *jsonrpc.MalformedError
		switch {
		case err == nil:
			x.accept(ctx, m, x.send)
		case errors.As(err, &bad):
			x.refuse(ctx, bad)
		case errors.Is(err, io.EOF):
			return nil
		default:
			return err
		}
	}
	return nil
}

// finish waits until all is served that is being served, so long at most. Nothing is started any more.
func (x *exchange) finish(ctx context.Context, limit time.Duration) {
	x.mu.Lock()
	x.closed = true
	x.mu.Unlock()
	served := make(chan struct{})
	go func() {
		x.work.Wait()
		close(served)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-served:
	case <-timer.C:
	case <-ctx.Done():
	}
}

func malformed(err error) *jsonrpc.MalformedError {
	var bad *jsonrpc.MalformedError
	errors.As(err, &bad)
	return bad
}

// lines sends messages as lines and ends the session when that does not work any more.
type lines struct {
	out  *jsonrpc.Writer
	stop context.CancelCauseFunc

	sending atomic.Int64  // messages that are being sent
	sent    atomic.Uint64 // those that were
}

// part calls deaf when the client takes no message for a while of those that are being sent, until gone is called.
func (l *lines) part(deaf func()) (gone func()) {
	over := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		for before := l.sent.Load(); ; before = l.sent.Load() {
			timer := time.NewTimer(deafTime)
			select {
			case <-over:
				timer.Stop()
				return
			case <-timer.C:
			}
			if l.sending.Load() > 0 && l.sent.Load() == before {
				deaf()
				return
			}
		}
	})
	return func() {
		close(over)
		work.Wait()
	}
}

// Send implements jsonrpc.Sender.
func (l *lines) Send(_ jsonrpc.ID, t jsonrpc.Text) error {
	l.sending.Add(1)
	err := l.out.Write(t)
	l.sending.Add(-1)
	l.sent.Add(1)
	if err != nil {
		l.stop(err)
	}
	return err
}
