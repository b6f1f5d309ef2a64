package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

const (
	// outboxRoom bounds the bytes that wait for a child to read them; a longer message waits alone.
	outboxRoom = 16 << 20
	// outboxLeast is what the shortest message counts for, which bounds the number that wait to 4096.
	outboxLeast = outboxRoom / 4096
	// outboxShort is the length up to which a message is written at once when the pipe takes it.
	outboxShort = 32 << 10
)

// outbox writes messages to the stdin of a child, one per line, in the order of put. A child that does not read fills
// the outbox and then makes put wait, which its ctx bounds; it blocks nobody else. Any goroutine may use it. Somebody
// must run write.
type outbox struct {
	file *os.File
	room *semaphore.Weighted
	wake chan struct{} // has one element when the queue changed
	// broken is closed when the child cannot be written to any more.
	broken chan struct{}

	mu    sync.Mutex
	queue []letter
	now   *nonblocking
	line  []byte // of the message that is written at once
	busy  bool   // the writer has the file
	err   error  // nothing is taken after it
}

// letter is one message that waits, with its line end.
type letter struct {
	text   jsonrpc.Text
	weight int64
}

// errBroken is the error of put when the child cannot be written to: its process is about to say why.
var errBroken = errors.New("the server reads no more")

func newOutbox(f *os.File) (*outbox, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &outbox{
		file: f, now: newNonblocking(raw), room: semaphore.NewWeighted(outboxRoom),
		wake: make(chan struct{}, 1), broken: make(chan struct{}),
	}, nil
}

// put takes a message. It waits while there is no room, until ctx ends.
func (o *outbox) put(ctx context.Context, t jsonrpc.Text) error {
	weight := weigh(t)
	if err := o.room.Acquire(ctx, weight); err != nil {
		return err
	}
	return o.take(letter{t, weight})
}

// offer takes a message, or drops it when there is no room. It does not block.
func (o *outbox) offer(t jsonrpc.Text) {
	if weight := weigh(t); o.room.TryAcquire(weight) {
		_ = o.take(letter{t, weight}) // the child is about to be lost
	}
}

func weigh(t jsonrpc.Text) int64 { return min(max(int64(t.Len()), outboxLeast), outboxRoom) }

// take writes the message if that can be done without waiting, and else leaves it, or the rest, to the writer.
func (o *outbox) take(l letter) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		o.room.Release(l.weight)
		return o.err
	}
	if o.busy || len(o.queue) > 0 || l.text.Len() > outboxShort {
		l.text = slices.Concat(l.text, jsonrpc.Text{[]byte{'\n'}})
	} else {
		n, err := o.writeNow(l.text)
		if err != nil {
			o.fail()
		}
		if err != nil || n == len(o.line) {
			o.room.Release(l.weight)
			return o.err
		}
		l.text = jsonrpc.Text{bytes.Clone(o.line[n:])}
	}
	o.queue = append(o.queue, l)
	o.signal()
	return nil
}

// writeNow makes the text a line and writes as much of it as the pipe takes. mu is held.
func (o *outbox) writeNow(t jsonrpc.Text) (int, error) {
	o.line = o.line[:0]
	for _, p := range t {
		o.line = append(o.line, p...)
	}
	o.line = append(o.line, '\n')
	return o.now.write(o.line)
}

// fail drops what waits because the child cannot be written to. mu is held.
func (o *outbox) fail() {
	if !errors.Is(o.err, errBroken) {
		close(o.broken)
	}
	o.err = errBroken
	for _, l := range o.queue {
		o.room.Release(l.weight)
	}
	o.queue = nil
	o.signal()
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// close has the stdin of the child closed once it has read what waits. It does not block.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = ErrClosed
	}
	o.signal()
}

// abandon closes the file and drops what waits. Call it when the child has exited.
func (o *outbox) abandon() {
	o.mu.Lock()
	o.fail()
	o.mu.Unlock()
	o.file.Close() // also ends a write that waits
}

// write is the writer: it writes what could not be written at once until the outbox is closed, and then closes the
// stdin of the child.
func (o *outbox) write() {
	defer o.file.Close()
	var out *bufio.Writer // most children never need it
	for range o.wake {
		letters, last := o.next()
		for len(letters) > 0 {
			if out == nil {
				out = bufio.NewWriterSize(o.file, outboxShort)
			}
			err := deliver(out, letters)
			o.done(letters, err)
			letters, last = o.next()
		}
		if last {
			return
		}
	}
}

// next takes the whole queue; last says that nothing can follow.
func (o *outbox) next() (letters []letter, last bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	letters, o.queue = o.queue, nil
	o.busy = len(letters) > 0
	return letters, o.err != nil
}

// done gives back the room of letters that are written, or could not be.
func (o *outbox) done(letters []letter, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, l := range letters {
		o.room.Release(l.weight)
	}
	if err != nil {
		o.fail()
	}
}

func deliver(out *bufio.Writer, letters []letter) error {
	for _, l := range letters {
		for _, p := range l.text {
			if _, err := out.Write(p); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}
