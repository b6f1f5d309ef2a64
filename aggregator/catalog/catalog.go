package catalog

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// Catalog is the namespace of all servers at one moment.
type Catalog struct {
	namer    *Namer
	parts    []*part // in the order of the configuration
	lists    [kinds]*list
	names    [kinds]map[string]*item // tools and prompts by exposed name
	bare     [kinds]func() map[string][]*item
	pins     *Pins
	extra    map[string]string // owners of URIs that are not pinned
	warnings []Warning

	aliases map[string]Target            // by alias, as written and normalised
	exposed map[string]map[string]string // alias by server and normalised URI
	roots   map[string]Target            // by scheme and authority of aliases: what they stand for
}

// UnknownError says that nothing has the name.
type UnknownError struct {
	Kind    Kind
	Name    string
	Servers []string // configured servers whose names begin like this one; they may not be there yet
}

// Error implements error.
func (e *UnknownError) Error() string { return fmt.Sprintf("unknown %s: %s", e.Kind, e.Name) }

// AmbiguousError says that several servers have the name, which is not an exposed one.
type AmbiguousError struct {
	Kind       Kind
	Name       string
	Candidates []string // the exposed names, in the order of the configuration
}

// Error implements error.
func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("ambiguous %s: %s; use one of %s", e.Kind, e.Name, strings.Join(e.Candidates, ", "))
}

// finish makes the look-ups and the lists.
func (b *builder) finish() *Catalog {
	c := b.cat
	c.parts, c.pins, c.extra = b.parts, b.pinner.pins, b.pinner.extra
	for k := range kinds {
		c.lists[k] = &list{segments: c.segments(k)}
	}
	for _, k := range []Kind{Tools, Prompts} {
		total := 0
		for _, p := range c.parts {
			total += len(p.sections[k].items)
		}
		c.names[k] = make(map[string]*item, total)
		for it := range c.items(k) {
			if _, ok := c.names[k][it.Exposed]; !ok {
				c.names[k][it.Exposed] = it
			}
		}
		c.bare[k] = sync.OnceValue(func() map[string][]*item {
			byName := make(map[string][]*item, total)
			for it := range c.items(k) {
				byName[it.own] = append(byName[it.own], it)
			}
			return byName
		})
	}
	return c
}

// Tool returns the tool that a client calls by this name: the exposed one, or its own where bare names are
// allowed. A single server that is passed through gets every name, unless rules restrict its tools. A name that is
// hidden is unknown. The error is an *UnknownError or an *AmbiguousError.
func (c *Catalog) Tool(name string) (Entry, error) { return c.find(Tools, name) }

// Prompt returns the prompt of this name; see Tool.
func (c *Catalog) Prompt(name string) (Entry, error) { return c.find(Prompts, name) }

func (c *Catalog) find(k Kind, name string) (Entry, error) {
	if it, ok := c.names[k][name]; ok {
		return it.Entry, nil
	}
	if c.namer.passthrough && !c.namer.Restricts(c.namer.servers[0].name, k) {
		return Entry{Server: c.namer.servers[0].name, Name: name, Exposed: name}, nil
	}
	if c.namer.bareNames {
		switch found := c.bare[k]()[name]; len(found) {
		case 0:
		case 1:
			return found[0].Entry, nil
		default:
			e := &AmbiguousError{Kind: k, Name: name}
			for _, it := range found {
				e.Candidates = append(e.Candidates, it.Exposed)
			}
			return Entry{}, e
		}
	}
	return Entry{}, c.unknown(k, name)
}

func (c *Catalog) unknown(k Kind, name string) *UnknownError {
	e := &UnknownError{Kind: k, Name: name}
	folded := fold(name)
	for _, s := range c.namer.servers {
		if s.prefix != "" && strings.HasPrefix(folded, fold(s.prefix)) {
			e.Servers = append(e.Servers, s.name)
		}
	}
	return e
}

// Entries yields what is listed of a kind, in the order of the list.
func (c *Catalog) Entries(k Kind) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for it := range c.items(k) {
			if !yield(it.Entry) {
				return
			}
		}
	}
}

func (c *Catalog) items(k Kind) iter.Seq[*item] {
	return func(yield func(*item) bool) {
		for _, p := range c.parts {
			for i := range p.sections[k].items {
				if it := p.at(place{k, i}); it != nil && !yield(it) {
					return
				}
			}
		}
	}
}

// Warnings returns what was wrong with the items of all servers. Equal ones come again from the next catalog.
func (c *Catalog) Warnings() []Warning { return slices.Clone(c.warnings) }

// Of reports whether the catalog was built by a Namer.
func (c *Catalog) Of(n *Namer) bool { return c.namer == n }

// Pins returns who owns the URIs, for the next catalog.
func (c *Catalog) Pins() *Pins { return c.pins }

// List returns all items of a kind as one JSON array. It is made at the first call and must not be changed.
func (c *Catalog) List(k Kind) jsonrpc.Raw { return c.lists[k].join() }

// Same reports whether the list of a kind is the same in another catalog; nil has empty lists.
func (c *Catalog) Same(k Kind, other *Catalog) bool {
	if other == nil {
		return len(c.lists[k].segments) == 0
	}
	return c.lists[k].equal(other.lists[k])
}

// list is a list in the pieces that the servers contribute.
type list struct {
	segments [][]byte // none is empty

	once sync.Once
	text jsonrpc.Raw // set by once
}

func (l *list) join() jsonrpc.Raw {
	l.once.Do(func() {
		size := 2
		for _, s := range l.segments {
			size += len(s) + 1
		}
		l.text = append(make(jsonrpc.Raw, 0, size), '[')
		for i, s := range l.segments {
			if i > 0 {
				l.text = append(l.text, ',')
			}
			l.text = append(l.text, s...)
		}
		l.text = append(l.text, ']')
	})
	return l.text
}

// equal compares without joining what was not needed yet.
func (l *list) equal(other *list) bool {
	return slices.EqualFunc(l.segments, other.segments, func(a, b []byte) bool {
		return len(a) == len(b) && &a[0] == &b[0] || bytes.Equal(a, b)
	}) || bytes.Equal(l.join(), other.join())
}

// segments returns the texts of a kind, those of unchanged fragments as they are.
func (c *Catalog) segments(k Kind) [][]byte {
	var all [][]byte
	for _, p := range c.parts {
		text := p.sections[k].text
		if len(p.changed[k]) > 0 {
			text = nil
			for i := range p.sections[k].items {
				if it := p.at(place{k, i}); it != nil {
					if len(text) > 0 {
						text = append(text, ',')
					}
					text = append(text, it.text...)
				}
			}
		}
		if len(text) > 0 {
			all = append(all, text)
		}
	}
	return all
}
