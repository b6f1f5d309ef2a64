package catalog

import (
	"maps"
	"slices"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// part is a fragment in a catalog, with what the other fragments made of it.
type part struct {
	*Fragment

	changed [kinds]map[int]*item // items that differ from the fragment's; nil for one left out
}

// Build joins the fragments of the servers whose lists are known, in any order, into a catalog in which the
// servers stand in the order of the configuration. All fragments must be of this Namer; nil ones are skipped.
// pins are those of the last catalog, nil when there was none.
func Build(n *Namer, fragments []*Fragment, pins *Pins) *Catalog {
	b := &builder{
		namer:  n,
		pinner: newPinner(pins, n),
		cat: &Catalog{
			namer:   n,
			aliases: map[string]Target{},
			exposed: map[string]map[string]string{},
			roots:   map[string]Target{},
		},
	}
	byServer := make(map[*server]*Fragment, len(fragments))
	for _, f := range fragments {
		if f != nil {
			byServer[f.server] = f
		}
	}
	for _, s := range n.servers {
		if f := byServer[s]; f != nil {
			b.parts = append(b.parts, &part{Fragment: f})
			b.cat.warnings = append(b.cat.warnings, f.warnings...)
		}
	}
	if !n.passthrough {
		b.separate(Tools)
		b.separate(Prompts)
		b.assignOwners()
	}
	return b.finish()
}

type builder struct {
	namer  *Namer
	parts  []*part
	pinner *pinner
	cat    *Catalog
}

// place is where an item stands in a part.
type place struct {
	kind  Kind
	index int
}

// at returns the item as it is now, nil when it was left out.
func (p *part) at(at place) *item {
	if it, ok := p.changed[at.kind][at.index]; ok {
		return it
	}
	return &p.sections[at.kind].items[at.index]
}

func (p *part) change(at place, to *item) {
	if p.changed[at.kind] == nil {
		p.changed[at.kind] = map[int]*item{}
	}
	p.changed[at.kind][at.index] = to
}

// named is an item of one of the parts.
type named struct {
	*part

	place place
}

// separate gives longer hashes to items of several servers that share an exposed name. Servers that have
// nothing to do with each other cannot, so this is what a forged or a very unlikely hash ends in.
func (b *builder) separate(k Kind) {
	total := 0
	for _, p := range b.parts {
		total += len(p.sections[k].items)
	}
	taken := make(map[string]named, total)
	clashes := map[string][]named{}
	for _, p := range b.parts {
		for i := range p.sections[k].items {
			name, here := p.sections[k].items[i].folded, named{p, place{k, i}}
			first, ok := taken[name]
			switch {
			case !ok:
				taken[name] = here
			case clashes[name] == nil:
				clashes[name] = []named{first, here}
			default:
				clashes[name] = append(clashes[name], here)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(clashes)) {
		for _, it := range clashes[name] {
			b.lengthen(it, taken)
		}
	}
}

// lengthen gives an item a longer hash, or leaves it out if even that is taken.
func (b *builder) lengthen(it named, taken map[string]named) {
	k, renamed := it.place.kind, *it.at(it.place)
	if b.namer.refuses(alike) {
		it.change(it.place, nil)
		b.warn(it.part, k, renamed.Name, "meets another server's name; left out")
		return
	}
	renamed.Exposed = it.server.hashed(renamed.own, renamed.Name, hashSpace{b.namer.limitOf(k), longHashLength})
	renamed.folded = fold(renamed.Exposed)
	if _, ok := taken[renamed.folded]; ok {
		it.change(it.place, nil)
		b.warn(it.part, k, renamed.Name, "cannot be told from another server's; left out")
		return
	}
	taken[renamed.folded] = it
	renamed.text = rename(renamed.text, renamed, true)
	it.change(it.place, &renamed)
	b.warn(it.part, k, renamed.Name, "meets another server's name; both get a longer hash")
}

func (b *builder) warn(p *part, k Kind, name, problem string) {
	b.cat.warnings = append(b.cat.warnings, Warning{Server: p.server.name, Kind: k, Item: name, Problem: problem})
}

// assignOwners pins every listed URI and puts aliases where it belongs to another server.
func (b *builder) assignOwners() {
	type loss struct {
		part *part
		claim
	}
	var losses []loss
	for _, p := range b.parts {
		for _, c := range p.claims {
			if b.pinner.own(c.key, p.server.name) != p.server.name {
				losses = append(losses, loss{p, c})
			}
		}
	}
	if len(losses) == 0 {
		return
	}
	for _, l := range losses {
		b.alias(l.part, l.claim)
	}
	for _, p := range b.parts {
		if b.cat.exposed[p.server.name] != nil {
			b.applyAliases(p)
		}
	}
}

// alias finds a URI that nobody has for one that belongs to another server.
func (b *builder) alias(p *part, c claim) {
	name := p.server.name
	if b.cat.exposed[name] == nil {
		b.cat.exposed[name] = map[string]string{}
	}
	marks := []string{"", "." + hash(name, c.uri, hashLength), "." + hash(name, c.uri, longHashLength)}
	for _, mark := range marks {
		alias := aliasURI(p.server.alias+mark, c.uri)
		key := normalize(alias)
		if _, given := b.cat.aliases[key]; given || p.claimed[key] || b.pinner.own(key, name) != name {
			continue
		}
		target := Target{Server: name, URI: c.uri}
		b.cat.exposed[name][c.key] = alias
		b.cat.aliases[alias] = target
		b.cat.aliases[key] = target
		if root, _ := splitRoot(alias); root != "" {
			original, _ := splitRoot(c.uri)
			b.cat.roots[fold(root)] = Target{Server: name, URI: original}
		}
		return
	}
	b.cat.exposed[name][c.key] = ""
}

// applyAliases rewrites the items of a server that has aliases.
func (b *builder) applyAliases(p *part) {
	aliases := b.cat.exposed[p.server.name]
	for i, r := range p.sections[Resources].items {
		if alias, ok := aliases[normalize(r.Name)]; ok {
			b.expose(p, place{Resources, i}, alias, nameMember(Resources))
		}
	}
	for _, r := range p.refs {
		if alias, ok := aliases[r.key]; ok {
			b.expose(p, place{Tools, r.tool}, alias, r.path...)
		}
	}
}

// expose puts an alias at a path of an item. Without an alias the item is left out: it would lead to another's.
func (b *builder) expose(p *part, at place, alias string, path ...string) {
	current := p.at(at)
	switch {
	case current == nil:
	case alias == "":
		p.change(at, nil)
		b.warn(p, at.kind, current.Name, "has the URI of another server; left out")
	default:
		moved := *current
		moved.text = jsonrpc.Set(moved.text, jsonrpc.Quote(alias), path...)
		if at.kind == Resources {
			moved.Exposed = alias
		}
		p.change(at, &moved)
	}
}
