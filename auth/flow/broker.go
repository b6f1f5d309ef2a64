package flow

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

// Options are what a Broker needs.
type Options struct {
	// Store holds the sign-ins under way; processes that have one store finish one another's.
	Store *store.Store
	// Callback says where to listen. The zero Callback is 127.0.0.1 with any free port.
	Callback config.Callback
	// Finish exchanges the code of an answer and saves what it brings. The Pending may be one of another process. It
	// may take a minute, and its context ends with the broker. What its error says is shown to a person and told to
	// whoever waits: a *FailedError as it is, any other by its text.
	Finish func(ctx context.Context, p *Pending, code string) error
	// Log tells of answers that are refused; nil is none.
	Log hclog.Logger
}

// Broker listens for the answers of authorization servers while sign-ins are under way. Any goroutine may use it.
type Broker struct {
	store    *store.Store
	callback config.Callback
	finish   func(ctx context.Context, p *Pending, code string) error
	log      hclog.Logger

	stop chan struct{} // closed by Close
	wake chan struct{} // the keeper has something to look at
	kept chan struct{} // closed when the keeper has ended
	once sync.Once

	ports *ports
	odd   oddities

	mu      sync.Mutex
	flows   map[string]*Flow  // under way, by ID: what the keeper looks after
	pages   map[string]int    // ports of the pages of ours, by ID
	targets map[string]target // by redirect URI
}

// NewBroker returns a broker that listens nowhere yet. Its work ends with ctx, or with Close, which has to be called.
func NewBroker(ctx context.Context, o Options) *Broker {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	b := &Broker{
		store: o.Store, callback: o.Callback, finish: o.Finish, log: o.Log,
		stop: make(chan struct{}), wake: make(chan struct{}, 1), kept: make(chan struct{}),
		flows: map[string]*Flow{}, pages: map[string]int{}, targets: map[string]target{},
	}
	b.ports = newPorts(b)
	go b.keep(ctx)
	return b
}

// Close ends the listening: a page that is being answered is still given to the browser, for at most 5 s. Sign-ins
// under way stay so: another process of plait that waits for them takes over.
func (b *Broker) Close() {
	b.once.Do(func() { close(b.stop) })
	<-b.kept
}

// Begin saves p and sees to it that its answer is taken, by this process or by another one that has the port. The
// caller has filled in State (NewState), RedirectURI (from RedirectURI) and AuthorizeURL, which CheckURL must like.
// To look first whether the same is under way already is the caller's part: Find.
func (b *Broker) Begin(ctx context.Context, p *Pending) (*Flow, error) {
	if err := CheckURL(p.AuthorizeURL); err != nil {
		return nil, err
	}
	if p.State == "" {
		return nil, errors.New("a sign-in without a state")
	}
	t, err := b.target(p.RedirectURI)
	if err != nil {
		return nil, err
	}
	p.ID, p.Port, p.Path = id(p.State), t.port, t.path
	if p.Created.IsZero() {
		p.Created = time.Now()
	}
	if p.Expires.IsZero() {
		p.Expires = p.Created.Add(lasting)
	}
	if p.PID == 0 {
		p.PID = os.Getpid()
	}
	b.sweep(ctx)
	r := &record{Pending: *p, Phase: open, Since: p.Created}
	if _, err := b.store.Save(ctx, store.Pending, p.ID, 0, r); err != nil {
		return nil, fmt.Errorf("save the sign-in: %w", err)
	}
	return b.follow(ctx, r), nil
}

// Find returns the sign-in for grantKey that is under way in any process, its code being exchanged included, nil when
// there is none: then what the last one brought is saved. The flow is joined: this process takes the answer when the one
// that began it dies.
func (b *Broker) Find(ctx context.Context, grantKey string) (*Flow, error) {
	keys, err := b.store.List(ctx, store.Pending)
	if err != nil {
		return nil, fmt.Errorf("look for sign-ins under way: %w", err)
	}
	for _, key := range keys {
		r := &record{}
		if _, err := b.store.Load(ctx, store.Pending, key, r); err != nil {
			continue // gone meanwhile, or not readable: then it is not under way
		}
		if _, ended := r.end(); r.Pending.GrantKey == grantKey && !ended {
			return b.follow(ctx, r), nil
		}
	}
	return nil, nil //nolint:nilnil // none is an answer
}

// follow returns the flow of r, of which there is one in a process. Somebody listens for its answer when it returns,
// unless a stranger has the port.
func (b *Broker) follow(ctx context.Context, r *record) *Flow {
	if _, err := b.listen(ctx, r.Pending.Port); err != nil {
		b.log.Debug("cannot listen for the answer of the authorization server", "err", err)
	}
	b.mu.Lock()
	f, ok := b.flows[r.Pending.ID]
	if !ok {
		f = &Flow{
			ID: r.Pending.ID, Created: r.Pending.Created, Expires: r.Pending.Expires, PID: r.Pending.PID,
			broker: b, url: r.Pending.AuthorizeURL, port: r.Pending.Port, done: make(chan struct{}),
		}
		b.flows[f.ID] = f
	}
	b.mu.Unlock()
	b.nudge()
	return f
}

// nudge makes the keeper look.
func (b *Broker) nudge() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// sweep removes what is left of sign-ins whose time is over.
func (b *Broker) sweep(ctx context.Context) {
	keys, err := b.store.List(ctx, store.Pending)
	if err != nil {
		return
	}
	for _, key := range keys {
		r := &record{}
		if _, err := b.store.Load(ctx, store.Pending, key, r); err == nil && time.Now().After(r.Pending.Expires) {
			_ = b.store.Remove(ctx, store.Pending, key)
		}
	}
}

// wanted reports whether a sign-in of any process is under way whose answer comes in on port.
func (b *Broker) wanted(ctx context.Context, port int) bool {
	keys, err := b.store.List(ctx, store.Pending)
	if err != nil {
		return false
	}
	for _, key := range keys {
		r := &record{}
		if _, err := b.store.Load(ctx, store.Pending, key, r); err != nil || r.Pending.Port != port {
			continue
		}
		if r.open() || r.Phase == exchanging && time.Since(r.Since) < stuck {
			return true
		}
	}
	return false
}
