package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
)

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
		found, known := l.shapes.field(t, key)
		field := found.Type
		if !known {
			l.unknown(t, m, at)
			continue
		}
		here := at.child(m.key, m.pos)
		if !at.layer.own && l.isOfOthers(t, key, m, here) {
			continue
		}
		if before, twice := first[key]; twice {
			l.report(here, IDTwice, twiceMessage(before, m), "keep one of them")
			continue
		}
		first[key] = m
		here.key = at.child(key, m.pos).key
		switch {
		case m.value.kind == null: // as if it were not there, in this layer and in those below
			if l.forgetPlace(here.key) {
				values[key] = nil
			}
			continue
		case field == reflect.TypeFor[extends]():
			continue // has been read already
		case t == reflect.TypeFor[serverDefaults]() && !isDefault(key):
			l.report(here, IDDefaults, "is not the same for all servers", "write it into the servers")
			continue
		}
		l.pos[here.key] = here
		if value := l.shape(m.value, field, here); value != nil {
			values[key] = value
		}
	}
	return values
}

// isOfOthers tells whether a key of a client's file has a meaning of its own there, and notes it if need be.
func (l *loader) isOfOthers(t reflect.Type, key string, m member, here place) bool {
	if t == reflect.TypeFor[file]() && (key == "version" || key == "$schema") {
		return true
	}
	field, _ := l.shapes.field(t, key)
	if !isShared(t, key) || l.fits(m.value, field.Type) {
		return false
	}
	l.foreign = append(l.foreign, here)
	return true
}

// forgetPlace forgets where a key stands, and tells whether it stood anywhere.
func (l *loader) forgetPlace(key string) bool {
	_, known := l.pos[key]
	delete(l.pos, key)
	return known
}

// fits tells whether a value has the shape that t wants: maps, lists and scalars where they belong, and known keys.
func (l *loader) fits(n *node, t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	isText := n.kind == text || n.kind == number
	switch {
	case n.kind == null, t.Kind() == reflect.Interface:
		return true
	case t == reflect.TypeFor[extends]():
		return fitsExtends(n)
	case t == reflect.TypeFor[Glob](), t.Kind() == reflect.String:
		return isText
	case t.Kind() == reflect.Bool:
		return n.kind == boolean
	case t == reflect.TypeFor[fileList]() && isText:
		return true
	case t.Kind() == reflect.Slice:
		return n.kind == list && !slices.ContainsFunc(n.items, func(item *node) bool { return !l.fits(item, t.Elem()) })
	case t.Kind() == reflect.Map:
		return n.kind == object && !slices.ContainsFunc(n.members, func(m member) bool { return !l.fits(m.value, t.Elem()) })
	case t.Kind() == reflect.Struct:
		return n.kind == object && !slices.ContainsFunc(n.members, func(m member) bool {
			field, known := l.shapes.field(t, canonical(t, m.key))
			return !known || !l.fits(m.value, field.Type)
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
	here := at.child(clean(m.key), m.pos)
	meant := suggest(t, m.key, at.layer.own)
	switch t {
	case reflect.TypeFor[file]():
		if at.layer.own && strings.HasPrefix(m.key, "x-") {
			return // a place for YAML anchors, as in Compose files
		}
		if !at.layer.own && meant == "" {
			l.foreign = append(l.foreign, here)
			return
		}
	case reflect.TypeFor[entry](), reflect.TypeFor[serverDefaults]():
		mistaken := at.layer.own && camel(m.key) == "timeout"
		if isForeignServerKey(m.key) && !mistaken || !at.layer.own && meant == "" {
			l.foreign = append(l.foreign, here)
			return
		}
	}
	hint := ""
	if meant != "" {
		hint = fmt.Sprintf("did you mean %q?", meant)
	}
	l.report(here, IDUnknownKey, "unknown key", hint)
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
			l.report(here, IDTwice, twiceMessage(before, m), "keep one of them")
			continue
		}
		first[m.key] = m
		if strings.TrimSpace(m.key) == "" {
			here = at
			here.pos = m.pos
			l.report(here, IDKind, "a key is empty", "write a name")
			continue
		}
		if strings.ContainsFunc(m.key, unicode.IsControl) {
			l.report(at.child(clean(m.key), m.pos), IDKind, "the key has control characters", "remove them")
			continue
		}
		value := m.value
		if value.kind == null && l.forgetPlace(here.key) {
			values[m.key] = nil
			continue
		}
		if t.Elem().Kind() == reflect.Pointer { // a server or a profile, of which all may be left out
			here = l.enter(t.Elem(), m, here)
			if value.kind == null {
				value = &node{kind: object, pos: value.pos}
			}
		} else if value.kind == null {
			l.report(here, IDKind, "has no value", `write "" for an empty text`)
			continue
		}
		l.pos[here.key] = here
		if v := l.shape(value, t.Elem(), here); v != nil {
			values[m.key] = v
		} else if t.Elem().Kind() == reflect.Pointer {
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
		return []any{l.leaf(n, t.Elem(), at)}
	}
	if !l.isKind(n, list, "a list", at) {
		return nil
	}
	values := []any{}
	for i, item := range n.items {
		here := at.index(i, item.pos)
		l.pos[here.key] = here
		if item.kind == null {
			l.report(here, IDKind, "has no value", `write "" for an empty text`)
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
	l.report(at, IDKind, fmt.Sprintf("is %s", n.kind), "write "+name)
	return false
}

// ref stands for a leaf in what is merged and decoded, so that it keeps its place.
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
		l.report(at, IDKind, fmt.Sprintf("is %s", n.kind), "write "+noun)
		return nil
	}
	at.source = n.scalar
	l.noticeSecret(n, at)
	return l.hold(n, at)
}

// enter notes the server or profile whose entry m is, and returns its place.
func (l *loader) enter(t reflect.Type, m member, at place) place {
	if t == reflect.TypeFor[*Profile]() {
		if !slices.Contains(l.profiles, m.key) {
			l.profiles = append(l.profiles, m.key)
		}
		return at
	}
	at.server, at.inside = m.key, true
	if l.servers[m.key] == nil {
		l.servers[m.key] = &server{at: at, envFile: map[string]string{}}
		l.order = append(l.order, m.key)
	}
	return at
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
