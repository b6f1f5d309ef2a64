package wallet

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/hashicorp/go-hclog"
	"golang.org/x/time/rate"

	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

const (
	// look is how often grants are looked at even when nothing happened: a timer stands still while a computer sleeps,
	// and the tokens expire all the same.
	look = 30 * time.Second
	// again is how soon what could not be saved is written again.
	again = 5 * time.Second
	// firstWait and longWait bound the back-off of token requests: full jitter, which doubles.
	firstWait = time.Second
	longWait  = 5 * time.Minute
	// stock and stockEvery are how many tokens may be got in vain: refused by their server while they were young.
	stock      = 5
	stockEvery = 12 * time.Second
)

// Place is a server where a grant is used, as an identity comes to it. Any goroutine may call its methods; those but
// Renew return at once.
type Place interface {
	Identity() *config.Identity
	Resource() string // of token requests for the server (RFC 8707), which its tokens are kept by; "" is none
	// Renewable reports whether Renew may work without a person.
	Renewable(rec *Record) bool
	// Renew asks the authorization server for a token and returns the record with it. It changes the grant only by
	// what held has for that. After an error nothing is asked for a while, unless it is an *ExpiredError or an
	// *AloneError.
	Renew(ctx context.Context, held *Held) (*Record, error)
}

// Options are what a Wallet needs.
type Options struct {
	Store *store.Store // where the records are, for all processes that have the same one
	// Go runs a renewal in a goroutine of its own, which whoever gave it waits for, or returns why it does not.
	Go func(renewal func(ctx context.Context)) error
	// Learn hears of every secret that comes from the store: another process may have got it. nil is nobody.
	Learn func(secret string)
	Log   hclog.Logger // nil is none
}

// Wallet holds the grants of this process. Any goroutine may use it.
type Wallet struct {
	opts Options

	mu     sync.Mutex
	grants map[string]*Grant
}

// New returns a Wallet. It touches nothing yet.
func New(opts Options) *Wallet {
	if opts.Log == nil {
		opts.Log = hclog.NewNullLogger()
	}
	if opts.Learn == nil {
		opts.Learn = func(string) {}
	}
	return &Wallet{opts: opts, grants: map[string]*Grant{}}
}

// Grant returns the grant of a key, of which there is one in a process. Whether the store has it shows when it is read.
func (w *Wallet) Grant(key string) *Grant {
	w.mu.Lock()
	defer w.mu.Unlock()
	g, ok := w.grants[key]
	if !ok {
		g = &Grant{
			w: w, key: key, due: map[string]dueToken{}, places: map[string]Place{}, flights: map[string]*flight{},
			waits: newBackoff(), vain: rate.NewLimiter(rate.Every(stockEvery), stock),
		}
		w.grants[key] = g
	}
	return g
}

// newBackoff makes waits with full jitter: from 0 to a bound that doubles.
func newBackoff() *backoff.ExponentialBackOff {
	b := &backoff.ExponentialBackOff{InitialInterval: firstWait / 2, RandomizationFactor: 1, Multiplier: 2, MaxInterval: longWait / 2}
	b.Reset()
	return b
}

// Tend starts to renew the tokens that are due and writes what is unsaved. It returns when to call it again: in half a
// minute at most, and whenever a renewal has ended.
func (w *Wallet) Tend(ctx context.Context) time.Duration {
	w.mu.Lock()
	grants := slices.Collect(maps.Values(w.grants))
	w.mu.Unlock()
	now, next := time.Now(), look
	for _, g := range grants {
		at, unsaved := g.tend(now)
		if unsaved {
			g.save(ctx)
			next = min(next, again)
		}
		if !at.IsZero() {
			next = min(next, max(at.Sub(now), time.Second))
		}
	}
	return next
}

// tend starts to renew what is due and returns when something will be, zero for never, and whether something is to be
// written.
func (g *Grant) tend(now time.Time) (next time.Time, unsaved bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.rec == nil || now.Sub(g.used) > watched {
		return time.Time{}, g.unsaved
	}
	for resource, d := range g.due {
		t := g.rec.Tokens[resource]
		if d.at.IsZero() || t == nil || t.Access != d.token || !g.renewable(resource) {
			continue
		}
		at := d.at
		if at.Before(g.until) {
			at = g.until
		}
		if now.Before(at) {
			if next.IsZero() || at.Before(next) {
				next = at
			}
			continue
		}
		g.start(resource, t.Access)
	}
	return next, g.unsaved
}

// renewable reports whether a token can be had without a person. g is locked.
func (g *Grant) renewable(resource string) bool {
	at, used := g.places[resource]
	return used && g.rec.Expired() == nil && at.Renewable(g.rec)
}

// save writes what could not be written before.
func (g *Grant) save(ctx context.Context) {
	g.mu.Lock()
	as := g.as
	g.mu.Unlock()
	held, err := g.Hold(ctx, as) // somebody may have signed in meanwhile, which is newer
	if err != nil {
		return
	}
	defer held.Release()
	g.mu.Lock()
	rec, unsaved := g.rec, g.unsaved
	g.mu.Unlock()
	if unsaved {
		held.Keep(ctx, rec)
	}
}
