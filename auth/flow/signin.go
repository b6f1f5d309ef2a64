package flow

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/plait-mcp/plait/auth/store"
)

// pages are the records of pages that list identities.
const pages store.Kind = "pages"

// pageLasts is how long a page may be left alone by the process that made it.
const pageLasts = time.Hour

// EntryState is how far the sign-in of an identity is.
type EntryState string

// The states of an entry.
const (
	Preparing EntryState = "preparing" // it is being found out where to sign in
	Waiting   EntryState = "waiting"   // for the person: Flow is what to go through
	Running   EntryState = "running"   // plait signs in by itself
	SignedIn  EntryState = "signed in"
	Unneeded  EntryState = "unneeded" // there is nothing to sign in to
	Failed    EntryState = "failed"
)

// Entry is an identity on the page of all.
type Entry struct {
	Identity   string
	Servers    []string
	Issuer     string // those of one issuer stand together, so that a person signs in there once
	AuthServer string // the host of the issuer, "" while it is not known
	State      EntryState
	Flow       string // the ID of the flow when State is Waiting
	Detail     string // what there is to say besides, such as why it failed
}

// list is what the store has of a page.
type list struct {
	ID      string
	Port    int
	Expires time.Time
	Entries []Entry
	Shown   string // a digest of what the browser was shown last, "" before it came
}

// Page is the page of `plait auth login --all`: every identity with its state, signed in to one after the other in one
// tab. Any process of plait that has the port shows it. Any goroutine may use it; the owner closes it.
type Page struct {
	broker *Broker
	id     string
	port   int
}

// NewPage returns a page with the entries. It is shown until Close, or an hour after its last Set.
func (b *Broker) NewPage(ctx context.Context, entries []Entry) (*Page, error) {
	uri, err := b.RedirectURI(ctx, Redirect{AnyPort: true})
	if err != nil {
		return nil, err
	}
	t, err := b.target(uri)
	if err != nil {
		return nil, err
	}
	b.sweepPages(ctx)
	name := make([]byte, idLength/2)
	_, _ = rand.Read(name) // it never fails
	p := &Page{broker: b, id: hex.EncodeToString(name), port: t.port}
	l := &list{ID: p.id, Port: p.port, Expires: time.Now().Add(pageLasts), Entries: slices.Clone(entries)}
	if _, err := b.store.Save(ctx, pages, p.id, 0, l); err != nil {
		return nil, fmt.Errorf("save the page: %w", err)
	}
	b.mu.Lock()
	b.pages[p.id] = p.port
	b.mu.Unlock()
	b.nudge()
	return p, nil
}

// Link returns the address of the page.
func (p *Page) Link() string { return p.broker.link(p.port, "signin/"+p.id) }

// Set replaces the entry of the same identity, or adds one.
func (p *Page) Set(ctx context.Context, e Entry) error {
	return p.broker.changeList(ctx, p.id, func(l *list) {
		l.Expires = time.Now().Add(pageLasts)
		i := slices.IndexFunc(l.Entries, func(o Entry) bool { return o.Identity == e.Identity })
		if i < 0 {
			l.Entries = append(l.Entries, e)
			return
		}
		l.Entries[i] = e
	})
}

// Close takes the page away. A browser that has it open is given 3 s to see how everything ended.
func (p *Page) Close(ctx context.Context) error {
	p.broker.awaitShown(ctx, p.id)
	p.broker.mu.Lock()
	delete(p.broker.pages, p.id)
	p.broker.mu.Unlock()
	p.broker.nudge()
	return p.broker.store.Remove(ctx, pages, p.id)
}

// parting is how long a page is still shown after its end.
const parting = 3 * time.Second

// awaitShown waits until the browser was shown the page as it is, if it ever was.
func (b *Broker) awaitShown(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, parting)
	defer cancel()
	tick := time.NewTicker(takeover / 5)
	defer tick.Stop()
	for {
		l, err := b.list(ctx, name)
		if err != nil || l.Shown == "" || l.Shown == b.view(ctx, l).digest() {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// list returns the record of a page, ErrStale when there is none.
func (b *Broker) list(ctx context.Context, name string) (*list, error) {
	l := &list{}
	_, err := b.store.Load(ctx, pages, name, l)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && time.Now().After(l.Expires):
		return nil, ErrStale
	case err != nil:
		return nil, fmt.Errorf("look for the page: %w", err)
	}
	return l, nil
}

// changeList changes the record of a page, however many others do the same.
func (b *Broker) changeList(ctx context.Context, name string, change func(*list)) error {
	for {
		l := &list{}
		generation, err := b.store.Load(ctx, pages, name, l)
		if err != nil {
			return err
		}
		change(l)
		if _, err = b.store.Save(ctx, pages, name, generation, l); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// sweepPages removes pages whose processes have died.
func (b *Broker) sweepPages(ctx context.Context) {
	names, err := b.store.List(ctx, pages)
	if err != nil {
		return
	}
	for _, name := range names {
		if _, err := b.list(ctx, name); errors.Is(err, ErrStale) {
			_ = b.store.Remove(ctx, pages, name)
		}
	}
}
