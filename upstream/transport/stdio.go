package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

const (
	// stdinGrace is how long a child may live after its stdin is closed, and termGrace after SIGTERM (MCP, lifecycle,
	// shutdown).
	stdinGrace = 2 * time.Second
	termGrace  = 3 * time.Second
	// lastWords is how long plait waits for the rest of an end that has begun: for the exit when a pipe has closed,
	// for the pipes to close when the child has exited.
	lastWords = 500 * time.Millisecond
	// killGrace is how long Close waits for a child that was killed: on a busy machine even that takes a while.
	killGrace = 5 * time.Second
	// maxServing bounds the requests of one server that are being answered.
	maxServing = 1024
)

// stdioConn is a Conn with a child process: its messages go through stdin and stdout, one a line. It ends when the
// child does and never starts another.
type stdioConn struct {
	name    string
	log     hclog.Logger
	limit   int64
	handler Handler
	child   *process
	out     *outbox
	stderr  *stderrLog
	serving chan struct{} // an element for every request that is being answered

	calls   calls
	batches atomic.Bool // the version allows arrays of messages

	leave    func() // closes leaving: the child shall end
	leaving  chan struct{}
	hurry    func() // closes hurried: there is no time to wait for it
	hurried  chan struct{}
	lost     func(error)   // ends everything that waits for the child; the first call counts
	done     chan struct{} // closed by lost
	err      error         // readable when done is closed
	finished chan struct{} // the child is gone and every goroutine has ended
}

var _ Conn = (*stdioConn)(nil)

// openStdio starts the command of o.Server as a child and returns its Conn. ctx bounds the start only.
func openStdio(ctx context.Context, o Options) (Conn, error) {
	child, err := start(ctx, o.Server, o.Guardian)
	if err != nil {
		return nil, err
	}
	out, err := newOutbox(child.stdin)
	if err != nil { // does not happen to a pipe
		child.kill()
		child.awaitExit()
		child.reap()
		closeAll([]*os.File{child.stdin, child.stdout, child.stderr})
		return nil, err
	}
	log := o.Log
	if log == nil {
		log = hclog.NewNullLogger()
	}
	c := &stdioConn{
		name: o.Server.Name, log: log.With("server", o.Server.Name), limit: o.Limit, handler: o.Handler,
		child: child, out: out, stderr: &stderrLog{log: log.With("server", o.Server.Name, "pid", child.cmd.Process.Pid), level: cmp.Or(o.Stderr, hclog.Debug)},
		serving: make(chan struct{}, maxServing),
		leaving: make(chan struct{}), hurried: make(chan struct{}),
		done: make(chan struct{}), finished: make(chan struct{}),
	}
	c.leave = sync.OnceFunc(func() { close(c.leaving) })
	c.hurry = sync.OnceFunc(func() { close(c.hurried) })
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	var once sync.Once
	c.lost = func(err error) {
		once.Do(func() {
			c.err = err
			c.calls.Fail(err)
			end()
			close(c.done)
		})
	}
	go c.run(life) // Close waits for it
	return c, nil
}

// Call implements Conn.
func (c *stdioConn) Call(ctx context.Context, id jsonrpc.ID, request jsonrpc.Text) (*jsonrpc.Message, error) {
	answer, err := c.calls.Add(id)
	if err != nil {
		return nil, notSent(err)
	}
	if err := c.out.put(ctx, request); err != nil && ctx.Err() != nil {
		c.calls.Remove(id)
		return nil, err
	}
	// After any other error of put the child is about to be lost, which ends the waiting and says why.
	select {
	case m, ok := <-answer:
		if !ok {
			return nil, c.calls.Err()
		}
		return c.calls.result(m)
	case <-ctx.Done():
		c.calls.Remove(id)
		return nil, ctx.Err()
	}
}

