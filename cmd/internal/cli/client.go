package cli

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// client is a client of MCP in this process: it sends raw requests to a session and takes raw results. It
// declares no capabilities.
type client struct {
	session    jsonrpc.Handler
	onProgress func(params jsonrpc.Raw) // nil for nobody

	lastID atomic.Int64
}

// connect opens a session and initializes it. The caller calls close.
func connect(ctx context.Context, open func(jsonrpc.Sender) jsonrpc.Handler, onProgress func(jsonrpc.Raw)) (*client, error) {
	c := &client{onProgress: onProgress}
	c.session = open(c)
	params := fmt.Appendf(nil, `{"protocolVersion":%q,"capabilities":{},"clientInfo":{"name":"plait","version":%s}}`,
		protocol.Latest, jsonrpc.Quote(readVersion().Version))
	if _, err := c.call(ctx, protocol.Initialize, params); err != nil {
		c.close()
		return nil, fmt.Errorf("initialize: %w", err)
	}
	m, err := jsonrpc.Parse(jsonrpc.NewNotification(protocol.Initialized, nil).Bytes())
	if err != nil {
		return nil, err
	}
	c.session.Notification(m)
	return c, nil
}

// call sends a request and waits for its result. An error of the other side is a *jsonrpc.Error.
func (c *client) call(ctx context.Context, method string, params jsonrpc.Raw) (jsonrpc.Raw, error) {
	m, err := jsonrpc.Parse(jsonrpc.NewRequest(jsonrpc.Int(c.lastID.Add(1)), method, params).Bytes())
	if err != nil {
		return nil, usagef("%w", err)
	}
	text := c.session.Request(ctx, m)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if text == nil {
		return nil, errors.New("no answer to " + method)
	}
	answer, err := jsonrpc.Parse(text.Bytes())
	if err != nil {
		return nil, err
	}
	if e := answer.Error(); e != nil {
		return nil, e
	}
	return answer.Result(), nil
}

// close ends the session.
func (c *client) close() { c.session.Close() }

// Send implements jsonrpc.Sender: it takes what the session sends by itself.
func (c *client) Send(_ jsonrpc.ID, t jsonrpc.Text) error {
	m, err := jsonrpc.Parse(t.Bytes())
	if err != nil {
		return err
	}
	switch {
	case m.Kind() == jsonrpc.Notification && m.Method() == protocol.Progress && c.onProgress != nil:
		c.onProgress(m.Params())
	case m.Kind() == jsonrpc.Request:
		return c.answer(m)
	}
	return nil
}

// answer refuses a request of a server: nothing was declared that could be asked for, but a ping is due.
func (c *client) answer(m *jsonrpc.Message) error {
	text := jsonrpc.Failure(m.ID(), &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "not supported by the command line"})
	if m.Method() == protocol.Ping {
		text = jsonrpc.Result(m.ID(), jsonrpc.Raw("{}"))
	}
	answer, err := jsonrpc.Parse(text.Bytes())
	if err != nil {
		return err
	}
	c.session.Response(answer)
	return nil
}
