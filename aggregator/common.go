package aggregator

import (
	"slices"

	"github.com/plait-mcp/plait/aggregator/catalog"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// common is what catalogs were made of last. Most servers list the same to all clients, and then those share one
// catalog: sessions with a server share the memory of lists that are the same.
type common struct {
	fragments map[string]fragment // by server
	parts     []*catalog.Fragment
	pins      *catalog.Pins
	made      *catalog.Catalog // of parts and pins, nil before the first
}

// fragment is the part of a server, and what it was made of.
type fragment struct {
	*catalog.Fragment

	namer *catalog.Namer
	lists [protocol.Lists]upstream.Items
}

// commonOf returns what the clients of a profile have in common. The state is locked.
func (a *Aggregator) commonOf(profile string) *common {
	c := a.common[profile]
	if c == nil {
		c = &common{fragments: map[string]fragment{}}
		a.common[profile] = c
	}
	return c
}

// fragment returns the part of a server that lists this.
func (a *Aggregator) fragment(v *view, server string, lists [protocol.Lists]upstream.Items) *catalog.Fragment {
	n, profile := v.namer, v.session.visitor.Profile
	a.mu.Lock()
	have := a.commonOf(profile).fragments[server]
	a.mu.Unlock()
	if have.namer == n && have.isOf(lists) {
		return have.Fragment
	}
	made := n.Fragment(server, catalog.Lists{
		Tools: lists[protocol.Tools].Items, Prompts: lists[protocol.Prompts].Items,
		Resources: lists[protocol.Resources].Items, Templates: lists[protocol.Templates].Items,
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.commonOf(profile).fragments[server] = fragment{made, n, lists}
	return made
}

// isOf reports whether the part was made of these lists.
func (f *fragment) isOf(lists [protocol.Lists]upstream.Items) bool {
	for l := range lists {
		if !isSame(f.lists[l].Items, lists[l].Items) {
			return false
		}
	}
	return true
}

// isSame reports whether two lists are one in the memory.
func isSame(a, b []jsonrpc.Raw) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// catalog returns the catalog of some parts. It is the last one if nothing else would come of them: also with the
// pins that came of itself.
func (c *common) catalog(n *catalog.Namer, parts []*catalog.Fragment, pins *catalog.Pins) *catalog.Catalog {
	if c.made != nil && c.made.Of(n) && slices.Equal(c.parts, parts) && (pins == c.pins || pins == c.made.Pins()) {
		return c.made
	}
	c.parts, c.pins, c.made = parts, pins, catalog.Build(n, parts, pins)
	return c.made
}
