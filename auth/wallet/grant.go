package wallet

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/time/rate"

	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

// remembered is how many refused tokens of a grant are known, by value.
const remembered = 8

// Grant holds one grant in this process. What it knows follows the record in the store, which all processes share. Any
// goroutine may use it.
type Grant struct {
	w   *Wallet
	key string

	mu         sync.Mutex
	rec        *Record // never changed, only replaced; nil before it was read, or when there is none
	generation uint64
	read       bool                // rec is what the store had
	unsaved    bool                // rec is newer than the store, which could not be written
	as         *config.Identity    // that rec was kept as last; nil when it was not
	refused    []string            // tokens that their server did not take
	due        map[string]dueToken // when tokens are to be renewed, by resource
	flights    map[string]*flight  // renewals under way, by resource
	waits      *backoff.ExponentialBackOff
	until      time.Time // no token request before
	err        error     // why
	vain       *rate.Limiter
	places     map[string]Place // where the tokens are used, by resource
	used       time.Time        // when one was used last
}

// dueToken is when a token is to be renewed.
type dueToken struct {
	token string
	at    time.Time
}

// flight is one renewal under way. Its fields are read after done is closed.
type flight struct {
	done  chan struct{}
	token *grant.Token
	fresh bool // the authorization server gave it now; nobody else could have used it before
	err   error
}

// Token returns a token for a place, and whether it is fresh: nobody has used it before. It does not have the value
// refused, which the server did not take ("" for none). It renews, which all who ask at the same time wait for together;
// ctx ends the waiting only. Its errors are those of at.Renew and of this package.
func (g *Grant) Token(ctx context.Context, at Place, refused string) (t *grant.Token, fresh bool, err error) {
	for range 3 {
		f, t, err := g.join(at, refused)
		if t != nil || err != nil {
			return t, false, err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
		if f.err != nil || f.token.Access != refused {
			return f.token, f.fresh, f.err
		}
	}
	return nil, false, &grant.Error{Op: "token request", Temporary: true, Cause: errors.New("only tokens that were refused before")}
}

// join returns a usable token, or the renewal to wait for, or why there can be none now.
func (g *Grant) join(at Place, refused string) (*flight, *grant.Token, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now, resource := time.Now(), at.Resource()
	g.places[resource], g.used = at, now
	if refused != "" {
		g.refuse(resource, refused, now)
	}
	if t := g.usable(resource, now); t != nil {
		if d := g.due[resource]; d.token == t.Access && !d.at.IsZero() && now.After(d.at) && !now.Before(g.until) {
			g.start(resource, t.Access)
		}
		return nil, t, nil
	}
	if f := g.flights[resource]; f != nil {
		return f, nil, nil
	}
	if now.Before(g.until) {
		return nil, nil, &PausedError{Err: g.err, Wait: g.until.Sub(now)}
	}
	return g.start(resource, ""), nil, nil
}

// refuse remembers a token that its server did not take. One that was young costs of the stock. g is locked.
func (g *Grant) refuse(resource, token string, now time.Time) {
	if slices.Contains(g.refused, token) {
		return
	}
	g.refused = append(g.refused, token)
	if len(g.refused) > remembered {
		g.refused = g.refused[1:]
	}
	if g.rec == nil {
		return
	}
	if t := g.rec.Tokens[resource]; t != nil && t.Access == token && IsYoung(t, now) && !g.vain.AllowN(now, 1) {
		g.err, g.until = ErrVain, now.Add(stockEvery)
	}
}

// usable returns the token for a resource as far as is known here, nil when it is over or was refused. g is locked.
func (g *Grant) usable(resource string, now time.Time) *grant.Token {
	if g.rec == nil {
		return nil
	}
	return g.rec.usable(resource, now, g.refused)
}

// start begins a renewal, of the token that is to be replaced although it can still be used, "" for none. g is locked.
func (g *Grant) start(resource, replace string) *flight {
	if f := g.flights[resource]; f != nil {
		return f
	}
	f := &flight{done: make(chan struct{})}
	g.flights[resource] = f
	at := g.places[resource]
	if err := g.w.opts.Go(func(ctx context.Context) {
		f.token, f.fresh, f.err = g.renew(ctx, at, replace)
		g.mu.Lock()
		delete(g.flights, resource)
		g.mu.Unlock()
		close(f.done)
	}); err != nil {
		delete(g.flights, resource)
		f.err = err
		close(f.done)
	}
	return f
}

// adopt makes a record of the store, or nil, what is known here. g is locked.
func (g *Grant) adopt(rec *Record, generation uint64) {
	if g.unsaved && rec != nil && generation == g.generation {
		return // what we have is newer
	}
	g.rec, g.generation, g.read, g.unsaved = rec, generation, true, false
	if rec == nil {
		return
	}
	for _, s := range rec.secrets() {
		if s != "" {
			g.w.opts.Learn(s)
		}
	}
	for resource, t := range rec.Tokens {
		if g.due[resource].token == t.Access {
			continue
		}
		g.due[resource] = dueToken{token: t.Access, at: dueAt(t, g.skew(resource))}
	}
}

func (g *Grant) skew(resource string) time.Duration {
	if at, ok := g.places[resource]; ok {
		return at.Identity().RefreshSkew
	}
	return 0
}

// Read reads the record and returns it as it is known here by now, nil when there is none.
func (g *Grant) Read(ctx context.Context) (*Record, error) {
	rec := &Record{}
	generation, err := g.w.opts.Store.Load(ctx, store.Grants, g.key, rec)
	if errors.Is(err, store.ErrNotFound) {
		rec, generation, err = nil, 0, nil
	}
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	// What is known here may be more: not every token is saved.
	if !g.read || generation != g.generation || (rec == nil) != (g.rec == nil) || rec != nil && !rec.SignedIn.Equal(g.rec.SignedIn) {
		g.adopt(rec, generation)
	}
	return g.rec, nil
}

// Record returns the record as it is known here, nil when there is none.
func (g *Grant) Record() *Record {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rec
}

// Peek returns the usable token for a resource, nil when there is none.
func (g *Grant) Peek(resource string) *grant.Token {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.usable(resource, time.Now())
}

// Retry has the next renewal wait for nothing: a person wants it tried now.
func (g *Grant) Retry() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.until, g.err = time.Time{}, nil
}
