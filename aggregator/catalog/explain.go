package catalog

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// Explanation says what became of one item of a server.
type Explanation struct {
	Kind     Kind
	Server   string
	Original string     // the server's name for it, its URI or template
	Exposed  string     // what a client calls it; "" when it is not shown
	Shown    bool       //
	Reason   string     // why it is shown or not, for a person
	Pos      config.Pos // of the rule that decided; zero for none
	Changes  []string   // what was changed in it, for a person
}

// Explain returns what became of the items that have a name: an exposed one or the server's own, a URI, an alias of
// one or a template, in the order of the configuration. Of a URI that nobody lists it says who would be asked for it.
func (c *Catalog) Explain(name string) []Explanation {
	var all []Explanation
	for _, p := range c.parts {
		for k := range kinds {
			all = append(all, c.explainShown(p, k, name)...)
			for _, h := range p.sections[k].hidden {
				if h.name == name || h.name != "" && c.namer.wouldBe(p.server, k, h.name) == name {
					all = append(all, Explanation{Kind: k, Server: p.server.name, Original: h.name, Reason: h.rule, Pos: h.pos})
				}
			}
		}
	}
	if len(all) == 0 && scheme(name) != "" {
		return c.explainUnlisted(name)
	}
	return all
}

// wouldBe returns the exposed name that a hidden item would have if it met no other.
func (n *Namer) wouldBe(s *server, k Kind, name string) string {
	own := s.policy[k].rename(name)
	if k == Resources || k == Templates || n.passthrough {
		return own
	}
	whole, fault := s.plain(own, n.limitOf(k))
	if fault == fits {
		return whole
	}
	return s.hashed(own, name, hashSpace{n.limitOf(k), hashLength})
}

func (c *Catalog) explainShown(p *part, k Kind, name string) []Explanation {
	var all []Explanation
	for i := range p.sections[k].items {
		was := &p.sections[k].items[i]
		it := p.at(place{k, i})
		if was.Name != name && was.Exposed != name && was.own != name && (it == nil || it.Exposed != name) {
			continue
		}
		e := Explanation{Kind: k, Server: p.server.name, Original: was.Name, Changes: c.changes(p, k, was, it)}
		if it == nil {
			e.Reason = "left out"
			e.Reason = cmp.Or(strings.Join(e.Changes, "; "), e.Reason)
			e.Changes = nil
		} else {
			e.Shown, e.Exposed, e.Reason = true, it.Exposed, "no rule hides it"
			if len(p.server.policy[k]) > 0 {
				e.Reason = "its rules allow it"
			}
		}
		all = append(all, e)
	}
	return all
}

// changes tells what differs between an item as the server has it, and as it is shown.
func (c *Catalog) changes(p *part, k Kind, was, now *item) []string {
	all := p.server.policy[k].changes(was.Name)
	if now != nil {
		all = append(all, c.nameChange(p.server, k, now)...)
		if k == Tools && !sameText(was, now) && was.Exposed == now.Exposed {
			all = append(all, "metadata: URIs by their alias")
		}
	}
	for _, w := range c.warnings {
		if w.Server == p.server.name && w.Kind == k && w.Item == was.Name {
			all = append(all, w.Problem)
		}
	}
	return all
}

func sameText(a, b *item) bool { return string(a.text) == string(b.text) }

// nameChange tells how the exposed name was made.
func (c *Catalog) nameChange(s *server, k Kind, it *item) []string {
	switch {
	case k == Resources && it.Exposed != it.Name:
		return []string{"uri: an alias, because another server has it"}
	case k == Resources, k == Templates, c.namer.passthrough:
		return nil
	}
	whole, fault := s.plain(it.own, c.namer.limitOf(k))
	if it.Exposed == whole {
		if s.prefix == "" {
			return nil
		}
		return []string{fmt.Sprintf("name: prefix %q", s.prefix)}
	}
	all := []string{fmt.Sprintf("name: hashed: %s", cmp.Or(fault, alike))}
	if title, _ := jsonrpc.GetString(it.text, "title"); title == firstRunes(it.own, maxTitle) {
		all = append(all, "title: its own name, unless it was that before")
	}
	return all
}

// explainUnlisted tells who would be asked for a URI.
func (c *Catalog) explainUnlisted(uri string) []Explanation {
	var all []Explanation
	found := c.resolve(uri)
	for _, s := range c.namer.servers {
		original := uri
		i := slices.IndexFunc(found.Targets, func(t Target) bool { return t.Server == s.name })
		if i >= 0 {
			original = found.Targets[i].URI
		}
		e := Explanation{Kind: Resources, Server: s.name, Original: original}
		switch v := s.policy[Resources].judge(Resources, original); {
		case v != nil:
			e.Reason, e.Pos = v.rule, v.pos
		case i >= 0:
			e.Reason = fmt.Sprintf("in no list, and would be asked for here (%s)", found.Step)
		default:
			continue
		}
		all = append(all, e)
	}
	return all
}

// Count returns how many items of a kind a server lists, and how many of them are shown.
func (c *Catalog) Count(serverName string, k Kind) (shown, all int) {
	for _, p := range c.parts {
		if p.server.name != serverName {
			continue
		}
		shown, all = len(p.sections[k].items), p.sections[k].all
		for _, it := range p.changed[k] {
			if it == nil {
				shown--
			}
		}
	}
	return shown, all
}

// Permits is Namer.Permits with what is known from the lists: it also returns an error for a tool that is hidden
// because of what it says of itself, and, where that decides, for one that is not listed.
func (c *Catalog) Permits(serverName string, k Kind, original string) error {
	err := c.namer.Permits(serverName, k, original)
	if err != nil || k == Resources || k == Templates || !c.namer.Restricts(serverName, k) {
		return err
	}
	hidden := &HiddenError{Kind: k, Server: serverName, Name: original}
	for _, p := range c.parts {
		if p.server.name != serverName {
			continue
		}
		for _, h := range p.sections[k].hidden {
			if h.name == original {
				hidden.Rule, hidden.Pos = h.rule, h.pos
			}
		}
		if slices.ContainsFunc(p.sections[k].items, func(it item) bool { return it.Name == original }) {
			return nil
		}
	}
	if hidden.Rule == "" && c.namer.byName[serverName].policy[k].readOnly() {
		hidden.Rule = "not listed, and only read-only tools are shown"
	}
	if hidden.Rule == "" {
		return nil
	}
	return hidden
}
