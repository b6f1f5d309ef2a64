package flow

import (
	"context"
	"errors"
	"time"

	"github.com/plait-mcp/plait/auth/store"
)

const (
	// takeover is how often a process whose sign-ins are served by another one looks whether that is still there.
	takeover = 250 * time.Millisecond
	// look is how often the records are read even when nothing tells that they changed.
	look = time.Second
	// idle is how often one looks at nothing.
	idle = time.Hour
)

// keep looks after the flows of this process, and holds the ports that are needed, until the broker is closed.
func (b *Broker) keep(ctx context.Context) {
	defer close(b.kept)
	defer func() {
		b.ports.close(ctx)
		if n := b.odd.count.Load(); n > 0 {
			b.log.Info("requests at the port for sign-ins were refused", "requests", n)
		}
	}()
	var changes <-chan struct{} // from the first flow on
	timer := time.NewTimer(look)
	defer timer.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-ctx.Done():
			return
		case <-b.wake:
		case <-changes:
		case <-timer.C:
		}
		if changes == nil && len(b.all()) > 0 {
			var err error
			if changes, err = b.store.Watch(ctx); err != nil {
				b.log.Debug("sign-ins of other processes are looked for once a second", "err", err)
				changes = make(chan struct{})
			}
		}
		timer.Reset(b.tend(ctx))
	}
}

// tend ends the flows that have ended and sees to the ports of the others. It returns when to look again.
func (b *Broker) tend(ctx context.Context) time.Duration {
	needed := map[int]bool{}
	for _, f := range b.all() {
		r := &record{}
		_, err := b.store.Load(ctx, store.Pending, f.ID, r)
		switch {
		case errors.Is(err, store.ErrNotFound):
			b.end(f, ErrExpired)
			continue
		case err != nil:
			b.log.Debug("a sign-in under way cannot be read", "err", err)
		default:
			if how, ended := r.end(); ended {
				b.end(f, how)
				continue
			}
		}
		needed[f.port] = true
	}
	b.mu.Lock()
	for _, port := range b.pages {
		needed[port] = true
	}
	b.mu.Unlock()
	return b.ports.tend(ctx, needed)
}

func (b *Broker) all() []*Flow {
	b.mu.Lock()
	defer b.mu.Unlock()
	flows := make([]*Flow, 0, len(b.flows))
	for _, f := range b.flows {
		flows = append(flows, f)
	}
	return flows
}

// end tells those who wait for f. Only the keeper calls it.
func (b *Broker) end(f *Flow, how error) {
	b.mu.Lock()
	delete(b.flows, f.ID)
	b.mu.Unlock()
	f.err = how
	close(f.done)
}
