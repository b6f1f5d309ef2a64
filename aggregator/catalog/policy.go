package catalog

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// maxJudged bounds the names that rules are tried on: a longer one is hidden.
const maxJudged = 16 << 10

// HiddenError says that the configuration hides an item. It is for logs and people at this end: a client is told
// what it would be told of a name that does not exist.
type HiddenError struct {
	Kind   Kind
	Server string
	Name   string // the server's own
	Rule   string // which rule hides it
	Pos    config.Pos
}

// Error implements error.
func (e *HiddenError) Error() string {
	return fmt.Sprintf("%s %s of %s is hidden: %s", e.Kind, e.Name, e.Server, e.Rule)
}

// policy is what the configuration lets be seen of the items of one kind. An item is shown when all rules allow it;
// later ones win where they change it. It is empty when there are no rules.
type policy []rules

// rules are those of a server, or of the profile.
type rules struct {
	config.Rules

	of string // for a person: whose they are
}

// verdict is why an item is not shown.
type verdict struct {
	rule string
	pos  config.Pos
}

// policies returns the rules for each kind. Templates live by those of resources.
func policies(s *config.Server) [kinds]policy {
	var all [kinds]policy
	add := func(k Kind, r config.Rules, of string) {
		if k != Tools {
			r.ReadOnly = false
		}
		if len(r.Allow)+len(r.Deny)+len(r.Rename)+len(r.Override) > 0 || r.ReadOnly {
			all[k] = append(all[k], rules{r, of})
		}
	}
	add(Tools, s.Tools, "")
	add(Tools, s.Profile.Tools, " of the profile")
	add(Prompts, s.Prompts, "")
	add(Prompts, s.Profile.Prompts, " of the profile")
	add(Resources, s.Resources, "")
	add(Resources, s.Profile.Resources, " of the profile")
	all[Templates] = all[Resources]
	return all
}

// Restricts reports whether there are rules for a kind of items of a server. Without, every name is let through.
func (n *Namer) Restricts(serverName string, k Kind) bool {
	s := n.byName[serverName]
	return s == nil || len(s.policy[k]) > 0
}

// Permits returns nil, or a *HiddenError when the rules of allow and deny hide an item of a server, whether it is
// listed or not. It goes by the server's own name; a URI is hidden in every way to write it. Any goroutine may call it.
func (n *Namer) Permits(serverName string, k Kind, original string) error {
	s := n.byName[serverName]
	if s == nil {
		return &HiddenError{Kind: k, Server: serverName, Name: original, Rule: "the server is not configured"}
	}
	if v := s.policy[k].judge(k, original); v != nil {
		return &HiddenError{Kind: k, Server: serverName, Name: original, Rule: v.rule, Pos: v.pos}
	}
	return nil
}

// judge returns why a name is not shown, nil when it is.
func (p policy) judge(k Kind, name string) *verdict {
	if len(p) == 0 {
		return nil
	}
	if len(name) > maxJudged {
		return &verdict{rule: fmt.Sprintf("longer than %d bytes, and there are rules", maxJudged)}
	}
	denied, allowed := []string{name}, [][]string{{name}}
	if k == Resources || k == Templates {
		denied, allowed = uriForms(name)
	}
	for _, r := range p {
		for _, g := range r.Deny {
			if slices.ContainsFunc(denied, g.MatchFold) {
				return &verdict{fmt.Sprintf("denied by %q%s", g.Text, r.of), g.Pos}
			}
		}
		if len(r.Allow) == 0 {
			continue
		}
		for _, ways := range allowed {
			if !slices.ContainsFunc(r.Allow, func(g config.Glob) bool { return slices.ContainsFunc(ways, g.Match) }) {
				return &verdict{"not in allow" + r.of, r.Places["allow"]}
			}
		}
	}
	return nil
}

// judgeItem is judge for an item that is listed, whose text has the overrides already: what the person who writes
// the file says of a tool counts more than what the server says.
func (p policy) judgeItem(k Kind, name string, text jsonrpc.Raw) *verdict {
	if v := p.judge(k, name); v != nil {
		return v
	}
	for _, r := range p {
		if !r.ReadOnly {
			continue
		}
		hint, ok := jsonrpc.Get(text, "annotations", "readOnlyHint")
		switch {
		case string(hint) == "true":
		case ok && string(hint) != "null":
			return &verdict{"not read-only" + r.of, r.Places["readOnly"]}
		case r.Unannotated != "show":
			return &verdict{"does not say whether it is read-only" + r.of, r.Places["readOnly"]}
		}
	}
	return nil
}

// readOnly reports whether it takes more than its name to decide about a tool.
func (p policy) readOnly() bool {
	return slices.ContainsFunc(p, func(r rules) bool { return r.ReadOnly })
}

// rename returns the name that an item gets its exposed name from.
func (p policy) rename(name string) string {
	own := name
	for _, r := range p {
		if to, ok := r.Rename[name]; ok {
			own = to
		}
	}
	return own
}

// check returns an error when two readers could take different values from what rules decide by, or change.
func (p policy) check(k Kind, name string, text jsonrpc.Raw) error {
	if len(p) == 0 {
		return nil
	}
	if k != Tools {
		return jsonrpc.CheckMembers(text, nameMember(k))
	}
	if err := jsonrpc.CheckMembers(text, "name", "title", "description", "annotations"); err != nil {
		return err
	}
	hints := []string{"readOnlyHint", "title"}
	for _, r := range p {
		hints = slices.AppendSeq(hints, maps.Keys(r.Override[name].Annotations))
	}
	annotations, _ := jsonrpc.Get(text, "annotations")
	return jsonrpc.CheckMembers(annotations, hints...)
}

// override returns the text of a tool with what the rules say instead of the server.
func (p policy) override(name string, text jsonrpc.Raw) jsonrpc.Raw {
	for _, r := range p {
		o, ok := r.Override[name]
		if !ok {
			continue
		}
		if o.Title != nil {
			text = jsonrpc.Set(text, jsonrpc.Quote(*o.Title), "title")
		}
		if o.Description != nil {
			text = jsonrpc.Set(text, jsonrpc.Quote(*o.Description), "description")
		}
		for _, key := range slices.Sorted(maps.Keys(o.Annotations)) {
			if value, err := json.Marshal(o.Annotations[key]); err == nil {
				text = jsonrpc.Set(text, value, "annotations", key)
			}
		}
	}
	return text
}

// changes tells what rename and override do to an item, each with its place.
func (p policy) changes(name string) []string {
	var all []string
	for _, r := range p {
		tell := func(place, format string, args ...any) {
			text := fmt.Sprintf(format, args...)
			if at := r.Places[place]; at.Line > 0 {
				text += " (" + at.String() + ")"
			}
			all = append(all, text)
		}
		if to, ok := r.Rename[name]; ok {
			tell("rename."+name, "renamed to %s%s", to, r.of)
		}
		o := r.Override[name]
		if o.Title != nil {
			tell("override."+name, "title overridden%s", r.of)
		}
		if o.Description != nil {
			tell("override."+name, "description overridden%s", r.of)
		}
		for _, key := range slices.Sorted(maps.Keys(o.Annotations)) {
			tell("override."+name, "annotations.%s overridden%s", key, r.of)
		}
	}
	return all
}
