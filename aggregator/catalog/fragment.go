package catalog

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// Lists are the items of a server's lists as it sent them, checked JSON.
type Lists struct {
	Tools, Prompts, Resources, Templates []jsonrpc.Raw
}

// Fragment is what one server contributes to a catalog. It depends on the configuration and on the server's lists
// only, so that it is made once and used until one of the lists changes. It keeps nothing of the lists' memory.
type Fragment struct {
	server   *server
	sections [kinds]section
	claims   []claim         // URIs of resources and of tools' metadata, each once
	claimed  map[string]bool // their normalised form
	refs     []ref
	patterns []*pattern
	routes   []string // templates that lead to the server, shown or hidden
	warnings []Warning
}

// section is one list of a fragment.
type section struct {
	text  []byte // the items, with commas between
	items []item // in the order of the server

	all    int      // how many the server lists
	hidden []hidden // those that are not among items
}

// hidden is an item that is not shown.
type hidden struct {
	name string // the server's; "" when it has none
	verdict
}

// claim is a URI that the server lists.
type claim struct {
	uri string
	key string // normalised
}

// ref is a URI in the metadata of a tool.
type ref struct {
	tool int // index in the section of tools
	path []string
	key  string
}

// Fragment prepares the lists of a server. It returns nil for a server that is not configured.
func (n *Namer) Fragment(serverName string, lists Lists) *Fragment {
	s := n.byName[serverName]
	if s == nil {
		return nil
	}
	f := &Fragment{server: s, claimed: map[string]bool{}}
	all := [kinds][]jsonrpc.Raw{
		Tools: lists.Tools, Prompts: lists.Prompts, Resources: lists.Resources, Templates: lists.Templates,
	}
	for k, list := range all {
		f.add(n, Kind(k), list)
	}
	f.claimResources()
	for _, template := range f.routes {
		p, err := parsePattern(template)
		if err != nil {
			f.warn(Templates, template, fmt.Sprintf("matches no URI: %v", err))
			continue
		}
		f.patterns = append(f.patterns, p)
	}
	return f
}

func (f *Fragment) warn(k Kind, item, problem string) {
	f.warnings = append(f.warnings, Warning{Server: f.server.name, Kind: k, Item: item, Problem: problem})
}

// leave notes why an item is not shown. The rules that a person wrote are no reason for a warning.
func (f *Fragment) leave(k Kind, name string, why verdict) {
	f.sections[k].hidden = append(f.sections[k].hidden, hidden{name, why})
}

// refuse leaves an item out because something is wrong with it.
func (f *Fragment) refuse(k Kind, name, shown, problem string) {
	f.warn(k, shown, problem)
	f.leave(k, name, verdict{rule: problem})
}

// add makes the section of a kind.
func (f *Fragment) add(n *Namer, k Kind, list []jsonrpc.Raw) {
	if len(list) == 0 {
		return
	}
	items, size := make([]item, 0, len(list)), 0
	seen := make(map[string]bool, len(list))
	for i, text := range list {
		name, ok := nameOf(k, text)
		if !ok {
			f.refuse(k, "", fmt.Sprintf("#%d", i+1), fmt.Sprintf("is no object with a string %q; left out", nameMember(k)))
			continue
		}
		if text, ok = f.check(n, k, name, text, seen[name]); !ok {
			continue
		}
		seen[name] = true
		if text, ok = f.apply(k, name, text); !ok {
			continue
		}
		own := f.server.policy[k].rename(name)
		items = append(items, item{Entry: Entry{Server: f.server.name, Name: name, Exposed: own}, own: own, text: text})
		size += len(text) + len(f.server.prefix) + 1
	}
	if k == Tools || k == Prompts {
		if n.passthrough {
			items = f.rename(k, items)
		} else {
			items = f.name(n, k, items)
		}
	}
	f.sections[k] = section{hidden: f.sections[k].hidden, all: len(list)}
	f.sections[k].join(items, size)
}

// check returns the item repaired, and whether it may be listed. Of a server that is passed through nothing is
// checked but what rules depend on.
func (f *Fragment) check(n *Namer, k Kind, name string, text jsonrpc.Raw, repeated bool) (jsonrpc.Raw, bool) {
	rules := f.server.policy[k]
	if n.passthrough && len(rules) == 0 {
		return text, true
	}
	err := rules.check(k, name, text)
	var repairs []string
	switch {
	case err != nil || n.passthrough:
	case k == Tools:
		text, repairs, err = checkTool(text)
	default:
		err = jsonrpc.CheckMembers(text, nameMember(k))
	}
	switch {
	case err != nil:
		f.refuse(k, name, name, err.Error()+"; left out")
	case name == "" && (k == Tools || k == Prompts):
		f.refuse(k, name, `""`, "has an empty name; left out")
	case repeated && (k == Tools || k == Prompts):
		f.refuse(k, name, name, "is listed more than once; only the first is shown")
	default:
		for _, repair := range repairs {
			f.warn(k, name, repair)
		}
		return text, true
	}
	return nil, false
}

