package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
	"github.com/plait-mcp/plait/upstream/transport"
)

const (
	maxPages = 1000
	maxItems = 100_000
	listTime = 30 * time.Second
	// cutTries is how often a list is asked for whose connection is cut each time, and cutWait bounds the first pause.
	cutTries = 5
	cutWait  = 100 * time.Millisecond
	// quiet is how long a server must say nothing about a list before it is read again.
	quiet = 50 * time.Millisecond
	// doubt is how long a list that is empty all of a sudden is not believed: then it is asked for again.
	doubt = time.Second
)

// list is what is known of one list of the server. Guarded by Session.mu.
type list struct {
	wanted  bool // a client asked for it
	due     bool // it is to be read
	stale   bool // the server said that it changed
	loading bool // a goroutine reads it
	untold  bool // it is another than before, and not every client knows yet
	loaded  bool // it was read at least once, well or not
	disk    bool // what is known is from the snapshot: the server has not confirmed it
	err     error
	doubt   time.Time // when to ask again, since the server said once that a list with items is empty; else zero
	version uint64    // counts the changes of items

	known
}

// Items is a list as the server sent it.
type Items struct {
	Items    []jsonrpc.Raw
	Frame    jsonrpc.Raw // the rest of the result
	Version  uint64      // another number for other items
	Snapshot bool        // they are from the disk: the server has not confirmed them
}

// Want says that a client needs a list: it is read now if the server is there, else as soon as it is, and
// from then on kept current. A list that could not be read is tried again. An idle session connects for a list
// of which nothing is known. Want does not block.
func (s *Session) Want(l protocol.List) {
	s.mu.Lock()
	k := &s.lists[l]
	k.due = k.due || !k.wanted || k.err != nil
	k.wanted = true
	if k.read.IsZero() && !k.loaded {
		s.rouse()
	}
	s.mu.Unlock()
	s.kick()
}

// Await waits until a list that is wanted is known, from the server or from the snapshot, or cannot be because
// the server is down. By then clients have been told of what List returns.
func (s *Session) Await(ctx context.Context, l protocol.List) error {
	return s.await(ctx, func() bool {
		k := &s.lists[l]
		return !k.read.IsZero() && !k.untold || s.answered(l)
	})
}

// AwaitRead waits until the server has been asked for a list that is wanted, or cannot be because it is down.
func (s *Session) AwaitRead(ctx context.Context, l protocol.List) error {
	return s.await(ctx, func() bool { return s.answered(l) })
}

// Wakes reports whether somebody has signed in to the server a moment ago, and it was not asked for a list yet.
func (s *Session) Wakes(l protocol.List) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.woken && !s.answered(l)
}

// answered reports whether a list was read, or cannot be. The state is locked.
func (s *Session) answered(l protocol.List) bool {
	return s.lists[l].loaded || s.link == nil && s.settled()
}

// unread says why a list that a client wants is not known from the server, which is there. The state is locked.
func (s *Session) unread() error {
	if s.state != Ready && s.state != Idle {
		return nil
	}
	for l := range protocol.Lists {
		switch k := &s.lists[l]; {
		case !k.wanted:
		case k.err != nil:
			return fmt.Errorf("list %s: %w", l.Member(), k.err)
		case !k.loaded:
			return fmt.Errorf("list %s: no answer yet", l.Member())
		}
	}
	return nil
}

// List returns a list as it was read last.
func (s *Session) List(l protocol.List) Items {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := &s.lists[l]
	return Items{k.items, k.frame, k.version, k.disk}
}

// stale says that the server has changed a list.
func (s *Session) stale(l protocol.List) {
	s.mu.Lock()
	s.lists[l].due, s.lists[l].stale = true, true
	s.mu.Unlock()
	s.kick()
}

// kick wakes the supervisor.
func (s *Session) kick() {
	select {
	case s.due <- struct{}{}:
	default:
	}
}

// refresh makes all lists due: there is a new link.
func (s *Session) refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.lists {
		s.lists[l].due = true
	}
}

// readLists reads the lists that are due, in the background.
func (s *Session) readLists(ctx context.Context, link *link) {
	for l := range protocol.Lists {
		if s.take(l) {
			s.work.Go(func() { s.read(ctx, link, l) })
		}
	}
}

// take reports whether a list is to be read now, and marks it as being read.
func (s *Session) take(l protocol.List) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := &s.lists[l]
	due := k.due || !k.doubt.IsZero() && !time.Now().Before(k.doubt)
	if !k.wanted || !due || k.loading {
		return false
	}
	k.due, k.loading = false, true
	return true
}

