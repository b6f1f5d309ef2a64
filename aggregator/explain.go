package aggregator

import (
	"context"
	"slices"

	"github.com/plait-mcp/plait/aggregator/catalog"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// witness returns the first client that sees the servers, of the profile of the configuration if any does; nil while
// there is none.
func (a *Aggregator) witness() *Session {
	var first *Session
	for _, s := range a.clients() {
		switch {
		case !s.now.Load().begun():
		case s.visitor.Profile == "":
			return s
		case first == nil:
			first = s
		}
	}
	return first
}

// Explain says what became of the items that have a name, as the first client sees them: see
// catalog.Catalog.Explain. It waits for servers that have not listed theirs yet, startup.wait at most. While there is
// no client nothing is known but rules.
func (a *Aggregator) Explain(ctx context.Context, name string) []catalog.Explanation {
	if s := a.witness(); s != nil {
		for l := range protocol.Lists {
			s.want(ctx, l, (*upstream.Session).Await)
		}
		return s.now.Load().catalog().Explain(name)
	}
	return catalog.Build(a.now.Load().namer, nil, nil).Explain(name)
}

// Names returns the names, URIs and templates that the first client is shown, sorted; nil while there is no client.
func (a *Aggregator) Names() []string {
	if s := a.witness(); s != nil {
		v := s.now.Load()
		var names []string
		for l := range protocol.Lists {
			for entry := range v.catalog().Entries(l) {
				names = append(names, entry.Exposed)
			}
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	return nil
}
