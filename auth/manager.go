package auth

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/auth/flow"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/auth/wallet"
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
	wallet *wallet.Wallet
	own    *store.Store // to be closed with the Manager; nil when Options had one

	mu      sync.Mutex
	tending bool
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
		clients: map[*Client]struct{}{}, begun: map[string]string{},
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
	m.wallet = wallet.New(wallet.Options{Store: m.opts.Store, Go: m.renewing, Learn: opts.Learn, Log: m.log})
	ctx, m.cancel = context.WithCancel(ctx)
	go m.run(ctx)
	return m
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

// renewing runs a renewal as goes does, and makes the tender look when it has ended.
func (m *Manager) renewing(renewal func(ctx context.Context)) error {
	if !m.goes(func(ctx context.Context) {
		renewal(ctx)
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}) {
		return errClosed
	}
	return nil
}

// errClosed says that the Manager was closed.
var errClosed = errors.New("plait ends")

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

// tend renews tokens that are used, before they expire, and hears of what other processes save.
func (m *Manager) tend(ctx context.Context) {
	changes, err := m.opts.Store.Watch(ctx)
	if err != nil {
		m.log.Warn("does not hear of sign-ins in other processes", "err", err)
	}
	m.follow(ctx)
	timer := time.NewTimer(m.wallet.Tend(ctx))
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
		timer.Reset(m.wallet.Tend(ctx))
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
