package auth

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
)

const (
	// firstWait and longWait bound the back-off of token requests: full jitter, which doubles.
	firstWait = time.Second
	longWait  = 5 * time.Minute
	// mostAsked bounds how long an authorization server may ask not to be tried (Retry-After).
	mostAsked = time.Hour
	// tokenLimit bounds one renewal, whatever becomes of those who wait for it.
	tokenLimit = 30 * time.Second
	// lockLimit bounds the waiting for another process that renews.
	lockLimit = 2 * time.Minute
	// stock and stockEvery are how many tokens may be got in vain: refused by their server while they were young.
	stock      = 5
	stockEvery = 12 * time.Second
	// remembered is how many refused tokens are known, by value.
	remembered = 8
)

// holder holds one grant in this process. What it knows follows the record in the store, which all processes share.
type holder struct {
	m   *Manager
	key string

	mu         sync.Mutex
	rec        *record // never changed, only replaced; nil before it was read, or when there is none
	generation uint64
	read       bool                // rec is what the store had
	unsaved    bool                // rec is newer than the store, which could not be written
	refused    []string            // tokens that their server did not take
	due        map[string]dueToken // when tokens are to be renewed, by resource
	flights    map[string]*flight  // renewals under way, by resource
	waits      *backoff.ExponentialBackOff
	until      time.Time // no token request before
	err        error     // why
	vain       *rate.Limiter
	stops      map[string]stop // where the tokens are used, by resource
	used       time.Time       // when one was used last
}

// stop is a server at which a grant is used, and the bond that led there.
type stop struct {
	site     *site
	bond     *bond
	resource string // of token requests for the server
}

func newStop(s *site, b *bond) stop { return stop{site: s, bond: b, resource: s.resource(b)} }

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

// grantOf returns the holder of a grant, of which there is one in a process.
func (m *Manager) grantOf(key string) *holder {
	m.mu.Lock()
	defer m.mu.Unlock()
	h, ok := m.holders[key]
	if !ok {
		h = &holder{
			m: m, key: key, due: map[string]dueToken{}, stops: map[string]stop{}, flights: map[string]*flight{},
			waits: newBackoff(), vain: rate.NewLimiter(rate.Every(stockEvery), stock),
		}
		m.holders[key] = h
	}
	return h
}

// newBackoff makes waits with full jitter: from 0 to a bound that doubles.
func newBackoff() *backoff.ExponentialBackOff {
	b := &backoff.ExponentialBackOff{InitialInterval: firstWait / 2, RandomizationFactor: 1, Multiplier: 2, MaxInterval: longWait / 2}
	b.Reset()
	return b
}

// acquire returns a token for a server. It does not have the value refused, which the server did not take ("" for
// none). It renews, which all who ask at the same time wait for together; ctx ends the waiting only.
func (h *holder) acquire(ctx context.Context, at stop, refused string) (*grant.Token, bool, error) {
	for range 3 {
		f, t, err := h.join(at, refused)
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
func (h *holder) join(at stop, refused string) (*flight, *grant.Token, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now, resource := time.Now(), at.resource
	h.stops[resource], h.used = at, now
	if refused != "" {
		h.refuse(resource, refused, now)
	}
	if t := h.usable(resource, now); t != nil {
		if d := h.due[resource]; d.token == t.Access && !d.at.IsZero() && now.After(d.at) && !now.Before(h.until) {
			h.start(resource, t.Access)
		}
		return nil, t, nil
	}
	if f := h.flights[resource]; f != nil {
		return f, nil, nil
	}
	if now.Before(h.until) {
		return nil, nil, &pausedError{err: h.err, wait: h.until.Sub(now)}
	}
	return h.start(resource, ""), nil, nil
}

// refuse remembers a token that its server did not take. One that was young costs of the stock. h is locked.
func (h *holder) refuse(resource, token string, now time.Time) {
	if slices.Contains(h.refused, token) {
		return
	}
	h.refused = append(h.refused, token)
	if len(h.refused) > remembered {
		h.refused = h.refused[1:]
	}
	if h.rec == nil {
		return
	}
	if t := h.rec.Tokens[resource]; t != nil && t.Access == token && isYoung(t, now) && !h.vain.AllowN(now, 1) {
		h.err, h.until = errStorm, now.Add(stockEvery)
	}
}

// errStorm says that the server refuses all tokens.
var errStorm = errors.New("the server refuses one new token after the other")

// usable returns the token for a resource as far as is known here, nil when it is over or was refused. h is locked.
func (h *holder) usable(resource string, now time.Time) *grant.Token {
	if h.rec == nil {
		return nil
	}
	return h.rec.usable(resource, now, h.refused)
}

// usable returns the token for a resource, nil when there is none that lives and is not among the refused ones.
func (r *record) usable(resource string, now time.Time, refused []string) *grant.Token {
	t := r.Tokens[resource]
	if t == nil || t.Access == "" || isOver(t, now) || slices.Contains(refused, t.Access) {
		return nil
	}
	return t
}

// start begins a renewal, of the token that is to be replaced although it can still be used, "" for none. h is locked.
func (h *holder) start(resource, replace string) *flight {
	if f := h.flights[resource]; f != nil {
		return f
	}
	f := &flight{done: make(chan struct{})}
	h.flights[resource] = f
	at := h.stops[resource]
	if !h.m.goes(func(ctx context.Context) {
		f.token, f.fresh, f.err = h.renew(ctx, at, replace)
		h.mu.Lock()
		delete(h.flights, resource)
		h.mu.Unlock()
		close(f.done)
		h.m.nudge()
	}) {
		delete(h.flights, resource)
		f.err = errClosed
		close(f.done)
	}
	return f
}

// adopt makes a record of the store, or nil, what is known here. h is locked.
func (h *holder) adopt(rec *record, generation uint64) {
	if h.unsaved && rec != nil && generation == h.generation {
		return // what we have is newer
	}
	h.rec, h.generation, h.read, h.unsaved = rec, generation, true, false
	if rec == nil {
		return
	}
	h.m.conceal(rec.secrets())
	for resource, t := range rec.Tokens {
		if h.due[resource].token == t.Access {
			continue
		}
		h.due[resource] = dueToken{token: t.Access, at: dueAt(t, h.skew(resource))}
	}
}

func (h *holder) skew(resource string) time.Duration {
	if at, ok := h.stops[resource]; ok {
		return at.site.identity.RefreshSkew
	}
	return 0
}

// reload reads the record.
func (h *holder) reload(ctx context.Context) error {
	rec := &record{}
	generation, err := h.m.opts.Store.Load(ctx, store.Grants, h.key, rec)
	if errors.Is(err, store.ErrNotFound) {
		rec, generation, err = nil, 0, nil
	}
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.read && generation == h.generation && (rec == nil) == (h.rec == nil) && (rec == nil || rec.SignedIn.Equal(h.rec.SignedIn)) {
		return nil // what is known here may be more: not every token is saved
	}
	h.adopt(rec, generation)
	return nil
}

// current returns the record as it is known here, nil when there is none.
func (h *holder) current() *record {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rec
}