// Send implements Conn.
func (c *stdioConn) Send(ctx context.Context, m jsonrpc.Text) error {
	err := c.out.put(ctx, m)
	if err == nil || ctx.Err() != nil {
		return err
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Listen implements Conn. The server's own messages come anyway; the version says whether as arrays, too.
func (c *stdioConn) Listen(version string) {
	c.batches.Store(protocol.Batches(version))
}

// Done implements Conn.
func (c *stdioConn) Done() <-chan struct{} { return c.done }

// Err implements Conn.
func (c *stdioConn) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// Close implements Conn: it closes the stdin of the child and, when that does not end it, sends SIGTERM and then
// SIGKILL to its group. When ctx ends there is no more waiting in between. An error means that the child, though
// killed, or a handler is still there.
func (c *stdioConn) Close(ctx context.Context) error {
	c.lost(ErrClosed)
	c.leave()
	bound := time.NewTimer(stdinGrace + termGrace + killGrace)
	defer bound.Stop()
	select {
	case <-c.finished:
		return nil
	case <-ctx.Done():
	case <-bound.C:
	}
	c.hurry()
	bound.Reset(killGrace)
	select {
	case <-c.finished:
		return nil
	case <-bound.C:
		return fmt.Errorf("close %s: process %d does not end", c.name, c.child.cmd.Process.Pid)
	}
}

// run owns the child and all goroutines of the Conn, from the start to the end. ctx ends when the child is lost.
func (c *stdioConn) run(ctx context.Context) {
	defer close(c.finished)
	var all sync.WaitGroup
	exited, stdout, stderr := make(chan struct{}), make(chan struct{}), make(chan struct{})
	all.Go(func() { c.child.awaitExit(); close(exited) })
	all.Go(func() { c.read(ctx, &all); close(stdout) })
	all.Go(func() { c.stderr.read(c.child.stderr); close(stderr) })
	all.Go(c.out.write)

	select {
	case <-exited:
	case <-c.leaving:
	case <-stdout:
		c.broke(exited, "closed its stdout")
	case <-c.out.broken:
		c.broke(exited, "closed its stdin")
	}
	c.end(exited)
	<-exited
	c.sweep(stdout, stderr)
	status := describe(c.child.reap())
	c.lost(&ExitError{Status: status, Stderr: c.stderr.tail()})
	c.out.abandon()
	all.Wait()
	c.log.Debug("child ended", "status", status)
}

// broke waits a moment for the exit that closes the pipes, and else gives the child up.
func (c *stdioConn) broke(exited <-chan struct{}, status string) {
	if !c.within(lastWords, exited) {
		c.lost(&ExitError{Status: status, Stderr: c.stderr.tail()})
	}
}

// end makes the child exit, unless it has, by ever ruder means.
func (c *stdioConn) end(exited <-chan struct{}) {
	c.out.close()
	if c.within(stdinGrace, exited) {
		return
	}
	c.child.terminate()
	if c.within(termGrace, exited) {
		return
	}
	c.log.Warn("child ignores SIGTERM and is killed", "pid", c.child.cmd.Process.Pid)
	c.child.kill()
}

// sweep ends what the child, which has exited, has left in its group, and has the readers of its pipes end. What was
// written to the pipes before is still read.
func (c *stdioConn) sweep(stdout, stderr <-chan struct{}) {
	c.child.terminate()
	c.within(lastWords, stdout, stderr)
	c.child.kill()
	c.within(lastWords, stdout, stderr)
	// Somebody who has left the group may still hold the pipes.
	c.child.stdout.Close()
	c.child.stderr.Close()
}

// within reports whether all events happen in the time d, which a Close in a hurry makes shorter.
func (c *stdioConn) within(d time.Duration, events ...<-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	for _, e := range events {
		select {
		case <-e:
			continue
		default:
		}
		select {
		case <-e:
		case <-t.C:
			return false
		case <-c.hurried:
			return false
		}
	}
	return true
}

// read takes the messages of the child until its stdout ends.
func (c *stdioConn) read(ctx context.Context, all *sync.WaitGroup) {
	in := jsonrpc.NewReader(c.child.stdout, c.limit)
	skipped := 0
	for {
		m, err := in.Read()
		if bad, ok := errors.AsType[*jsonrpc.MalformedError](err); ok {
			skipped++
			c.skip(bad, skipped)
			continue
		}
		if err != nil {
			if skipped > 1 {
				c.log.Debug("skipped lines on stdout", "lines", skipped)
			}
			if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) {
				c.log.Warn("stdout of the server cannot be read", "err", err)
			}
			return
		}
		c.dispatch(ctx, all, m)
	}
}

func (c *stdioConn) dispatch(ctx context.Context, all *sync.WaitGroup, m *jsonrpc.Message) {
	switch m.Kind() {
	case jsonrpc.Response:
		if !c.calls.Deliver(m) {
			c.log.Debug("answer nobody waits for", "id", string(m.ID()))
		}
	case jsonrpc.Notification:
		c.handler.Notification("", m)
	case jsonrpc.Request:
		c.serve(ctx, all, m)
	case jsonrpc.Batch:
		c.unpack(ctx, all, m)
	}
}

// unpack handles an array of messages, which only one version of MCP allows.
func (c *stdioConn) unpack(ctx context.Context, all *sync.WaitGroup, batch *jsonrpc.Message) {
	if !c.batches.Load() {
		c.log.Warn("the server sent an array of messages, which the version does not allow")
		return
	}
	for m, err := range batch.Batch() {
		bad, malformed := errors.AsType[*jsonrpc.MalformedError](err)
		switch {
		case malformed:
			c.skip(bad, 1)
		case err == nil && m.Kind() != jsonrpc.Batch:
			c.dispatch(ctx, all, m)
		}
	}
}

// serve has a request of the server answered. It never waits: the server may be waiting for us to read.
func (c *stdioConn) serve(ctx context.Context, all *sync.WaitGroup, m *jsonrpc.Message) {
	select {
	case c.serving <- struct{}{}:
	default:
		c.log.Warn("too many requests of the server at once", "method", m.Method())
		c.out.offer(jsonrpc.Failure(m.ID(), jsonrpc.Errorf(jsonrpc.CodeInternal,
			"more than %d requests wait for their answer", maxServing)))
		return
	}
	all.Go(func() {
		defer func() { <-c.serving }()
		answer := c.handler.Request(ctx, "", m)
		if answer == nil {
			return
		}
		if err := c.out.put(ctx, answer); err != nil {
			c.log.Debug("answer not sent", "method", m.Method(), "err", err)
		}
	})
}

// skip passes over a line that is no message, the nth: a banner, a log line, or a message that is broken or longer
// than the limit. If it is an answer, its call fails; if it is a request, the server is told.
func (c *stdioConn) skip(bad *jsonrpc.MalformedError, n int) {
	if n == 1 {
		c.log.Warn("skipped a line on stdout that is no message; the next ones are logged at debug", "err", bad)
	} else {
		c.log.Debug("skipped a line on stdout that is no message", "err", bad)
	}
	switch {
	case bad.ID == jsonrpc.Null:
	case bad.Call:
		c.out.offer(bad.Answer())
	default:
		c.calls.fail(bad, unreadable(bad, c.limit))
	}
}
