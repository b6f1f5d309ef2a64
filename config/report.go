package config

import (
	"fmt"
	"slices"
	"strings"
)

// place is where a value stands.
type place struct {
	show   string // mcpServers.github.args[1]
	key    string // its canonical keys, joined with separator
	pos    Pos
	layer  *layer // the file it stands in
	owner  *owner // the server or identity it belongs to, nil for none
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

// report notes a problem where it belongs: to the server, to the identity or to the file.
func (l *loader) report(at place, id, msg, hint string) {
	l.add(at, Problem{ID: id, Msg: msg, Hint: hint})
}

// add is report for a problem that says more; its place is filled in.
func (l *loader) add(at place, p Problem) {
	l.breakAt(at)
	p.Pos, p.Path = at.pos, at.show
	if at.owner != nil {
		at.owner.problems = append(at.owner.problems, p)
		return
	}
	l.problems = append(l.problems, p)
}

// breakAt notes that what stands there, or below one of the keys above it, is not what it should be.
func (l *loader) breakAt(at place) {
	for key := at.key; !l.broken[key]; {
		l.broken[key] = true
		key = key[:max(strings.LastIndex(key, separator), 0)]
	}
}

// fault reports a value that was decoded, unless something was already wrong with it.
func (l *loader) fault(at place, id, msg, hint string) {
	if !l.broken[at.key] {
		l.report(at, id, msg, hint)
	}
}

func (l *loader) warn(at place, id, msg, hint string) {
	l.warnings = append(l.warnings, Problem{ID: id, Pos: at.pos, Path: at.show, Msg: msg, Hint: hint})
}

// isBroken tells whether a problem was reported at those keys or below.
func (l *loader) isBroken(keys ...string) bool { return l.broken[l.place(keys...).key] }

// place returns where those keys stand, or where the nearest key above them does. What a server does not say may
// stand under defaults.
func (l *loader) place(keys ...string) place {
	if p, ok := l.pos[keyPath(keys...)]; ok {
		return p
	}
	if len(keys) == 0 {
		return place{pos: Pos{File: l.name}, layer: l.layers[len(l.layers)-1]}
	}
	const ofServer = 2 // mcpServers and its name
	if keys[0] == "mcpServers" && len(keys) > ofServer {
		if p, ok := l.pos[keyPath(append([]string{"defaults"}, keys[ofServer:]...)...)]; ok {
			return p
		}
	}
	above := l.place(keys[:len(keys)-1]...)
	return above.child(keys[len(keys)-1], above.pos)
}

// isGiven tells whether those keys stand in the file.
func (l *loader) isGiven(keys ...string) bool {
	var at any = l.values
	for _, key := range keys {
		m, _ := at.(map[string]any)
		if at = m[key]; at == nil {
			return false
		}
	}
	return true
}

// source returns the text of a value as it stands in the file, before variables were expanded.
func (l *loader) source(at place, otherwise string) string {
	if s := l.pos[at.key].source; s != "" {
		return s
	}
	return otherwise
}

// forget takes back what was noted about a server that is not used.
func (l *loader) forget(name string) {
	inside := keyPath("mcpServers", name) + separator
	l.foreign = slices.DeleteFunc(l.foreign, func(p place) bool { return strings.HasPrefix(p.key, inside) })
}

// noticeForeign adds the one notice about keys of other programs.
func (l *loader) noticeForeign() {
	if len(l.foreign) == 0 {
		return
	}
	const most = 5
	var names []string
	for _, p := range l.foreign {
		names = append(names, p.show)
	}
	if len(names) > most {
		names = append(names[:most], fmt.Sprintf("and %d more", len(l.foreign)-most))
	}
	l.warnings = append(l.warnings, Problem{
		ID: IDForeign, Pos: l.foreign[0].pos, Msg: "ignored keys of other programs: " + strings.Join(names, ", "),
	})
}
