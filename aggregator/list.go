package aggregator

import (
	"context"
	"time"

	"github.com/plait-mcp/plait/aggregator/catalog"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// list answers tools/list and its likes: everything on one page, because many clients read only the first.
func (s *Session) list(ctx context.Context, _ *view, m *jsonrpc.Message) (jsonrpc.Text, error) {
	if err := jsonrpc.CheckMembers(m.Params(), "cursor"); err != nil {
		return nil, invalid(err)
	}
	if _, ok := jsonrpc.Get(m.Params(), "cursor"); ok {
		return nil, jsonrpc.Errorf(jsonrpc.CodeInvalidParams, "unknown cursor: plait gave none")
	}
	l := listOf(m.Method())
	v := s.want(ctx, l, (*upstream.Session).Await)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	v.awaitLogin(ctx, l)
	items := v.list(l)
	s.mu.Lock()
	s.shown[l] = items
	s.mu.Unlock()
	if s.now.Load() != v { // the change may have been looked at before the client was shown the list
		s.kickOff()
	}
	return jsonrpc.Result(m.ID(), v.frame(l, items)), nil
}

func listOf(method string) protocol.List {
	l := protocol.Tools
	for l.Method() != method {
		l++
	}
	return l
}

// frame puts a list into a result: that of the server if there is only one.
func (v *view) frame(l protocol.List, items jsonrpc.Raw) jsonrpc.Raw {
	frame := jsonrpc.Raw("{}")
	if len(v.servers) == 1 {
		f := v.servers[0].List(l).Frame
		if f != nil && (!v.restricts(v.servers[0], l) || jsonrpc.CheckMembers(f, l.Member()) == nil) {
			frame = f
		}
	}
	return jsonrpc.Set(frame, items, l.Member())
}

// until looks something up in a view, and in newer ones until it is there or every server has read the list, see
// want. It waits for no server but those that the look-up needs. It returns the view that it looked in last; the
// error is that of look.
func (s *Session) until(ctx context.Context, v *view, l protocol.List, look func(*catalog.Catalog) error) (*view, error) {
	if look(v.catalog()) == nil {
		return v, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all := make(chan *view, 1)
	s.start(func() { all <- s.want(ctx, l, (*upstream.Session).AwaitRead) })
	for {
		v = s.now.Load()
		if look(v.catalog()) == nil {
			return v, nil
		}
		select {
		case <-v.old:
		case v = <-all:
			v = s.awaitWaking(ctx, v, l)
			return v, look(v.catalog())
		case <-s.life().Done():
			return v, errGone
		}
	}
}

// awaitWaking waits for servers that somebody has just signed in to until they have listed what they have: whoever did
// that will use them at once. It takes no longer than startup.wait, and returns the latest view.
func (s *Session) awaitWaking(ctx context.Context, v *view, l protocol.List) *view {
	bounded, cancel := context.WithTimeout(ctx, v.cfg.Startup.Wait)
	defer cancel()
	for _, server := range v.servers {
		if server.Wakes(l) {
			_ = server.AwaitRead(bounded, l) // too late is as good as down
		}
	}
	return s.now.Load()
}

// awaiter is how a server is waited for.
type awaiter func(*upstream.Session, context.Context, protocol.List) error

// want lets every server read a list and waits for each: by Await until the list is known, by AwaitRead until the
// server has confirmed it. A server that is down is not waited for. The first request for a list decides how long
// that may take: startup.wait. What comes later is announced by list_changed. It returns the view that it waited
// for.
func (s *Session) want(ctx context.Context, l protocol.List, wait awaiter) *view {
	for {
		v, until := s.wanted(l)
		bounded, cancel := context.WithDeadline(ctx, until)
		for _, server := range v.servers {
			server.Want(l)
		}
		for _, server := range v.servers {
			_ = wait(server, bounded, l) // too late is as good as down
		}
		cancel()
		if now := s.had(ctx, v, l); now != nil {
			return now
		}
	}
}

// had notes that all servers of a view have listed what they have, or had the time to, and returns the latest view,
// nil when that has other servers.
func (s *Session) had(ctx context.Context, v *view, l protocol.List) *view {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now.Load()
	if now.generation != v.generation && ctx.Err() == nil {
		return nil
	}
	if l == protocol.Resources && ctx.Err() == nil && !now.resolved {
		return s.replace(func(next *view) { next.resolved = true })
	}
	return now
}

// wanted returns the servers that a list is wanted of, and how long it may take.
func (s *Session) wanted(l protocol.List) (*view, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.now.Load()
	if s.waits[l].IsZero() {
		s.waits[l] = time.Now().Add(v.cfg.Startup.Wait)
	}
	return v, s.waits[l]
}
