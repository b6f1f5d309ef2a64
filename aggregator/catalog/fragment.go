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
	warnings []Warning
}

// section is one list of a fragment.
type section struct {
	text  []byte // the items, with commas between
	items []item // in the order of the server
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
	for _, t := range f.sections[Templates].items {
		p, err := parsePattern(t.Name)
		if err != nil {
			f.warn(Templates, t.Name, fmt.Sprintf("matches no URI: %v", err))
			continue
		}
		f.patterns = append(f.patterns, p)
	}
	return f
}

func (f *Fragment) warn(k Kind, item, problem string) {
	f.warnings = append(f.warnings, Warning{Server: f.server.name, Kind: k, Item: item, Problem: problem})
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
			f.warn(k, fmt.Sprintf("#%d", i+1), fmt.Sprintf("is no object with a string %q; left out", nameMember(k)))
			continue
		}
		if !n.passthrough {
			if text, ok = f.check(k, name, text, seen[name]); !ok {
				continue
			}
		}
		seen[name] = true
		items = append(items, item{Entry: Entry{Server: f.server.name, Name: name, Exposed: name}, text: text})
		size += len(text) + len(f.server.prefix) + 1
	}
	if !n.passthrough && (k == Tools || k == Prompts) {
		items = f.name(k, items, n.limitOf(k))
	}
	f.sections[k] = join(items, size)
}

// check returns the item repaired, and whether it may be listed.
func (f *Fragment) check(k Kind, name string, text jsonrpc.Raw, repeated bool) (jsonrpc.Raw, bool) {
	var err error
	var repairs []string
	switch k {
	case Tools:
		text, repairs, err = checkTool(text)
	default:
		err = jsonrpc.CheckMembers(text, nameMember(k))
	}
	switch {
	case err != nil:
		f.warn(k, name, err.Error()+"; left out")
	case name == "" && (k == Tools || k == Prompts):
		f.warn(k, `""`, "has an empty name; left out")
	case repeated && (k == Tools || k == Prompts):
		f.warn(k, name, "is listed more than once; only the first is shown")
	default:
		for _, repair := range repairs {
			f.warn(k, name, repair)
		}
		return text, true
	}
	return nil, false
}

// name gives every item its exposed name. Which one is hashed does not depend on the order of the list.
func (f *Fragment) name(k Kind, items []item, limit int) []item {
	order := make([]int, len(items))
	plain := make([]bool, len(items))
	for i := range items {
		order[i] = i
		items[i].Exposed, plain[i] = f.server.plain(items[i].Name, limit)
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(items[b].Name, items[a].Name) })
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
		if !plain[i] || !claimName(i, items[i].Exposed) {
			rest = append(rest, i)
		}
	}
	var lost []string
	for _, i := range rest {
		plain[i] = false
		if name := items[i].Name; !claimName(i, f.server.hashed(name, limit, hashLength)) &&
			!claimName(i, f.server.hashed(name, limit, longHashLength)) {
			f.warn(k, name, "cannot be told from others of the same name; left out")
			lost = append(lost, name)
		}
	}
	for i := range items {
		items[i].text = rename(items[i].text, items[i].Entry, !plain[i])
	}
	return slices.DeleteFunc(items, func(it item) bool { return slices.Contains(lost, it.Name) })
}

// join copies the items' texts into one.
func join(items []item, size int) section {
	s := section{text: make([]byte, 0, size), items: items}
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
	return s
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
