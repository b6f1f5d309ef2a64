package catalog

import "maps"

// maxPins bounds what one server can make us remember; the URIs beyond are not pinned.
const maxPins = 16 << 10

// Pins remember which server owns a URI. They are immutable; nil is empty.
type Pins struct {
	owners map[string]string // server by normalised URI
	counts map[string]int    // URIs by server
	roots  map[string]string // server by scheme and authority; "" when several have had it
	namer  *Namer            // to whom every owner is known, and no URI hidden that was pinned by another
}

// NewPins returns the pins of a map from URI to server, as Map returned it.
func NewPins(owners map[string]string) *Pins {
	p := newPins(len(owners))
	for uri, serverName := range owners {
		p.set(normalize(uri), serverName)
	}
	return p
}

func newPins(size int) *Pins {
	return &Pins{owners: make(map[string]string, size), counts: map[string]int{}, roots: map[string]string{}}
}

// Map returns the owners by URI, to be kept.
func (p *Pins) Map() map[string]string {
	if p == nil {
		return nil
	}
	return maps.Clone(p.owners)
}

func (p *Pins) set(key, serverName string) {
	p.owners[key] = serverName
	p.counts[serverName]++
	root := affinityRoot(key)
	if root == "" {
		return
	}
	if had, ok := p.roots[root]; ok && had != serverName {
		serverName = ""
	}
	p.roots[root] = serverName
}

// pinner adds to pins without changing them.
type pinner struct {
	pins   *Pins
	copied bool
	extra  map[string]string // owners beyond maxPins
}

// newPinner begins with the pins of those servers that are still configured, but for URIs that are hidden now.
func newPinner(pins *Pins, n *Namer) *pinner {
	if pins != nil && pins.namer == n {
		return &pinner{pins: pins}
	}
	kept := newPins(0)
	kept.namer = n
	if pins != nil {
		for key, owner := range pins.owners {
			if n.Permits(owner, Resources, key) == nil {
				kept.set(key, owner)
			}
		}
	}
	return &pinner{pins: kept, copied: true}
}

// own returns the owner of a URI, which is serverName if nobody was before.
func (p *pinner) own(key, serverName string) string {
	if owner, ok := p.owner(key); ok {
		return owner
	}
	if p.pins.counts[serverName] >= maxPins {
		if p.extra == nil {
			p.extra = map[string]string{}
		}
		p.extra[key] = serverName
		return serverName
	}
	if !p.copied {
		p.copied = true
		p.pins = &Pins{
			owners: maps.Clone(p.pins.owners), counts: maps.Clone(p.pins.counts), roots: maps.Clone(p.pins.roots),
			namer: p.pins.namer,
		}
	}
	p.pins.set(key, serverName)
	return serverName
}

func (p *pinner) owner(key string) (string, bool) {
	if owner, ok := p.pins.owners[key]; ok {
		return owner, true
	}
	owner, ok := p.extra[key]
	return owner, ok
}
