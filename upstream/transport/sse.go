package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// sseConn is a Conn over HTTP+SSE (MCP 2024-11-05): one stream of events from the server, and a URL to post to.
type sseConn struct {
	inbox

	o     Options
	url   *url.URL
	calls calls
	post  atomic.Pointer[http.Request] // the template, nil until the server has said where to post to
}

// openSSE opens the stream and waits for its first event, which says where to post to.
func openSSE(ctx context.Context, o Options) (Conn, error) {
	to, err := url.Parse(o.Server.URL)
	if err != nil {
		return nil, fmt.Errorf("read the URL: %w", err)
	}
	c := &sseConn{inbox: inbox{life: newLife(ctx), handler: o.Handler, limit: o.Limit, log: o.Log.With("server", o.Server.Name)}, o: o, url: to}
	c.fail = c.calls.fail
	c.deliver, c.send = func(m *jsonrpc.Message, _ jsonrpc.ID) bool { return c.calls.Deliver(m) }, c.Send
	if o.Server.Transport == config.SSEFirst { // leave time for the other wire
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, patience(ctx), fmt.Errorf("%w: no endpoint event", errOtherWire))
		defer cancel()
	}
	ready := make(chan error, 1)
	c.run(func(ctx context.Context) { c.listen(ctx, ready) })
	select {
	case err = <-ready:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err == nil {
		return c, nil
	}
	abandon(ctx, c)
	return nil, err
}

// patience returns half the time that is left.
func patience(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return time.Until(deadline) / 2
	}
	return 2 * closeTimeout
}

// greeted learns the version.
func (c *sseConn) greeted(answer *jsonrpc.Message) {
	if version, ok := jsonrpc.GetString(answer.Result(), "protocolVersion"); ok {
		c.Listen(version)
	}
}

// Listen implements Conn: the stream is open already.
func (c *sseConn) Listen(version string) { c.identify(c.post.Load().URL, version) }

func (c *sseConn) identify(endpoint *url.URL, version string) {
	c.post.Store(request(http.MethodPost, endpoint,
		header("Content-Type", "application/json", "Accept", acceptBoth, "Mcp-Protocol-Version", version)))
}

// listen reads the stream until it ends, which is the end of the Conn. It tells ready once whether there is a
// session.
func (c *sseConn) listen(ctx context.Context, ready chan<- error) {
	resp, err := do(ctx, c.o.Client, request(http.MethodGet, c.url, header("Accept", acceptStream)), nil)
	if err != nil {
		ready <- err
		return
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode/100 != 2:
		ready <- readRefusal(resp, c.o.Limit).status
		return
	case !media(resp, acceptStream):
		ready <- fmt.Errorf("%w: %w", errOtherWire, unexpected(resp))
		return
	}
	in := newEvents(resp.Body, make([]byte, streamBuffer), cursor{}, func() io.Writer {
		if c.post.Load() == nil {
			return &text{}
		}
		return jsonrpc.NewAssembler(c.o.Limit, 0)
	})
	endpoint, err := c.endpoint(in, resp.Request.URL)
	if err != nil {
		ready <- err
		return
	}
	c.identify(endpoint, "")
	ready <- nil
	err = c.read(in)
	c.lose("the event stream ended: " + err.Error())
}

// text takes the data of an event that is no message.
type text struct{ bytes.Buffer }

// Write implements io.Writer.
func (t *text) Write(p []byte) (int, error) {
	if t.Len()+len(p) > maxField {
		return 0, errFieldTooLong
	}
	return t.Buffer.Write(p)
}

// endpoint reads the first event and checks where it wants messages to be posted: only to the server itself.
func (c *sseConn) endpoint(in *events, base *url.URL) (*url.URL, error) {
	for {
		ev, err := in.next()
		if err != nil {
			return nil, fmt.Errorf("%w: no endpoint event: %w", errOtherWire, err)
		}
		at, ok := ev.data.(*text)
		if !ok {
			continue
		}
		if ev.name != "endpoint" {
			return nil, fmt.Errorf("%w: the first event is %q, not endpoint", errOtherWire, ev.name)
		}
		endpoint, err := base.Parse(strings.TrimSpace(at.String()))
		if err != nil {
			return nil, fmt.Errorf("read the endpoint event: %w", err)
		}
		if endpoint.User != nil || !auth.SameOrigin(endpoint, c.url) {
			return nil, fmt.Errorf("the server wants messages to be posted to another origin, %s", endpoint.Host)
		}
		return endpoint, nil
	}
}

