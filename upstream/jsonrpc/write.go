package jsonrpc

import (
	"io"
	"sync"
)

const (
	// joined is the length up to which a text is copied behind others that wait to be written.
	joined = 32 << 10
	// waiting is how much may wait before a writer has to wait itself.
	waiting = 1 << 20
)

// Writer writes texts as lines, whole and in the order in which a goroutine gave them. Any goroutine may call
// Write. Whoever finds nobody writing writes, and takes along what others have given it meanwhile: so there
// is no goroutine in between and many small texts become one write.
type Writer struct {
	out io.Writer

	mu    sync.Mutex
	free  sync.Cond
	queue []byte // waits to be written
	spare []byte // the buffer that was written last
	busy  bool   // somebody is writing
	err   error  // the first error of out; nothing is written after it
}

// NewWriter returns a Writer to out.
func NewWriter(out io.Writer) *Writer {
	w := &Writer{out: out}
	w.free.L = &w.mu
	return w
}

// Write writes t as a line. A short text may still wait behind others when Write returns nil. Write blocks
// while out does not take what was written before, and returns the first error that out ever gave.
func (w *Writer) Write(t Text) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.Len() > joined {
		return w.long(t)
	}
	for w.err == nil && w.busy && len(w.queue) >= waiting {
		w.free.Wait()
	}
	if w.err != nil {
		return w.err
	}
	for _, p := range t {
		w.queue = append(w.queue, p...)
	}
	w.queue = append(w.queue, '\n')
	if w.busy {
		return nil
	}
	w.busy = true
	return w.drain()
}

// long writes a text piece by piece when nobody else writes. mu is held on entry and on return.
func (w *Writer) long(t Text) error {
	for w.err == nil && w.busy {
		w.free.Wait()
	}
	if w.err != nil {
		return w.err
	}
	w.busy = true
	w.mu.Unlock()
	var err error
	for _, p := range t {
		if _, err = w.out.Write(p); err != nil {
			break
		}
	}
	if err == nil {
		_, err = w.out.Write([]byte{'\n'})
	}
	w.mu.Lock()
	if err != nil {
		w.err = err
	}
	return w.drain()
}

// drain writes what waits until nothing does. mu is held on entry and on return, and busy is set on entry.
func (w *Writer) drain() error {
	for w.err == nil && len(w.queue) > 0 {
		out := w.queue
		w.queue, w.spare = w.spare[:0], nil
		w.mu.Unlock()
		_, err := w.out.Write(out)
		w.mu.Lock()
		if cap(out) <= waiting {
			w.spare = out[:0]
		}
		if err != nil {
			w.err = err
		}
		w.free.Broadcast()
	}
	w.busy = false
	w.free.Broadcast()
	return w.err
}
