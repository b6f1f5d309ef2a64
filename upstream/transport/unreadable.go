package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// unreadable says what limit there is beside what is wrong with an answer.
func unreadable(err error, limit int64) error {
	long := &TooLongError{}
	bad, ok := errors.AsType[*jsonrpc.MalformedError](err)
	wrapped := fmt.Errorf("unreadable answer (limits.message is %d bytes): %w", limit, err)
	switch {
	case errors.As(err, &long):
		return &TooLongError{Bytes: long.Bytes, err: wrapped}
	case ok && bad.TooLong:
		return &TooLongError{err: wrapped}
	}
	return wrapped
}

// calls is the calls that wait for their answer; a single one can be made to fail.
type calls struct {
	jsonrpc.Calls

	failed sync.Map // *jsonrpc.Message that stands for an unreadable answer → the error why
}

// fail ends the call whose answer is bad, if there is one, with err.
func (c *calls) fail(bad *jsonrpc.MalformedError, err error) {
	m, parseErr := jsonrpc.Parse(bytes.Clone(bad.Answer().Bytes()))
	if parseErr != nil {
		return
	}
	c.failed.Store(m, err)
	if !c.Deliver(m) {
		c.failed.Delete(m)
	}
}

// result returns what was delivered as the result of Call.
func (c *calls) result(m *jsonrpc.Message) (*jsonrpc.Message, error) {
	if err, bad := c.failed.LoadAndDelete(m); bad {
		return nil, err.(error) //nolint:errcheck,forcetypeassert // only errors are stored
	}
	return m, nil
}

// malformed deals with what is no message and came on the stream of the call cause, "" when on another. If it is a
// request the server is told; if it is the answer to another call than cause, that call fails.
func (b *inbox) malformed(err error, cause jsonrpc.ID) {
	b.log.Warn("dropped what is no message", "err", err)
	bad, ok := errors.AsType[*jsonrpc.MalformedError](err)
	switch {
	case !ok || bad.ID == jsonrpc.Null || bad.ID.Key() == cause && !bad.Call:
	case bad.Call:
		b.run(func(ctx context.Context) { b.reply(ctx, bad.Answer(), "") })
	default:
		b.fail(bad, unreadable(err, b.limit))
	}
}