// apply returns the item as the rules change it, and whether they let it be shown.
func (f *Fragment) apply(k Kind, name string, text jsonrpc.Raw) (jsonrpc.Raw, bool) {
	if k == Templates {
		f.routes = append(f.routes, name)
	}
	rules := f.server.policy[k]
	if len(rules) == 0 {
		return text, true
	}
	if k == Tools {
		text = rules.override(name, text)
	}
	if why := rules.judgeItem(k, name, text); why != nil {
		f.leave(k, name, *why)
		return nil, false
	}
	return text, true
}

// rename gives the items of a server that is passed through the names of the rules, which no other may have.
func (f *Fragment) rename(k Kind, items []item) []item {
	if len(f.server.policy[k]) == 0 {
		return items
	}
	taken := map[string]string{} // name on the server, by exposed name
	for _, it := range items {
		if _, ok := taken[it.own]; !ok || it.own == it.Name {
			taken[it.own] = it.Name
		}
	}
	kept := items[:0]
	for _, it := range items {
		if taken[it.own] != it.Name {
			f.refuse(k, it.Name, it.Name, fmt.Sprintf("is renamed to %s, which another one is called; left out", it.own))
			continue
		}
		it.text = rename(it.text, it, false)
		kept = append(kept, it)
	}
	return kept
}

// name gives every item its exposed name. Which one is hashed does not depend on the order of the list.
func (f *Fragment) name(n *Namer, k Kind, items []item) []item {
	limit := n.limitOf(k)
	order := make([]int, len(items))
	faults := make([]fault, len(items))
	for i := range items {
		order[i] = i
		items[i].Exposed, faults[i] = f.server.plain(items[i].own, limit)
	}
	slices.SortFunc(order, func(i, j int) int { return before(&items[i], &items[j]) })
	taken := make(map[string]bool, len(items))
	claimName := func(i int, name string) bool {
		folded := fold(name)
		if taken[folded] {
			return false
		}
		taken[folded] = true
		items[i].Exposed, items[i].folded = name, folded
		return true
	}
	var rest []int // those that need a hash
	for _, i := range order {
		if faults[i] == fits && !claimName(i, items[i].Exposed) {
			faults[i] = alike
		}
		if faults[i] != fits {
			rest = append(rest, i)
		}
	}
	lost := map[string]bool{}
	for _, i := range rest {
		own, name := items[i].own, items[i].Name
		switch {
		case n.refuses(faults[i]):
			f.refuse(k, name, name, fmt.Sprintf("cannot be shown as %s: %s; left out", items[i].Exposed, faults[i]))
			lost[name] = true
		case !claimName(i, f.server.hashed(own, name, hashSpace{limit, hashLength})) &&
			!claimName(i, f.server.hashed(own, name, hashSpace{limit, longHashLength})):
			f.refuse(k, name, name, "cannot be told from others of the same name; left out")
			lost[name] = true
		}
	}
	for i := range items {
		items[i].text = rename(items[i].text, items[i], faults[i] != fits)
	}
	return slices.DeleteFunc(items, func(it item) bool { return lost[it.Name] })
}

// before orders items by who keeps a name that several want: the byte-wise greatest, and one that is not renamed.
func before(a, b *item) int {
	renamed := func(it *item) int {
		if it.own == it.Name {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(b.own, a.own), cmp.Compare(renamed(a), renamed(b)), cmp.Compare(b.Name, a.Name))
}

// join takes items and copies their texts into one.
func (s *section) join(items []item, size int) {
	s.text, s.items = make([]byte, 0, size), items
	ends := make([]int, len(items))
	for i := range items {
		if i > 0 {
			s.text = append(s.text, ',')
		}
		text := bytes.TrimSpace(items[i].text)
		s.text = append(s.text, text...)
		ends[i] = len(s.text)
		items[i].text = items[i].text[:len(text)]
	}
	for i := range items {
		items[i].text = s.text[ends[i]-len(items[i].text) : ends[i] : ends[i]]
	}
}

// claimResources collects the URIs that the server lists or names in the metadata of its tools.
func (f *Fragment) claimResources() {
	for _, r := range f.sections[Resources].items {
		f.claim(r.Name)
	}
	for i, tool := range f.sections[Tools].items {
		if _, ok := jsonrpc.Get(tool.text, "_meta"); !ok {
			continue
		}
		for _, path := range metaPaths() {
			if uri, ok := jsonrpc.GetString(tool.text, path...); ok && uri != "" {
				f.refs = append(f.refs, ref{tool: i, path: path, key: f.claim(uri)})
			}
		}
	}
}

// claim notes a URI and returns its normalised form.
func (f *Fragment) claim(uri string) string {
	key := normalize(uri)
	if !f.claimed[key] {
		f.claimed[key] = true
		f.claims = append(f.claims, claim{uri: uri, key: key})
	}
	return key
}
