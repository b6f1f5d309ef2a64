package upstream

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/time/rate"

	"github.com/plait-mcp/plait/upstream/transport"
)

const (
	// firstWait and longWait bound the back-off: full jitter, which doubles.
	firstWait = time.Second
	longWait  = 15 * time.Minute
	// tolerated is how many attempts in a row may fail until the breaker opens.
	tolerated = 5
	// probeWait is the bound of the first wait of an open breaker.
	probeWait = 8 * time.Second
	// stock and daily bound the requests of attempts in vain: stock at once, and daily more in a day.
	stock = 60
	daily = 150
	// longQuiet bounds how long a server may ask not to be tried (Retry-After).
	longQuiet = time.Hour
	// soon is how long a call waits for an attempt that is due anyway.
	soon = 2 * time.Second
)

// health says when a configured server may be tried. The sessions of all clients share it, so that a dead server
// costs the same however many they are. Attempts in vain make the next wait longer; after several in a row the
// breaker is open: calls try the server no more, and one session at a time probes it. Credentials that were
// refused, and those that nobody has given yet, hold the server until they change. Any goroutine may use it.
type health struct {
	mu       sync.Mutex
	news     chan struct{} // closed, and made anew, when anything below changes
	waits    *backoff.ExponentialBackOff
	budget   *rate.Limiter
	err      error           // of the last attempt, nil after one that worked
	held     hold            // nobody tries the server until woken is closed, or renew
	woken    <-chan struct{} // closed when the credentials may be others than in the last attempt; nil when err is not about them
	proven   bool            // the last attempt worked
	failures int             // attempts in a row that did not work, or not for long
	trying   int             // attempts that are under way
	tried    time.Time       // when the last one ended
	next     time.Time       // when the next one is due
	quiet    time.Time       // before which no call makes it come earlier
}

// verdict is what a session learns that wants to try the server.
type verdict struct {
	allowed bool // the session shall try, and then tell worked, failed or gaveUp
	state   State
	err     error
	next    time.Time       // when the next attempt is due; when that is over only news can change anything
	news    <-chan struct{} // closed when it is worth asking again
	woken   <-chan struct{} // the same; nil for never
}

func newHealth() *health {
	h := &health{news: make(chan struct{})}
	h.clear()
	return h
}

// newBackoff makes waits with full jitter: from 0 to a bound that doubles from first to longWait.
func newBackoff(first time.Duration) *backoff.ExponentialBackOff {
	b := &backoff.ExponentialBackOff{
		InitialInterval: first / 2, RandomizationFactor: 1, Multiplier: 2, MaxInterval: longWait / 2,
	}
	b.Reset()
	return b
}

// clear forgets all that went wrong. h is locked, or new.
func (h *health) clear() {
	h.waits = newBackoff(firstWait)
	h.budget = rate.NewLimiter(rate.Every(24*time.Hour/daily), stock)
	h.err, h.held, h.woken, h.failures = nil, free, nil, 0
	h.next, h.quiet = time.Time{}, time.Time{}
}

// change runs f with h locked and tells everybody who waits.
func (h *health) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	close(h.news)
	h.news = make(chan struct{})
}

// enter asks whether a session may try the server now, and counts it as trying if so.
func (h *health) enter() verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := h.judge()
	if v.allowed {
		h.trying++
	}
	return v
}

// verdict returns what enter would.
func (h *health) verdict() verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.judge()
}

// judge decides whether one more attempt is allowed. h is locked.
func (h *health) judge() verdict {
	h.rouse()
	v := verdict{state: Waiting, err: h.err, next: h.next, news: h.news, woken: h.woken}
	switch {
	case h.held == parked:
		v.state, v.next = Parked, time.Time{}
	case h.held == signIn:
		v.state, v.next = SignIn, time.Time{}
	case time.Now().Before(h.next):
	case h.trying < h.room():
		v.allowed = true
	case h.failures < tolerated: // others are at it
		v.state = Connecting
	}
	return v
}

// wait waits until it is worth asking again, or ctx ends.
func (v verdict) wait(ctx context.Context) {
	var due <-chan time.Time
	if wait := time.Until(v.next); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-due:
	case <-v.news:
	case <-v.woken:
	case <-ctx.Done():
	}
}

// room returns how many attempts may be under way: one while the server is down, a few while that is not known,
// any number when it is up. h is locked.
func (h *health) room() int {
	switch {
	case h.proven && h.failures == 0:
		return int(^uint(0) >> 1)
	case h.proven || h.failures == 0:
		return tolerated
	}
	return 1
}

