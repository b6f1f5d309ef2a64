package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/plait-mcp/plait/config/tree"
)

// shape walks the tree along the Go type that it will be decoded into. It finds the canonical name of every key,
// reports those that are unknown or there twice and values of the wrong kind. What it returns is made of maps, lists
// and refs; nil means that nothing is set there.
func (l *loader) shape(n *tree.Node, t reflect.Type, at place) any {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if n.Kind == tree.Null {
		return nil
	}
	switch {
	case t.Kind() == reflect.Interface:
		return l.hold(n, at)
	case t == reflect.TypeFor[Glob](), t == reflect.TypeFor[ServeAuth]() && n.Kind == tree.Text:
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

func (l *loader) structure(n *tree.Node, t reflect.Type, at place) any {
	noun := "a map"
	if t == reflect.TypeFor[ServeAuth]() {
		noun = "none, bearer or {bearer: TOKEN}"
	}
	if !l.isKind(n, tree.Map, noun, at) {
		return nil
	}
	values := map[string]any{}
	first := map[string]tree.Member{}
	for _, m := range n.Members {
		key := canonical(t, m.Key)
		found, known := l.shapes.field(t, key)
		field := found.Type
		if !known {
			l.unknown(t, m, at)
			continue
		}
		here := at.child(m.Key, m.Pos)
		if !at.layer.own && l.isOfOthers(t, key, m, here) {
			continue
		}
		if before, twice := first[key]; twice {
			l.report(here, IDTwice, twiceMessage(before, m), "keep one of them")
			continue
		}
		first[key] = m
		here.key = at.child(key, m.Pos).key
		switch {
		case m.Value.Kind == tree.Null: // as if it were not there, in this layer and in those below
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
		if value := l.shape(m.Value, field, here); value != nil {
			values[key] = value
		}
	}
	return values
}

// isOfOthers tells whether a key of a client's file has a meaning of its own there, and notes it if need be.
func (l *loader) isOfOthers(t reflect.Type, key string, m tree.Member, here place) bool {
	if t == reflect.TypeFor[file]() && (key == "version" || key == "$schema") {
		return true
	}
	field, _ := l.shapes.field(t, key)
	if !isShared(t, key) || l.fits(m.Value, field.Type) || isOurs(field.Type, m.Value) {
		return false
	}
	l.foreign = append(l.foreign, here)
	return true
}

// isOurs tells whether a value is meant for serve or for rules, for all its mistakes: to ignore it could leave an endpoint open,
// or show what is denied.
func isOurs(t reflect.Type, n *tree.Node) bool {
	return n.Kind == tree.Map && slices.ContainsFunc(n.Members, func(m tree.Member) bool {
		switch t {
		case reflect.TypeFor[Serve]():
			return m.Key == "http" && m.Value.Kind == tree.Map
		case reflect.TypeFor[Rules]():
			key := cmp.Or(suggest(t, m.Key, false), m.Key)
			return (key == "allow" || key == "deny") && (m.Value.Kind == tree.List || m.Value.Kind == tree.Text) || key == "readOnly" && m.Value.Kind == tree.Bool
		}
		return false
	})
}

// forgetPlace forgets where a key stands, and tells whether it stood anywhere.
func (l *loader) forgetPlace(key string) bool {
	_, known := l.pos[key]
	delete(l.pos, key)
	return known
}

// fits tells whether a value has the shape that t wants: maps, lists and scalars where they belong, and known keys.
func (l *loader) fits(n *tree.Node, t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	isText := n.Kind == tree.Text || n.Kind == tree.Number
	switch {
	case n.Kind == tree.Null, t.Kind() == reflect.Interface:
		return true
	case t == reflect.TypeFor[extends]():
		return fitsExtends(n)
	case t == reflect.TypeFor[Glob](), t.Kind() == reflect.String:
		return isText
	case t.Kind() == reflect.Bool:
		return n.Kind == tree.Bool
	case isText && (t == reflect.TypeFor[fileList]() || t == reflect.TypeFor[CommandLine]() || t == reflect.TypeFor[identityChoice]()):
		return true
	case isText && (t == reflect.TypeFor[candidate]() || t == reflect.TypeFor[ServeAuth]()):
		return true
	case t.Kind() == reflect.Slice:
		return n.Kind == tree.List && !slices.ContainsFunc(n.Items, func(item *tree.Node) bool { return !l.fits(item, t.Elem()) })
	case t.Kind() == reflect.Map:
		return n.Kind == tree.Map && !slices.ContainsFunc(n.Members, func(m tree.Member) bool { return !l.fits(m.Value, t.Elem()) })
	case t.Kind() == reflect.Struct:
		return n.Kind == tree.Map && !slices.ContainsFunc(n.Members, func(m tree.Member) bool {
			field, known := l.shapes.field(t, canonical(t, m.Key))
			return !known || !l.fits(m.Value, field.Type)
		})
	}
	return n.Kind != tree.List && n.Kind != tree.Map
}

func twiceMessage(first, second tree.Member) string {
	if first.Key == second.Key {
		return fmt.Sprintf("is there twice, first in line %d", first.Pos.Line)
	}
	return fmt.Sprintf("is the same key as %q in line %d", first.Key, first.Pos.Line)
}

// unknown reports a key that t does not have, or notes it as one of another program.
func (l *loader) unknown(t reflect.Type, m tree.Member, at place) {
	here := at.child(clean(m.Key), m.Pos)
	meant := suggest(t, m.Key, at.layer.own)
	switch t {
	case reflect.TypeFor[file]():
		if at.layer.own && strings.HasPrefix(m.Key, "x-") {
			return // a place for YAML anchors, as in Compose files
		}
		if !at.layer.own && meant == "" {
			l.foreign = append(l.foreign, here)
			return
		}
	case reflect.TypeFor[entry](), reflect.TypeFor[serverDefaults]():
		mistaken := at.layer.own && slices.Contains([]string{"timeout", "auth", "authorization", "oauth", "oauthResource", "scopes"}, tree.Camel(m.Key))
		if isForeignServerKey(m.Key) && !mistaken || !at.layer.own && meant == "" {
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

func (l *loader) mapping(n *tree.Node, t reflect.Type, at place) any {
	if !l.isKind(n, tree.Map, "a map", at) {
		return nil
	}
	values := map[string]any{}
	first := map[string]tree.Member{}
	for _, m := range n.Members {
		here := at.child(m.Key, m.Pos)
		if before, twice := first[m.Key]; twice {
			l.report(here, IDTwice, twiceMessage(before, m), "keep one of them")
			continue
		}
		first[m.Key] = m
		if strings.TrimSpace(m.Key) == "" {
			here = at
			here.pos = m.Pos
			l.report(here, IDKind, "a key is empty", "write a name")
			continue
		}
		if strings.ContainsFunc(m.Key, unicode.IsControl) {
			l.report(at.child(clean(m.Key), m.Pos), IDKind, "the key has control characters", "remove them")
			continue
		}
		value := m.Value
		if value.Kind == tree.Null && l.forgetPlace(here.key) {
			values[m.Key] = nil
			continue
		}
		if t.Elem().Kind() == reflect.Pointer { // a server, an identity or a profile, of which all may be left out
			here = l.enter(t.Elem(), m, here)
			if value.Kind == tree.Null {
				value = &tree.Node{Kind: tree.Map, Pos: value.Pos}
			}
		} else if value.Kind == tree.Null {
			l.report(here, IDKind, "has no value", `write "" for an empty text`)
			continue
		}
		l.pos[here.key] = here
		if v := l.shape(value, t.Elem(), here); v != nil {
			values[m.Key] = v
		} else if t.Elem().Kind() == reflect.Pointer {
			values[m.Key] = map[string]any{}
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

func (l *loader) sequence(n *tree.Node, t reflect.Type, at place) any {
	switch isText := n.Kind == tree.Text; {
	case isText && t == reflect.TypeFor[fileList]():
		return []any{l.leaf(n, t.Elem(), at)}
	case isText && t == reflect.TypeFor[CommandLine]():
		return l.leaf(n, t.Elem(), at)
	case isText && t == reflect.TypeFor[identityChoice]():
		return []any{l.candidate(n, at)}
	}
	noun := "a list"
	if t == reflect.TypeFor[identityChoice]() {
		noun = "the name of an identity, or a list of {use, when}"
	}
	if !l.isKind(n, tree.List, noun, at) {
		return nil
	}
	values := []any{}
	for i, item := range n.Items {
		here := at.index(i, item.Pos)
		l.pos[here.key] = here
		if item.Kind == tree.Null {
			l.report(here, IDKind, "has no value", `write "" for an empty text`)
		}
		var v any
		if t == reflect.TypeFor[identityChoice]() && item.Kind == tree.Text {
			v = l.candidate(item, here)
		} else {
			v = l.shape(item, t.Elem(), here)
		}
		if v == nil { // already reported: keep the place, so that the others keep their number
			v = l.hold(&tree.Node{Kind: tree.Null}, here)
		}
		values = append(values, v)
	}
	return values
}

// isKind reports a value of another kind than the one that is wanted.
func (l *loader) isKind(n *tree.Node, want tree.Kind, name string, at place) bool {
	if n.Kind == want {
		return true
	}
	l.report(at, IDKind, fmt.Sprintf("is %s", n.Kind), "write "+name)
	return false
}

// ref stands for a leaf in what is merged and decoded, so that it keeps its place.
type ref int

// leaf is a scalar as it stands in the file, or a value of any shape.
type leaf struct {
	node *tree.Node
	at   place
}

func (l *loader) leaf(n *tree.Node, t reflect.Type, at place) any {
	if n.Kind == tree.List || n.Kind == tree.Map {
		noun, example := wanted(t)
		if example != "" {
			noun += " such as " + example
		}
		l.report(at, IDKind, fmt.Sprintf("is %s", n.Kind), "write "+noun)
		return nil
	}
	at.source = n.Scalar
	l.noticeSecret(n, t, at)
	return l.hold(n, at)
}

// enter notes the server, identity or profile whose entry m is, and returns its place.
func (l *loader) enter(t reflect.Type, m tree.Member, at place) place {
	if t == reflect.TypeFor[*Profile]() {
		if !slices.Contains(l.profiles, m.Key) {
			l.profiles = append(l.profiles, m.Key)
		}
		return at
	}
	owners, order := l.servers, &l.order
	if t == reflect.TypeFor[*Identity]() {
		owners, order = l.identities, &l.names
	}
	if owners[m.Key] == nil {
		owners[m.Key] = &owner{at: at, envFile: map[string]string{}}
		owners[m.Key].at.owner = owners[m.Key]
		*order = append(*order, m.Key)
	}
	at.owner = owners[m.Key]
	return at
}

// hold keeps a value until it is decoded.
func (l *loader) hold(n *tree.Node, at place) ref {
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
