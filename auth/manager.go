package auth

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/auth/flow"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

// Options are what a Manager needs. The zero value works: everything is kept in memory and nothing is logged.
type Options struct {
	// Store keeps what was signed in, for all processes that have the same one. The Manager does not close it. nil is a
	// store in memory.
	Store *store.Store
	Auth  config.Auth
	// Servers returns all servers that are configured now; nil stands for those that have a Client. One sign-in covers
	// all of them that share an identity and an authorization server.
	Servers   func() []*config.Server
	LookupEnv func(string) (string, bool) // nil: no variable is set
	Version   string                      // of plait
	// Learn hears of every secret before it is used, for whoever cleans logs; nil is nobody.
	Learn func(secret string)
	Log   hclog.Logger // nil is none
}

// Manager holds who plait is to each server. Any goroutine may use it.
type Manager struct {
	opts   Options
	log    hclog.Logger
	cancel context.CancelFunc
	jobs   chan func(ctx context.Context) // that the Manager does by itself
	ending chan struct{}                  // closed when it takes none any more
	ended  chan struct{}                  // closed when none is left
	wake   chan struct{}                  // there is something to look at
	own    *store.Store                   // to be closed with the Manager; nil when Options had one

	mu      sync.Mutex
	tending bool
	holders map[string]*holder
	clients map[*Client]struct{}
	begun   map[string]string // keys of the sign-ins that were begun here, by site
	broker  *flow.Broker

	renewals map[string]Renewals // by identity
}

// NewManager returns a Manager. What it does by itself ends with ctx or Close. It waits for nothing, and touches the
// store only when a server asks for OAuth or an identity says so.
func NewManager(ctx context.Context, opts Options) *Manager {
	m := &Manager{
		opts: opts, log: opts.Log,
		jobs: make(chan func(context.Context)), ending: make(chan struct{}), ended: make(chan struct{}), wake: make(chan struct{}, 1),
		holders: map[string]*holder{}, clients: map[*Client]struct{}{}, begun: map[string]string{},
		renewals: map[string]Renewals{},
	}
	if m.log == nil {
		m.log = hclog.NewNullLogger()
	}
	if opts.LookupEnv == nil {
		m.opts.LookupEnv = func(string) (string, bool) { return "", false }
	}
	if opts.Store == nil {
		m.own, _ = store.Open(store.Options{}) // in memory, which never fails
		m.opts.Store = m.own
	}
	ctx, m.cancel = context.WithCancel(ctx)
	go m.run(ctx)
	return m
}

// conceal tells whoever cleans logs of secrets that came from the store: another process may have got them.
func (m *Manager) conceal(secrets []string) {
	for _, s := range secrets {
		if m.opts.Learn != nil && s != "" {
			m.opts.Learn(s)
		}
	}
}

// run starts what the Manager does by itself, until ctx ends, and waits for it.
func (m *Manager) run(ctx context.Context) {
	defer close(m.ended)
	var work sync.WaitGroup
	defer work.Wait()
	defer close(m.ending)
	for {
		select {
		case job := <-m.jobs:
			work.Go(func() { job(ctx) })
		case <-ctx.Done():
			return
		}
	}
}

// Close ends what the Manager does by itself and waits for it: a token that is being renewed is still saved, which takes
// half a minute at most. The clients may not be used any more.
func (m *Manager) Close() {
	m.mu.Lock()
	broker := m.broker
	m.mu.Unlock()
	if broker != nil {
		broker.Close()
	}
	m.cancel()
	<-m.ended
	if m.own != nil {
		_ = m.own.Close()
	}
}

// goes runs f in a goroutine that Close waits for. It is false when the Manager was closed.
func (m *Manager) goes(f func(ctx context.Context)) bool {
	select {
	case m.jobs <- f:
		return true
	case <-m.ending:
		return false
	}
}

// nudge makes the tender look.
func (m *Manager) nudge() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// attend starts the tender, once something is there to be looked after.
func (m *Manager) attend() {
	m.mu.Lock()
	started := m.tending
	m.tending = true
	m.mu.Unlock()
	if !started {
		m.goes(m.tend)
	}
}

const (
	// look is how often grants are looked at even when nothing happened: a timer stands still while a computer sleeps,
	// and the tokens expire all the same.
	look = 30 * time.Second
	// again is how soon what could not be saved is written again.
	again = 5 * time.Second
)

// tend renews tokens that are used, before they expire, and hears of what other processes save.
func (m *Manager) tend(ctx context.Context) {
	changes, err := m.opts.Store.Watch(ctx)
	if err != nil {
		m.log.Warn("does not hear of sign-ins in other processes", "err", err)
	}
	m.follow(ctx)
	timer := time.NewTimer(look)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changes:
			m.follow(ctx)
		case <-m.wake:
		case <-timer.C:
			m.followBlocked(ctx)
		}
		timer.Reset(m.renewDue(ctx))
	}
}

// follow takes over what the store has now.
func (m *Manager) follow(ctx context.Context) {
	for _, c := range m.all() {
		c.follow(ctx)
	}
}

// followBlocked does so for the clients that wait for something: what told of it may have been lost, or the store could
// not be read when it came.
func (m *Manager) followBlocked(ctx context.Context) {
	for _, c := range m.all() {
		if c.isBlocked() {
			c.follow(ctx)
		}
	}
}

// all returns the clients there are now.
func (m *Manager) all() []*Client {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.clients))
}

// renewDue starts to renew the tokens that are due and writes what is unsaved. It returns when to look again.
func (m *Manager) renewDue(ctx context.Context) time.Duration {
	m.mu.Lock()
	holders := make([]*holder, 0, len(m.holders))
	for _, h := range m.holders {
		holders = append(holders, h)
	}
	m.mu.Unlock()
	now, next := time.Now(), look
	for _, h := range holders {
		at, unsaved := h.tend(now)
		if unsaved {
			h.save(ctx)
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
func (h *holder) tend(now time.Time) (next time.Time, unsaved bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rec == nil || now.Sub(h.used) > watched {
		return time.Time{}, h.unsaved
	}
	for resource, d := range h.due {
		t := h.rec.Tokens[resource]
		if d.at.IsZero() || t == nil || t.Access != d.token || !h.renewable(resource) {
			continue
		}
		at := d.at
		if at.Before(h.until) {
			at = h.until
		}
		if now.Before(at) {
			if next.IsZero() || at.Before(next) {
				next = at
			}
			continue
		}
		h.start(resource, t.Access)
	}
	return next, h.unsaved
}

// renewable reports whether a token can be had without a person. h is locked.
func (h *holder) renewable(resource string) bool {
	at, used := h.stops[resource]
	return used && h.rec.State == valid && (h.rec.Refresh != "" || h.rec.ID != "" || at.site.isMachine())
}