// read reads a list once. Clients know that it changed before anybody who awaits it goes on.
func (s *Session) read(ctx context.Context, link *link, l protocol.List) {
	defer s.kick()
	got, err := s.fetch(ctx, link, l)
	_, lost := errors.AsType[*transport.SessionLostError](err)
	gone := err != nil && (ctx.Err() != nil || lost || voids(err)) // the next link reads it
	if s.put(l, got, err) {
		s.each(func(c Client) { c.Changed(s, l) })
	}
	var doubted bool
	s.change(func() {
		k := &s.lists[l]
		k.loading, k.untold, doubted = false, false, !k.doubt.IsZero()
		if !gone {
			k.loaded, k.err = true, err
		}
	})
	switch {
	case err == nil && doubted:
		s.log.Warn("a list is empty all of a sudden, the server is asked again", "list", l.Member())
	case err != nil && !gone:
		s.log.Warn("a list could not be read", "list", l.Member(), "err", err)
	}
	if err == nil {
		s.saveSoon(ctx, link)
	}
}

// put keeps a list that was read well and reports whether it is another than before. A list with items that is
// empty now is believed when the server says so twice: some say so before they are ready.
func (s *Session) put(l protocol.List, got Items, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := &s.lists[l]
	if err != nil {
		if !k.doubt.IsZero() {
			k.doubt = time.Now().Add(longWait) // or at the next occasion
		}
		return k.disown()
	}
	if len(got.Items) == 0 && len(k.items) > 0 && k.doubt.IsZero() && !k.inherited() {
		k.doubt = time.Now().Add(doubt)
		return false
	}
	now := known{got.Items, got.Frame, time.Now()}
	k.doubt, k.disk, k.read = time.Time{}, false, now.read
	if k.equal(now) {
		return false
	}
	k.known = s.common.latest.sameList(l, now)
	k.version++
	k.untold = true
	return true
}

// fetch reads a list whose time has come.
func (s *Session) fetch(ctx context.Context, link *link, l protocol.List) (Items, error) {
	if _, ok := jsonrpc.Get(link.capabilities, l.Capability()); !ok {
		return Items{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	if !s.settle(ctx, l) {
		return Items{}, context.Cause(ctx)
	}
	return backoff.Retry(ctx, func() (Items, error) { // to read again does no harm
		got, err := s.drain(ctx, link, l.Method(), l.Member())
		if err != nil && !isCut(err) {
			err = backoff.Permanent(err)
		}
		return got, err
	}, backoff.WithBackOff(newBackoff(cutWait)), backoff.WithMaxTries(cutTries))
}

// isCut reports whether a connection was closed before the answer, as a server or proxy does with one that it takes
// for idle. On a busy machine that may hit several connections, one after the other.
func isCut(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || err != nil && err.Error() == "http: server closed idle connection" // which net/http does not export
}

// Tasks reads the tasks that the server lists.
func (s *Session) Tasks(ctx context.Context) ([]jsonrpc.Raw, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.exit()
	link, err := s.ready(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	got, err := s.drain(ctx, link, protocol.TasksList, "tasks")
	return got.Items, err
}

// drain reads all pages of a list. Nothing that a server does makes it endless: a cursor or a page that comes
// twice is the end, and so are a thousand pages, a hundred thousand items and the end of ctx.
func (s *Session) drain(ctx context.Context, link *link, method, member string) (Items, error) {
	var got Items
	var last, params jsonrpc.Raw
	seen := map[string]bool{}
	for page := 0; page < maxPages && len(got.Items) < maxItems; page++ {
		result, err := s.page(ctx, link, method, params)
		if err != nil || result == nil {
			return got, err
		}
		items, _ := jsonrpc.Get(result, member)
		if page > 0 && bytes.Equal(items, last) {
			break
		}
		last = items
		got.Items = slices.AppendSeq(got.Items, jsonrpc.Elements(items))
		if page == 0 {
			got.Frame = jsonrpc.Delete(jsonrpc.Set(result, jsonrpc.Raw("[]"), member), "nextCursor")
		}
		cursor, ok := jsonrpc.GetString(result, "nextCursor")
		if !ok || cursor == "" {
			return got, nil
		}
		if seen[cursor] {
			break
		}
		seen[cursor] = true
		params = jsonrpc.Set(jsonrpc.Raw("{}"), jsonrpc.Quote(cursor), "cursor")
	}
	s.log.Warn("a list does not end, it was cut", "list", member, "items", len(got.Items))
	return got, nil
}

// page reads one page, nil when the server advertises a list that it does not have.
func (s *Session) page(ctx context.Context, link *link, method string, params jsonrpc.Raw) (jsonrpc.Raw, error) {
	m, err := s.request(ctx, link, method, params)
	if err != nil {
		return nil, err
	}
	if e := m.Error(); e != nil {
		if e.Code == jsonrpc.CodeMethodNotFound {
			return nil, nil
		}
		return nil, fmt.Errorf("%s: %w", method, e)
	}
	return m.Result(), nil
}

// settle waits until the server has said nothing new about a stale list for a moment. It returns false when
// ctx ended.
func (s *Session) settle(ctx context.Context, l protocol.List) bool {
	for {
		s.mu.Lock()
		stale := s.lists[l].stale
		s.lists[l].stale = false
		s.mu.Unlock()
		if !stale {
			return ctx.Err() == nil
		}
		timer := time.NewTimer(quiet)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
}
