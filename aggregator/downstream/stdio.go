package downstream

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// patience is how long requests may go on after the client has closed its end.
const patience = 3 * time.Second

// Options are what ServeStdio needs.
type Options struct {
	Open  func(out jsonrpc.Sender) jsonrpc.Handler // makes the session of a client
	Limit int64                                    // bytes of a message
	Log   hclog.Logger
}

// ServeStdio serves one client that writes messages as lines to in and reads from out (MCP, stdio transport).
// It returns when in ends, and then gives requests that are being served three seconds; when out breaks; or
// at once when ctx ends. The session is closed then. The error is that of in or out; the end of in is none.
func ServeStdio(ctx context.Context, in io.Reader, out io.Writer, o Options) error {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	serving, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	to := &lines{jsonrpc.NewWriter(out), stop}
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
}

// Send implements jsonrpc.Sender.
func (l *lines) Send(_ jsonrpc.ID, t jsonrpc.Text) error {
	err := l.out.Write(t)
	if err != nil {
		l.stop(err)
	}
	return err
}
