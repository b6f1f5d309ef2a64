package transport

import (
	"context"
	"errors"
	"sync"
)

// life is what a Conn over HTTP knows about whether it still lives, and who works for it.
type life struct {
	// run runs f on its own goroutine, under a context that ends with the Conn. It reports false, and does
	// not run f, when the Conn has ended.
	run func(f func(ctx context.Context)) bool
	// after arranges that f runs when that context ends, until stop is called.
	after func(f func()) (stop func() bool)

	done   chan struct{}
	cancel context.CancelFunc // ends the context of run

	mu      sync.Mutex
	err     error          // why done is closed
	closed  bool           // Close was called
	working sync.WaitGroup // Add only with mu held and err nil
}

func newLife(ctx context.Context) *life {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &life{done: make(chan struct{}), cancel: cancel}
	l.after = func(f func()) func() bool { return context.AfterFunc(ctx, f) }
	l.run = func(f func(context.Context)) bool {
		if l.enter() != nil {
			return false
		}
		go func() {
			defer l.working.Done()
			f(ctx)
		}()
		return true
	}
	return l
}

// Done implements Conn.
func (l *life) Done() <-chan struct{} { return l.done }

// Err implements Conn.
func (l *life) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// enter counts the caller among those that Close waits for, until it calls working.Done. It returns why the
// Conn takes no more work.
func (l *life) enter() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return ErrClosed
	case l.err != nil:
		return notSent(l.err)
	}
	l.working.Add(1)
	return nil
}

// end ends the Conn because of err and reports whether it still lived.
func (l *life) end(err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = l.closed || errors.Is(err, ErrClosed)
	if l.err != nil {
		return false
	}
	l.err = err
	close(l.done)
	l.cancel()
	return true
}

// wait waits for everybody who entered, no longer than ctx.
func (l *life) wait(ctx context.Context) error {
	gone := make(chan struct{})
	go func() {
		l.working.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// notSent returns err, with which a Conn ended, for a message that was not sent.
func notSent(err error) error {
	if exit, ok := errors.AsType[*ExitError](err); ok {
		return &ExitError{Status: exit.Status, Stderr: exit.Stderr, Unsent: true}
	}
	if lost, ok := errors.AsType[*SessionLostError](err); ok {
		return &SessionLostError{Reason: lost.Reason}
	}
	return err
}
