package downstream

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// maxRunning bounds the requests of one client that are served at a time.
const maxRunning = 10_000

// maxBatch bounds the messages of a batch.
const maxBatch = 1000

// maxRefusing bounds the refusals that wait for a client that does not read.
const maxRefusing = 1000

// exchange is one session's traffic.
type exchange struct {
	handler jsonrpc.Handler
	out     jsonrpc.Sender
	told    *told
	crew    *crew

	work sync.WaitGroup // requests that are being served

	refusing chan struct{} // an element for every refusal that is being sent

	opening chan struct{} // closed when initialize was served; only the reader looks at it

	mu      sync.Mutex
	running map[jsonrpc.ID]context.CancelCauseFunc
	closed  bool   // nothing is started any more
	parting string // why what is still being served is answered with an error; "": it is not answered
}

func newExchange(handler jsonrpc.Handler, out jsonrpc.Sender, told *told, crew *crew) *exchange {
	return &exchange{
		handler: handler, out: out, told: told, crew: crew,
		running: map[jsonrpc.ID]context.CancelCauseFunc{}, refusing: make(chan struct{}, maxRefusing),
	}
}

// accept takes one message of the client and does not wait for what comes of it. The answer to a request or a batch
// is given to reply, once, nil for none.
func (x *exchange) accept(ctx context.Context, m *jsonrpc.Message, reply func(jsonrpc.Text)) {
	switch m.Kind() {
	case jsonrpc.Request:
		x.serve(ctx, m, reply)
	case jsonrpc.Notification:
		x.notice(m)
	case jsonrpc.Response:
		x.handler.Response(m)
	case jsonrpc.Batch:
		x.batch(ctx, m, reply)
	}
}

// refuse answers a text that is no message.
func (x *exchange) refuse(ctx context.Context, e *jsonrpc.MalformedError) {
	x.told.say(e.Reason, "the client sent no message", "err", e.Reason, "excerpt", e.Excerpt)
	x.decline(ctx, x.send, e.Answer())
}

// decline has reply send a refusal, or nothing when the session is ending. When too many wait to be sent it blocks, so
// that nothing more is read of a client that does not read.
func (x *exchange) decline(ctx context.Context, reply func(jsonrpc.Text), refusal jsonrpc.Text) {
	done := func() {}
	select {
	case x.refusing <- struct{}{}:
		done = func() { <-x.refusing }
	case <-ctx.Done():
	}
	x.start(func() {
		reply(refusal)
		done()
	}, func() {
		reply(nil)
		done()
	})
}

// start runs f on another goroutine, or otherwise on that of the caller when the session is ending.
func (x *exchange) start(f, otherwise func()) {
	x.mu.Lock()
	ending := x.closed
	if !ending {
		x.work.Add(1)
		x.crew.run(func() {
			defer x.work.Done()
			f()
		})
	}
	x.mu.Unlock()
	if ending {
		otherwise()
	}
}

// notice takes a notification. Cancellation ends here: it is about a request that only we know by that id.
func (x *exchange) notice(m *jsonrpc.Message) {
	if m.Method() == protocol.Cancelled {
		raw, _ := jsonrpc.Get(m.Params(), "requestId")
		if id, ok := jsonrpc.ReadID(raw); ok {
			reason, _ := jsonrpc.Get(m.Params(), "reason")
			x.cancel(id, &jsonrpc.CancelledError{Reason: reason})
		}
		return
	}
	x.handler.Notification(m)
}

func (x *exchange) cancel(id jsonrpc.ID, why error) {
	x.mu.Lock()
	cancel := x.running[id.Key()]
	x.mu.Unlock()
	if cancel != nil {
		cancel(why)
	}
}

// serve serves a request on its own goroutine and gives the answer to reply: nil when the request was
// cancelled, for nobody waits for it then.
func (x *exchange) serve(ctx context.Context, m *jsonrpc.Message, reply func(jsonrpc.Text)) {
	ctx, cancel := context.WithCancelCause(ctx)
	id := m.ID().Key()
	if e := x.enter(id, m, cancel); e != nil {
		x.decline(ctx, reply, jsonrpc.Failure(m.ID(), e))
		cancel(nil)
		return
	}
	before, done := x.order(m)
	x.start(func() {
		if before != nil {
			<-before // a client need not wait for the answer to initialize
		}
		answer := x.handler.Request(ctx, m)
		x.mu.Lock()
		delete(x.running, id)
		parting := x.parting
		x.mu.Unlock()
		if ctx.Err() != nil {
			answer = nil
			var cancelled *jsonrpc.CancelledError // by the client
			if parting != "" && !errors.As(context.Cause(ctx), &cancelled) {
				answer = jsonrpc.Failure(m.ID(), jsonrpc.Errorf(jsonrpc.CodeInternal, "%s", parting))
			}
		}
		cancel(nil)
		reply(answer)
		done()
	}, func() {
		cancel(nil)
		reply(nil)
	})
}

