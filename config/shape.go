package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
)

// place is where a value stands.
type place struct {
	show   string // mcpServers.github.args[1]
	key    string // its canonical keys, joined with separator
	pos    Pos
	server string // the server it belongs to
	inside bool   // it belongs to a server
	env    lookup // what its variables are looked up in
	source string // the text of a leaf as it stands in the file, before variables are expanded
}

// separator joins keys. It cannot stand in one: control characters are refused.
const separator = "\x1f"

// keyPath joins canonical keys as place.key does.
func keyPath(keys ...string) string { return strings.Join(keys, separator) }

func (p place) child(key string, pos Pos) place {
	p.show, p.key, p.pos = strings.TrimPrefix(p.show+"."+key, "."), strings.TrimPrefix(p.key+separator+key, separator), pos
	return p
}

func (p place) index(i int, pos Pos) place {
	p.show, p.key, p.pos = fmt.Sprintf("%s[%d]", p.show, i), fmt.Sprintf("%s%s%d", p.key, separator, i), pos
	return p
}

// shape walks the tree along the Go type that it will be decoded into. It finds the canonical name of every key,
// reports those that are unknown or there twice and values of the wrong kind. What it returns is made of maps, lists
// and refs; nil means that nothing is set there.
func (l *loader) shape(n *node, t reflect.Type, at place) any {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if n.kind == null {
		return nil
	}
	switch {
	case t.Kind() == reflect.Interface:
		return l.hold(n, at)
	case t == reflect.TypeFor[Glob]():
		return l.leaf(n, t, at)
	case t.Kind() == reflect.Struct:
		return l.structure(n, t, at)
	case t.Kind() == reflect.Map:
		return l.mapping(n, t, at)
	case t.Kind() == reflect.Slice:
		return l.sequence(n, t, at)
	default:
		return l.leaf(n, t, at)
	}
}

func (l *loader) structure(n *node, t reflect.Type, at place) any {
	if !l.isKind(n, object, "a map", at) {
		return nil
	}
	values := map[string]any{}
	first := map[string]member{}
	for _, m := range n.members {
		key := canonical(t, m.key)
		field, known := fieldType(t, key)
		switch {
		case !known:
			l.unknown(t, m, at)
			continue
		case t == reflect.TypeFor[file]() && !l.own && (key == "version" || key == "$schema"):
			continue
		}
		here := at.child(m.key, m.pos)
		if !l.own && isShared(t, key) && !fits(m.value, field) {
			l.foreign = append(l.foreign, here)
			continue
		}
		if before, twice := first[key]; twice {
			l.report(here, twiceMessage(before, m), "keep one of them")
			continue
		}
		first[key] = m
		here.key = at.child(key, m.pos).key
		if m.value.kind == null {
			continue // as if it were not there
		}
		l.pos[here.key] = here
		if value := l.shape(m.value, field, here); value != nil {
			values[key] = value
		}
	}
	return values
}

// fits tells whether a value has the shape that t wants: maps, lists and scalars where they belong, and known keys.
func fits(n *node, t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	isText := n.kind == text || n.kind == number
	switch {
	case n.kind == null, t.Kind() == reflect.Interface:
		return true
	case t == reflect.TypeFor[Glob](), t.Kind() == reflect.String:
		return isText
	case t.Kind() == reflect.Bool:
		return n.kind == boolean
	case t == reflect.TypeFor[fileList]() && isText:
		return true
	case t.Kind() == reflect.Slice:
		return n.kind == list && !slices.ContainsFunc(n.items, func(item *node) bool { return !fits(item, t.Elem()) })
	case t.Kind() == reflect.Map:
		return n.kind == object && !slices.ContainsFunc(n.members, func(m member) bool { return !fits(m.value, t.Elem()) })
	case t.Kind() == reflect.Struct:
		return n.kind == object && !slices.ContainsFunc(n.members, func(m member) bool {
			field, known := fieldType(t, canonical(t, m.key))
			return !known || !fits(m.value, field)
		})
	}
	return n.kind != list && n.kind != object
}

func twiceMessage(first, second member) string {
	if first.key == second.key {
		return fmt.Sprintf("is there twice, first in line %d", first.pos.Line)
	}
	return fmt.Sprintf("is the same key as %q in line %d", first.key, first.pos.Line)
}

