package flow

import (
	"context"
	"errors"
	"time"

	"github.com/plait-mcp/plait/auth/store"
)

// Flow is one sign-in under way, begun by this process or by another. Any goroutine may use it.
type Flow struct {
	ID      string    // of the link
	Created time.Time // when it was begun
	Expires time.Time // when its link ends to be valid
	PID     int       // of the process that began it

	broker *Broker
	url    string
	port   int

	done chan struct{} // closed by the keeper when it ended
	err  error         // how; read after done
}

// URL returns where the person has to go, at the authorization server. It holds the state: it is for a browser or a
// terminal of the person, not for a log.
func (f *Flow) URL() string { return f.url }

// Link returns the address of our page, which says what is signed in to and leads on to URL.
func (f *Flow) Link() string { return f.broker.link(f.port, "connect/"+f.ID) }

// Wait waits until the sign-in has ended, in whatever process, or ctx has. It returns nil when somebody signed in,
// else *DeniedError, *ResponseError, *IssuerError, *FailedError, ErrExpired, ErrCanceled or the error of ctx; after
// that one the sign-in is still under way and its link valid until Expires.
func (f *Flow) Wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
	case <-f.broker.kept:
	}
	select {
	case <-f.done:
		return f.err
	default:
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errClosed
}

// Visited reports whether a person has gone on from our page to the authorization server and is at it still.
func (f *Flow) Visited(ctx context.Context) bool {
	r := &record{}
	_, err := f.broker.store.Load(ctx, store.Pending, f.ID, r)
	return err == nil && r.Visited && r.open()
}

// Cancel calls the sign-in off, for every process: its link is no longer valid.
func (f *Flow) Cancel(ctx context.Context) error {
	for {
		r := &record{}
		generation, err := f.broker.store.Load(ctx, store.Pending, f.ID, r)
		if errors.Is(err, store.ErrNotFound) || err == nil && r.Phase != open {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = f.broker.store.Save(ctx, store.Pending, f.ID, generation, r.ended(canceled))
		f.broker.nudge()
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		// somebody has just signed in, or gone on from our page: look again
	}
}
