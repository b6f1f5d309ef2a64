package aggregator

import (
	"slices"

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