// unknown reports a key that t does not have, or notes it as one of another program.
func (l *loader) unknown(t reflect.Type, m member, at place) {
	here := at.child(m.key, m.pos)
	meant := l.suggest(t, m.key)
	switch t {
	case reflect.TypeFor[file]():
		if l.own && strings.HasPrefix(m.key, "x-") {
			return // a place for YAML anchors, as in Compose files
		}
		if !l.own && meant == "" {
			l.foreign = append(l.foreign, here)
			return
		}
	case reflect.TypeFor[entry]():
		mistaken := l.own && camel(m.key) == "timeout"
		if isForeignServerKey(m.key) && !mistaken || !l.own && meant == "" {
			l.foreign = append(l.foreign, here)
			return
		}
	}
	hint := ""
	if meant != "" {
		hint = fmt.Sprintf("did you mean %q?", meant)
	}
	l.report(here, "unknown key", hint)
}

func (l *loader) mapping(n *node, t reflect.Type, at place) any {
	if !l.isKind(n, object, "a map", at) {
		return nil
	}
	values := map[string]any{}
	first := map[string]member{}
	for _, m := range n.members {
		here := at.child(m.key, m.pos)
		if before, twice := first[m.key]; twice {
			l.report(here, twiceMessage(before, m), "keep one of them")
			continue
		}
		first[m.key] = m
		if strings.TrimSpace(m.key) == "" {
			here = at
			here.pos = m.pos
			l.report(here, "a key is empty", "write a name")
			continue
		}
		if strings.ContainsFunc(m.key, unicode.IsControl) {
			l.report(at.child(clean(m.key), m.pos), "the key has control characters", "remove them")
			continue
		}
		value := m.value
		if t.Elem() == reflect.TypeFor[*entry]() {
			here = l.enter(m, here)
			if value.kind == null {
				value = &node{kind: object, pos: value.pos}
			}
		} else if value.kind == null {
			l.report(here, "has no value", `write "" for an empty text`)
			continue
		}
		l.pos[here.key] = here
		if v := l.shape(value, t.Elem(), here); v != nil {
			values[m.key] = v
		} else if here.inside && t.Elem() == reflect.TypeFor[*entry]() {
			values[m.key] = map[string]any{}
		}
	}
	return values
}

// clean returns a key that may be shown.
func clean(key string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, key)
}

func (l *loader) sequence(n *node, t reflect.Type, at place) any {
	if t == reflect.TypeFor[fileList]() && n.kind == text {
		n = &node{kind: list, pos: n.pos, items: []*node{n}}
	}
	if !l.isKind(n, list, "a list", at) {
		return nil
	}
	values := []any{}
	for i, item := range n.items {
		here := at.index(i, item.pos)
		l.pos[here.key] = here
		if item.kind == null {
			l.report(here, "has no value", `write "" for an empty text`)
		}
		v := l.shape(item, t.Elem(), here)
		if v == nil { // already reported: keep the place, so that the others keep their number
			v = l.hold(&node{kind: null}, here)
		}
		values = append(values, v)
	}
	return values
}

// isKind reports a value of another kind than the one that is wanted.
func (l *loader) isKind(n *node, want kind, name string, at place) bool {
	if n.kind == want {
		return true
	}
	l.report(at, fmt.Sprintf("is %s", n.kind), "write "+name)
	return false
}

// ref stands for a leaf in what koanf merges and mapstructure decodes, so that it keeps its place.
type ref int

// leaf is a scalar as it stands in the file, or a value of any shape.
type leaf struct {
	node *node
	at   place
}

func (l *loader) leaf(n *node, t reflect.Type, at place) any {
	if n.kind == list || n.kind == object {
		noun, example := wanted(t)
		if example != "" {
			noun += " such as " + example
		}
		l.report(at, fmt.Sprintf("is %s", n.kind), "write "+noun)
		return nil
	}
	at.source = n.scalar
	return l.hold(n, at)
}

// hold keeps a value until it is decoded.
func (l *loader) hold(n *node, at place) ref {
	l.pos[at.key] = at
	l.leaves = append(l.leaves, leaf{n, at})
	return ref(len(l.leaves) - 1)
}

// wanted names what a leaf of type t holds, with an example where there is need of one.
func wanted(t reflect.Type) (noun, example string) {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration", "30s or 2m"
	case t.Kind() == reflect.Int64:
		return "a size", "64MiB"
	case t.Kind() == reflect.Int:
		return "a whole number", ""
	case t.Kind() == reflect.Bool:
		return "true or false", ""
	case t == reflect.TypeFor[Glob]():
		return "a pattern of names", "get_*"
	}
	return "text", ""
}
