package aggregator

import (
	"slices"

	"github.com/plait-mcp/plait/upstream/protocol"
)

// Names returns the names, URIs and templates that the first client is shown, sorted; nil while there is no client.
func (a *Aggregator) Names() []string {
	for _, s := range a.clients() {
		v := s.now.Load()
		if !v.begun() {
			continue
		}
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
