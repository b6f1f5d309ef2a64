package transport

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// answerTimeout bounds how long a server may take to take an answer.
const answerTimeout = time.Minute

// inbox takes what a server sends over HTTP.
type inbox struct {
	*life

	handler Handler
	log     hclog.Logger
	limit   int64                                                // bytes of a message
	deliver func(m *jsonrpc.Message, cause jsonrpc.ID) bool      // hands an answer to who waits for it
	fail    func(bad *jsonrpc.MalformedError, why error)         // fails the call whose answer cannot be read
	send    func(ctx context.Context, answer jsonrpc.Text) error // sends an answer
}

// accept takes a message from the stream of the call with the id cause, "" when it came on another. Whether
// a message is a request or an answer is not a matter of its id.
func (b *inbox) accept(m *jsonrpc.Message, cause jsonrpc.ID) {
	switch m.Kind() {
	case jsonrpc.Request:
		b.run(func(ctx context.Context) { b.serve(ctx, m, cause) })
	case jsonrpc.Notification:
		b.handler.Notification(cause, m)
	case jsonrpc.Response:
		if !b.deliver(m, cause) {
			b.log.Warn("dropped an answer that nobody waits for", "id", string(m.ID()))
		}
	case jsonrpc.Batch:
		for each, err := range m.Batch() {
			switch {
			case err != nil:
				b.malformed(err, "")
			case each.Kind() == jsonrpc.Batch:
				b.malformed(errNestedBatch, "")
			default:
				b.accept(each, cause)
			}
		}
	}
}

var errNestedBatch = errors.New("a batch in a batch")

// serve has a request of the server served and sends the answer.
func (b *inbox) serve(ctx context.Context, m *jsonrpc.Message, cause jsonrpc.ID) {
	if answer := b.handler.Request(ctx, cause, m); answer != nil {
		b.reply(ctx, answer, m.Method())
	}
}

// reply sends the answer to a request for that method.
func (b *inbox) reply(ctx context.Context, answer jsonrpc.Text, method string) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if err := b.send(ctx, answer); err != nil && b.Err() == nil {
		b.log.Warn("could not answer a request", "method", method, "err", err)
	}
}
