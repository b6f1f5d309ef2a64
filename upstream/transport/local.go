package transport

import (
	"bytes"
	"context"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// Local is an MCP server inside this process, which says nothing of its own accord. Any goroutine may call it.
type Local interface {
	// Handle serves one message and returns the answer, nil when there is none. It does not keep the message.
	Handle(ctx context.Context, message []byte) (answer []byte)
}

// localConn is a Conn with a Local. It has no goroutines.
type localConn struct {
	*life

	server Local
	limit  int64
}

// openLocal returns a Conn with o.Local.
func openLocal(ctx context.Context, o Options) (Conn, error) {
	return &localConn{life: newLife(ctx), server: o.Local, limit: o.Limit}, nil
}

// Call implements Conn.
func (c *localConn) Call(ctx context.Context, id jsonrpc.ID, request jsonrpc.Text) (*jsonrpc.Message, error) {
	answer, err := c.handle(ctx, request)
	switch {
	case err != nil:
		return nil, err
	case answer == nil:
		return nil, ErrNoAnswer
	}
	m, err := jsonrpc.Parse(answer)
	if err != nil {
		return nil, unreadable(err, c.limit)
	}
	if m.Kind() != jsonrpc.Response || m.ID().Key() != id.Key() {
		return nil, ErrNoAnswer
	}
	return m, nil
}

// Send implements Conn.
func (c *localConn) Send(ctx context.Context, m jsonrpc.Text) error {
	_, err := c.handle(ctx, m)
	return err
}

// handle has the server handle a message, under a context that also ends with the Conn.
func (c *localConn) handle(ctx context.Context, m jsonrpc.Text) ([]byte, error) {
	if err := c.enter(); err != nil {
		return nil, err
	}
	defer c.working.Done()
	bounded, cancel := context.WithCancel(ctx)
	defer cancel()
	defer c.after(cancel)()
	answer := c.server.Handle(bounded, bytes.Clone(m.Bytes()))
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case bounded.Err() != nil:
		return nil, ErrClosed
	}
	return answer, nil
}

// Listen implements Conn.
func (c *localConn) Listen(string) {}

// Close implements Conn.
func (c *localConn) Close(ctx context.Context) error {
	c.end(ErrClosed)
	return c.wait(ctx)
}