// worked says that an attempt led to a session.
func (h *health) worked() {
	h.change(func() {
		h.trying--
		h.proven, h.err, h.tried = true, nil, time.Now()
	})
}

// gaveUp says that an attempt was given up for reasons of ours.
func (h *health) gaveUp() { h.change(func() { h.trying-- }) }

// failed says that an attempt did not work, and what it cost. woken is closed when the credentials have changed since
// it began.
func (h *health) failed(err error, requests int64, woken <-chan struct{}) {
	h.change(func() {
		h.trying--
		h.tried = time.Now()
		h.learn(err, refusal(err), woken)
		h.postpone(err, requests)
	})
}

// lost says that a session ended that had not lasted, or whose credentials do not do any more. woken is closed when
// they have changed since it began.
func (h *health) lost(err error, requests int64, woken <-chan struct{}) {
	h.change(func() {
		kind := refusal(err)
		if !voids(err) {
			kind = free
		}
		h.learn(err, kind, woken)
		h.postpone(err, requests)
	})
}

// spent says what it cost that a server forgot a session soon.
func (h *health) spent(requests int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.charge(requests)
}

// postpone makes everybody wait longer. h is locked.
func (h *health) postpone(err error, requests int64) {
	h.proven = false
	now := time.Now()
	asked, isAsked := quietFor(err)
	if !isAsked { // who asks for time is not dead
		if h.failures++; h.failures == tolerated {
			h.waits = newBackoff(probeWait)
		}
	}
	h.quiet = now.Add(max(asked, h.charge(requests)))
	h.next = now.Add(h.waits.NextBackOff())
	if h.next.Before(h.quiet) {
		h.next = h.quiet
	}
}

// charge takes requests from the budget and returns how long it takes until they are paid. h is locked.
func (h *health) charge(requests int64) time.Duration {
	var wait time.Duration
	now := time.Now()
	for ; requests > 0; requests -= stock {
		wait = h.budget.ReserveN(now, int(min(requests, stock))).DelayFrom(now)
	}
	return wait
}

// lasted says that a session has lasted a while: the server is up. Credentials that another session found refused
// meanwhile stay so.
func (h *health) lasted() {
	h.change(func() {
		if h.held == free {
			h.clear()
			h.proven = true
		}
	})
}

// hurry makes the next attempt come now because a call wants the server, and reports whether the call has
// something to wait for. It has not while the breaker is open, the server is parked or asked for quiet, or was
// tried a moment ago.
func (h *health) hurry() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rouse()
	now := time.Now()
	switch {
	case h.held != free || h.failures >= tolerated || now.Before(h.quiet):
		return false
	case h.trying > 0:
		return true
	case now.Sub(h.tried) < soon:
		return h.next.Sub(now) <= soon
	}
	h.next = now
	close(h.news)
	h.news = make(chan struct{})
	return true
}

// renew ends back-off, breaker and park: a person asked for it, or the credentials are others.
func (h *health) renew() { h.change(h.clear) }

// quietFor returns how long a server asked not to be tried, and whether it did.
func quietFor(err error) (time.Duration, bool) {
	status := statusOf(err)
	switch {
	case status == nil:
		return 0, false
	case status.Code == http.StatusTooManyRequests:
		return min(status.RetryAfter, longQuiet), true
	case status.RetryAfter > 0:
		return min(status.RetryAfter, longQuiet), status.Code == http.StatusServiceUnavailable
	}
	return 0, false
}

// unreachable reports whether a request did not reach the server, or only the gateway in front of it.
func unreachable(err error) bool {
	if status := statusOf(err); status != nil {
		return status.Code == http.StatusBadGateway || status.Code == http.StatusServiceUnavailable ||
			status.Code == http.StatusGatewayTimeout
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

func statusOf(err error) *transport.StatusError {
	status, _ := errors.AsType[*transport.StatusError](err)
	return status
}

// meter counts requests.
type meter struct {
	next     http.RoundTripper
	requests *atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	m.requests.Add(1)
	return m.next.RoundTrip(r)
}

// metered returns the client for one connection: it counts what that costs. A nil client is that of a server
// that is a child, whose start counts as one request.
func metered(client *http.Client, requests *atomic.Int64) *http.Client {
	if client == nil {
		requests.Add(1)
		return nil
	}
	counting := *client
	counting.Transport = &meter{client.Transport, requests}
	return &counting
}