// read takes the messages of the stream until it ends, and returns why it did.
func (c *sseConn) read(in *events) error {
	for {
		ev, err := in.next()
		if err != nil {
			return err
		}
		a, ok := ev.data.(*jsonrpc.Assembler)
		if !ok || !ev.message() {
			continue
		}
		m, err := a.Message()
		if err != nil {
			c.malformed(err, "")
			continue
		}
		c.accept(m, "")
	}
}

// Call implements Conn.
func (c *sseConn) Call(ctx context.Context, id jsonrpc.ID, request jsonrpc.Text) (*jsonrpc.Message, error) {
	if err := c.enter(); err != nil {
		return nil, err
	}
	defer c.working.Done()
	answer, err := c.calls.Add(id)
	if err != nil {
		return nil, notSent(err)
	}
	defer c.calls.Remove(id)
	posting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	posted := make(chan error, 1)
	if !c.run(func(context.Context) {
		defer cancel()
		err := c.transmit(posting, id, request)
		posted <- err
		c.loseSession(err)
	}) {
		cancel()
		return nil, notSent(c.Err())
	}
	m, err := c.await(ctx, answer, posted)
	if err == nil {
		time.AfterFunc(drainTimeout, cancel) // the server may be busy with its response to the POST
	} else {
		cancel()
	}
	return m, err
}

// await waits for an answer on the stream, or for the POST to fail.
func (c *sseConn) await(ctx context.Context, answer <-chan *jsonrpc.Message, posted chan error) (*jsonrpc.Message, error) {
	for {
		select {
		case m, ok := <-answer:
			if ok {
				return c.calls.result(m)
			}
			select {
			case err := <-posted:
				if isLost(err) {
					return nil, err // which knows that the server did not take it
				}
			default:
			}
			return nil, c.calls.Err()
		case err := <-posted:
			switch {
			case err == nil || isLost(err):
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case c.Err() != nil:
				return nil, c.Err()
			}
			if err != nil {
				return nil, err
			}
			posted = nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func isLost(err error) bool {
	_, lost := errors.AsType[*SessionLostError](err)
	return lost
}

// Send implements Conn.
func (c *sseConn) Send(ctx context.Context, m jsonrpc.Text) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.working.Done()
	err := c.transmit(ctx, "", m)
	c.loseSession(err)
	return err
}

// transmit posts a message. When the response holds the answer to the request with that id it is delivered.
func (c *sseConn) transmit(ctx context.Context, id jsonrpc.ID, m jsonrpc.Text) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer c.after(cancel)()
	resp, err := do(ctx, c.o.Client, c.post.Load(), m)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 == 2 {
		discard(resp)
		return nil
	}
	r := readRefusal(resp, c.o.Limit)
	if r.sessionLost(id) {
		return &SessionLostError{Reason: r.status.Error()}
	}
	if answer := r.answers(id); answer != nil {
		c.calls.Deliver(answer)
		return nil
	}
	return r.status
}

// loseSession ends the Conn when err says that the server does not know the session.
func (c *sseConn) loseSession(err error) {
	if lost, ok := errors.AsType[*SessionLostError](err); ok {
		c.lose(lost.Reason)
	}
}

// lose ends the Conn, and everything that is pending with it.
func (c *sseConn) lose(reason string) {
	err := &SessionLostError{Accepted: true, Reason: reason}
	c.end(err)
	c.calls.Fail(err)
}

// Close implements Conn.
func (c *sseConn) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	c.end(ErrClosed)
	c.calls.Fail(ErrClosed)
	return c.wait(ctx)
}
