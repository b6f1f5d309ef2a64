package aggregator

import (
	"context"
	"time"

	"github.com/plait-mcp/plait/aggregator/catalog"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// list answers tools/list and its likes: everything on one page, because many clients read only the first.
func (s *Session) list(ctx context.Context, m *jsonrpc.Message) (jsonrpc.Text, error) {
	if err := jsonrpc.CheckMembers(m.Params(), "cursor"); err != nil {
		return nil, invalid(err)
	}
	if _, ok := jsonrpc.Get(m.Params(), "cursor"); ok {
		return nil, jsonrpc.Errorf(jsonrpc.CodeInvalidParams, "unknown cursor: plait gave none")
	}
	l := listOf(m.Method())
	s.want(ctx, l)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	view := s.view()
	items := view.List(l)
	s.mu.Lock()
	s.shown[l] = items
	late := s.catalog != view
	s.mu.Unlock()
	if late { // the change may have been looked at before the client was shown the list
		s.kickOff()
	}
	return jsonrpc.Result(m.ID(), s.frame(l, items)), nil
}

func listOf(method string) protocol.List {
	l := protocol.Tools
	for l.Method() != method {
		l++
	}
	return l
}

// frame puts a list into a result: that of the server if there is only one.
func (s *Session) frame(l protocol.List, items jsonrpc.Raw) jsonrpc.Raw {
	frame := jsonrpc.Raw("{}")
	if servers := s.all(); len(servers) == 1 {
		if f := servers[0].List(l).Frame; f != nil {
			frame = f
		}
	}
	return jsonrpc.Set(frame, items, l.Member())
}

// until looks something up in the catalog until it is there or every server has read the list, see want. It
// waits for no server but those that the look-up needs. The error is that of look.
func (s *Session) until(ctx context.Context, l protocol.List, look func(*catalog.Catalog) error) error {
	if look(s.view()) == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all := make(chan struct{})
	s.start(func() {
		s.want(ctx, l)
		close(all)
	})
	for {
		s.mu.Lock()
		news := s.news
		s.mu.Unlock()
		if look(s.view()) == nil {
			return nil
		}
		select {
		case <-news:
		case <-all:
			return look(s.view())
		case <-s.quit:
			return errGone
		}
	}
}

// want lets every server read a list and waits until all have, or are known to be down. The first request for
// a list decides how long that may take: startup.wait. What comes later is announced by list_changed.
func (s *Session) want(ctx context.Context, l protocol.List) {
	s.mu.Lock()
	if s.waits[l].IsZero() {
		s.waits[l] = time.Now().Add(s.agg.cfg.Startup.Wait)
	}
	until := s.waits[l]
	servers := s.servers
	s.mu.Unlock()
	bounded, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	for _, server := range servers {
		server.Want(l)
	}
	for _, server := range servers {
		_ = server.Await(bounded, l) // too late is as good as down
	}
	if l != protocol.Resources || ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.resolved {
		s.resolved, s.catalog = true, nil
	}
}
