package aggregator

import (
	"github.com/plait-mcp/plait/aggregator/catalog"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// part is what one server contributes to the catalog, and the versions of the lists that it was made from.
type part struct {
	fragment *catalog.Fragment
	versions [protocol.Lists]uint64
}

// view returns the catalog of what the servers have listed so far. It is built when something changed.
func (s *Session) view() *catalog.Catalog {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.catalog == nil {
		fragments := make([]*catalog.Fragment, len(s.servers))
		for i, server := range s.servers {
			fragments[i] = s.fragment(server)
		}
		s.catalog = s.agg.build(fragments, s.resolved)
	}
	return s.catalog
}

// fragment returns the part of a server, made anew when one of its lists changed.
func (s *Session) fragment(server *upstream.Session) *catalog.Fragment {
	var lists [protocol.Lists]upstream.Items
	var versions [protocol.Lists]uint64
	for l := range protocol.Lists {
		lists[l] = server.List(l)
		versions[l] = lists[l].Version
	}
	if have, ok := s.parts[server]; ok && have.versions == versions {
		return have.fragment
	}
	fragment := s.agg.namer.Fragment(server.Name(), catalog.Lists{
		Tools: lists[protocol.Tools].Items, Prompts: lists[protocol.Prompts].Items,
		Resources: lists[protocol.Resources].Items, Templates: lists[protocol.Templates].Items,
	})
	s.parts[server] = part{fragment, versions}
	return fragment
}

// build makes a catalog. Of a complete one it remembers who owns which URI: before, the fastest server would
// own what several have, and not the first in the configuration. What is wrong with an item is said once.
func (a *Aggregator) build(fragments []*catalog.Fragment, complete bool) *catalog.Catalog {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := catalog.Build(a.namer, fragments, a.pins)
	if complete {
		a.pins = c.Pins()
	}
	for _, w := range c.Warnings() {
		if !a.warned[w] {
			a.warned[w] = true
			a.log.Warn("an item of a list is not as it should be", "server", w.Server, "list", w.Kind.String(),
				"item", w.Item, "problem", w.Problem)
		}
	}
	return c
}

// Changed notes that a list of a server changed (upstream.Client).
func (s *Session) Changed(server *upstream.Session, _ protocol.List) {
	s.agg.remember(server)
	s.mu.Lock()
	s.catalog = nil
	close(s.news)
	s.news = make(chan struct{})
	s.mu.Unlock()
	s.kickOff()
}

// kickOff has announce look at the lists.
func (s *Session) kickOff() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}