// order returns what a request has to wait for, nil for nothing, and what to do when it was served: other
// requests come after the initialize request that was sent before them.
func (x *exchange) order(m *jsonrpc.Message) (before <-chan struct{}, done func()) {
	switch {
	case m.Method() == protocol.Initialize && x.opening == nil:
		opening := make(chan struct{})
		x.opening = opening
		return nil, func() { close(opening) }
	case m.Method() == protocol.Ping:
		return nil, func() {}
	}
	return x.opening, func() {}
}

// enter notes that a request is being served, or says why it cannot be. Nobody can cancel initialize.
func (x *exchange) enter(id jsonrpc.ID, m *jsonrpc.Message, cancel context.CancelCauseFunc) *jsonrpc.Error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, ok := x.running[id]; ok {
		return jsonrpc.Errorf(jsonrpc.CodeInvalidRequest, "a request with this id is being served")
	}
	if len(x.running) == maxRunning {
		return jsonrpc.Errorf(jsonrpc.CodeInternal, "%d requests are being served; wait for some of them", maxRunning)
	}
	if m.Method() == protocol.Initialize {
		cancel = nil
	}
	x.running[id] = cancel
	return nil
}

// batch serves the messages of a batch and gives the answers as one, where the protocol version has batches.
func (x *exchange) batch(ctx context.Context, m *jsonrpc.Message, reply func(jsonrpc.Text)) {
	if problem := x.batchProblem(m); problem != "" {
		x.told.say(problem, "the client sent no message", "err", problem)
		x.decline(ctx, reply, jsonrpc.Failure(jsonrpc.Null, jsonrpc.Errorf(jsonrpc.CodeInvalidRequest, "%s", problem)))
		return
	}
	var waits sync.WaitGroup
	var mu sync.Mutex
	var answers []jsonrpc.Text
	add := func(t jsonrpc.Text) {
		mu.Lock()
		defer mu.Unlock()
		if t != nil {
			answers = append(answers, t)
		}
	}
	for part, err := range m.Batch() {
		switch {
		case err != nil:
			add(malformed(err).Answer())
		case part.Kind() == jsonrpc.Request:
			waits.Add(1)
			x.serve(ctx, part, func(t jsonrpc.Text) { add(t); waits.Done() })
		case part.Kind() == jsonrpc.Batch:
			add(jsonrpc.Failure(jsonrpc.Null, jsonrpc.Errorf(jsonrpc.CodeInvalidRequest, "a batch in a batch")))
		default:
			x.accept(ctx, part, nil)
		}
	}
	x.start(func() {
		waits.Wait()
		reply(joined(answers))
	}, func() { reply(nil) })
}

// joined makes a batch of messages, nil of none.
func joined(all []jsonrpc.Text) jsonrpc.Text {
	var batch jsonrpc.Text
	for _, t := range all {
		batch = append(append(batch, []byte{','}), t...)
	}
	if batch != nil {
		batch[0] = []byte{'['}
		batch = append(batch, []byte{']'})
	}
	return batch
}

// batchProblem says why a batch is refused as a whole, "" if it is not.
func (x *exchange) batchProblem(m *jsonrpc.Message) string {
	if !x.handler.Batches() {
		return "this protocol version has no batches"
	}
	n := 0
	for range jsonrpc.Elements(m.Text().Bytes()) {
		if n++; n > maxBatch {
			return fmt.Sprintf("a batch of more than %d messages", maxBatch)
		}
	}
	if n == 0 {
		return "an empty batch"
	}
	return ""
}

// send sends an answer, if there is one.
func (x *exchange) send(t jsonrpc.Text) {
	if t == nil {
		return
	}
	if err := x.out.Send("", t); err != nil {
		x.told.log.Debug("an answer was not delivered", "err", err)
	}
}

// idle reports whether nothing is being served.
func (x *exchange) idle() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.running) == 0
}

// giveUp ends everything that is being served with an error for the client, waits some seconds for that, and returns how
// many requests it was.
func (x *exchange) giveUp(ctx context.Context, why string) int {
	x.mu.Lock()
	x.parting = why
	n := len(x.running)
	x.mu.Unlock()
	x.close()
	if n > 0 {
		x.finish(ctx, partingTime)
	}
	return n
}

// close ends everything that is being served; nothing is started any more.
func (x *exchange) close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = true
	for _, cancel := range x.running {
		if cancel != nil {
			cancel(nil)
		}
	}
}
