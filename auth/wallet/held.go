package wallet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

const (
	// mostAsked bounds how long an authorization server may ask not to be tried (Retry-After).
	mostAsked = time.Hour
	// saveLimit bounds the writing of a record, whatever becomes of those who wait for it.
	saveLimit = 30 * time.Second
	// lockLimit bounds the waiting for another process that renews.
	lockLimit = 2 * time.Minute
)

// Held is a grant that nobody else changes, in no process, until Release. It is for one goroutine.
type Held struct {
	g      *Grant
	as     *config.Identity
	unlock func()
}

// Hold keeps everybody else from changing the grant, waits for who does so already, and reads it. as is the identity
// that the grant is of. The caller calls Release.
func (g *Grant) Hold(ctx context.Context, as *config.Identity) (*Held, error) {
	unlock, err := g.w.opts.Store.Lock(ctx, g.lockName())
	if err != nil {
		return nil, err
	}
	if _, err := g.Read(ctx); err != nil {
		unlock()
		return nil, err
	}
	return &Held{g: g, as: as, unlock: unlock}, nil
}

func (g *Grant) lockName() string { return "grant-" + g.key }

// lock is Hold for who wants to ask the authorization server, and does not read: who has the lock needs two minutes at
// most, unless it was stopped.
func (g *Grant) lock(ctx context.Context, as *config.Identity) (*Held, error) {
	limited, cancel := context.WithTimeoutCause(ctx, lockLimit, errHeld)
	defer cancel()
	unlock, err := g.w.opts.Store.Lock(limited, g.lockName())
	if err != nil && limited.Err() != nil {
		err = context.Cause(limited)
	}
	if err != nil {
		return nil, &grant.Error{Op: "waiting for another process of plait", Temporary: true, Cause: err}
	}
	return &Held{g: g, as: as, unlock: unlock}, nil
}

// Release lets others change the grant.
func (h *Held) Release() { h.unlock() }

// Record returns the record, nil when there is none.
func (h *Held) Record() *Record { return h.g.Record() }

// renew returns a token: the one of the store when that is usable, for another process may have renewed it, else a new
// one. replace is a token that is still usable and that a new one shall take the place of, "" for none. The lock of the
// grant is held from the reading to the writing, so that one process of all asks the authorization server, and never
// twice with the same refresh token.
func (g *Grant) renew(ctx context.Context, at Place, replace string) (*grant.Token, bool, error) {
	stored := func() (*grant.Token, error) {
		if _, err := g.Read(ctx); err != nil {
			return nil, &grant.Error{Op: "reading the saved sign-in", Temporary: true, Cause: err}
		}
		if t := g.Peek(at.Resource()); t != nil && t.Access != replace {
			return t, nil
		}
		return nil, nil //nolint:nilnil // there is none
	}
	if t, err := stored(); t != nil || err != nil {
		return t, false, err
	}
	held, err := g.lock(ctx, at.Identity())
	if err != nil {
		return nil, false, err
	}
	defer held.Release()
	if t, err := stored(); t != nil || err != nil {
		return t, false, err
	}
	t, err := held.Renew(ctx, at)
	g.note(at.Identity(), err)
	return t, err == nil, err
}

// Renew has a place ask for a token, saves what comes, and returns the token. It asks although there may be one.
func (h *Held) Renew(ctx context.Context, at Place) (*grant.Token, error) {
	rec := h.Record()
	if rec == nil {
		return nil, ErrNoGrant
	}
	if over := rec.Expired(); over != nil {
		return nil, over
	}
	next, err := at.Renew(ctx, h)
	if err != nil {
		return nil, err
	}
	h.Keep(ctx, next)
	return next.Tokens[at.Resource()], nil
}

// note keeps the result of a token request: after an error there is none for a while.
func (g *Grant) note(as *config.Identity, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil {
		g.waits.Reset()
		g.until, g.err = time.Time{}, nil
		return
	}
	_, over := errors.AsType[*ExpiredError](err)
	_, alone := errors.AsType[*AloneError](err)
	if over || alone || errors.Is(err, ErrNoGrant) {
		return
	}
	wait := g.waits.NextBackOff()
	if refused, ok := errors.AsType[*grant.Error](err); ok {
		wait = max(wait, min(refused.RetryAfter, mostAsked))
	}
	g.until, g.err = time.Now().Add(wait), err
	g.w.opts.Log.Warn("no token was granted", "identity", as.Name, "err", err, "retry", wait.Round(time.Millisecond))
}

// End marks the grant as one that a person has to make anew, and returns the error that says so. Nothing of it is
// deleted but the refresh token.
func (h *Held) End(ctx context.Context, reason string) error {
	next := h.Record().Clone()
	next.State, next.Reason, next.Refresh = "expired", reason, ""
	h.Keep(ctx, next)
	return next.Expired()
}

// Replace keeps the record of a new sign-in: what was refused or went wrong before does not count for it. It is false
// when it could not be saved.
func (h *Held) Replace(ctx context.Context, rec *Record) (saved bool) {
	h.g.mu.Lock()
	h.g.refused, h.g.until, h.g.err = nil, time.Time{}, nil
	h.g.mu.Unlock()
	return h.Keep(ctx, rec)
}

// Keep saves a record and uses it from now on; the end of ctx does not stop it. When it cannot be saved, which is false,
// it is used all the same, and saved later: the refresh token in it is the only one that still works. Access tokens are
// saved unless the identity says otherwise.
func (h *Held) Keep(ctx context.Context, rec *Record) (saved bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveLimit)
	defer cancel()
	g := h.g
	g.mu.Lock()
	generation, had := g.generation, g.unsaved
	g.mu.Unlock()
	kept := rec
	if !h.as.CacheAccessToken {
		kept = rec.Clone()
		kept.Tokens = nil
	}
	now, err := g.write(ctx, generation, kept)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unsaved, g.as = false, h.as
	if err == nil {
		g.adopt(rec, now)
		return true
	}
	g.adopt(rec, g.generation)
	g.unsaved = true
	if !had {
		g.w.opts.Log.Error("could not save the renewed sign-in: it will be lost when plait ends",
			"identity", rec.Identity, "err", err, "id", IDNotKept, "next", "make room, or make the folder of credentials.path writable")
	}
	return false
}

// write saves a record, whatever the store has by now, and returns its generation.
func (g *Grant) write(ctx context.Context, generation uint64, rec *Record) (uint64, error) {
	saved, err := g.w.opts.Store.Save(ctx, store.Grants, g.key, generation, rec)
	if errors.Is(err, store.ErrConflict) {
		var now Record
		if generation, err = g.w.opts.Store.Load(ctx, store.Grants, g.key, &now); err == nil {
			saved, err = g.w.opts.Store.Save(ctx, store.Grants, g.key, generation, rec)
		}
	}
	return saved, err
}

// Remove removes the grant. That it is not there is no error.
func (h *Held) Remove(ctx context.Context) error {
	err := h.g.w.opts.Store.Remove(ctx, store.Grants, h.g.key)
	h.g.mu.Lock()
	h.g.rec, h.g.generation, h.g.unsaved = nil, 0, false
	h.g.mu.Unlock()
	if err != nil {
		return fmt.Errorf("forget a saved sign-in: %w", err)
	}
	return nil
}
