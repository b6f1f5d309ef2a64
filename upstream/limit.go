package upstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// common is what all sessions with one configured server share, whichever client they are for.
type common struct {
	health *health
	queue  queue
	tally  *tally // goes on when the server is replaced by one of the same name
	latest latest
}

func newCommon(t *tally) *common { return &common{health: newHealth(), tally: t} }

// maxQueue bounds the calls that wait for their turn at one server.
const maxQueue = 1000

// errFull says that a call found no place in the queue.
var errFull = errors.New("the queue is full")

// queue lets so many calls run at a time and the others wait, in order. The zero queue is ready; any goroutine
// may use it.
type queue struct {
	mu      sync.Mutex
	running int
	waiting []chan struct{} // each is closed when it is its turn
}

// enter waits for a turn, of which there are limit at a time; 0 is any number. It returns errFull, or ctx.Err().
// Without an error the caller calls leave in the end.
func (q *queue) enter(ctx context.Context, limit int) error {
	q.mu.Lock()
	if q.pass(limit) {
		q.mu.Unlock()
		return nil
	}
	if len(q.waiting) >= maxQueue {
		q.mu.Unlock()
		return errFull
	}
	turn := make(chan struct{})
	q.waiting = append(q.waiting, turn)
	q.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-turn: // just now
		return nil
	default:
		q.waiting = slices.DeleteFunc(q.waiting, func(c chan struct{}) bool { return c == turn })
		return ctx.Err()
	}
}

// pass takes a turn if there is one now. q is locked.
func (q *queue) pass(limit int) bool {
	free := limit <= 0 || q.running < limit && len(q.waiting) == 0
	if free {
		q.running++
	}
	return free
}

// tryEnter is enter for who does not wait. It reports whether there was a turn.
func (q *queue) tryEnter(limit int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pass(limit)
}

// leave ends a turn and gives as many as limit, which may be another than before, allows to those who wait.
func (q *queue) leave(limit int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running--
	for len(q.waiting) > 0 && (limit <= 0 || q.running < limit) {
		q.running++
		close(q.waiting[0])
		q.waiting = q.waiting[1:]
	}
}

// takeTurn waits until the server may have one more call. The caller calls done when the call is over.
func (s *Session) takeTurn(ctx context.Context, method string) (done func(), err error) {
	limit, patience := s.Server().MaxConcurrent, s.Server().CallTimeout
	if limit > 0 {
		if _, err := s.ready(ctx); err != nil {
			return nil, err // now, not after those that may never end
		}
	}
	leave := func() { s.common.queue.leave(s.Server().MaxConcurrent) }
	if s.common.queue.tryEnter(limit) {
		return leave, nil
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = s.common.queue.enter(bounded, limit)
	switch {
	case err == nil:
		return leave, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, errFull):
		err = fmt.Errorf("%d calls wait for their turn (maxConcurrent is %d), this one was not sent", maxQueue, limit)
	default:
		err = fmt.Errorf("no turn for %s within %s (maxConcurrent is %d, callTimeout), it was not sent", method, patience, limit)
	}
	return nil, &CallError{Server: s.Name(), State: "busy", Next: "try again later, or raise maxConcurrent", ID: idQueue, Err: err}
}

// TooLargeError says that the result of a call was not delivered because of its size.
type TooLargeError struct {
	Server string
	Bytes  int64 // of the result; 0 when it was longer than limits.message and not counted
	Limit  int64 // maxResultBytes
}

// Error names the server, the setting, the next step and the id.
func (e *TooLargeError) Error() string {
	size := "longer than limits.message"
	if e.Bytes > 0 {
		size = fmt.Sprintf("%d bytes", e.Bytes)
	}
	return fmt.Sprintf("server %q: the result is too large, %s, and was not delivered (maxResultBytes is %d); "+
		"ask for less, or raise maxResultBytes%s", e.Server, size, e.Limit, mark(idTooLarge))
}

// fitting returns an answer that the client may have.
func (s *Session) fitting(m *jsonrpc.Message) (*jsonrpc.Message, error) {
	limit := s.Server().MaxResultBytes
	if limit <= 0 || int64(m.Text().Len()) <= limit {
		return m, nil
	}
	if size := int64(len(m.Result())); size > limit {
		return nil, &TooLargeError{Server: s.Name(), Bytes: size, Limit: limit}
	}
	return m, nil
}
