package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// Plan says what a change of the configuration does.
type Plan struct {
	Changes []Change // one for each server in either, and in any of their profiles, in the order of the new file, those that are gone last
	Global  []string // the keys outside the servers that differ, such as naming.separator; mcpServers when the order does; profiles.NAME when what it shows does
}

// Change is what happens to one server.
type Change struct {
	Server string
	Action Action
	Keys   []string // of the server, that differ, such as tools.deny; never their values
	Pos    Pos      // of the server: where it is now, or where it was
}

// Action is what a change of the configuration does to a server.
type Action uint8

// The actions, the mildest first.
const (
	Keep    Action = iota // nothing differs
	Relabel               // the connection stays, and what is seen of it differs
	Restart               // it is connected anew
	Start
	Stop
)

// String returns the name of the action in lower case.
func (a Action) String() string {
	names := [...]string{Keep: "keep", Relabel: "relabel", Restart: "restart", Start: "start", Stop: "stop"}
	if int(a) < len(names) {
		return names[a]
	}
	return fmt.Sprintf("action %d", uint8(a))
}

// Quiet tells whether the plan changes nothing at all.
func (p Plan) Quiet() bool {
	return len(p.Global) == 0 && !slices.ContainsFunc(p.Changes, func(c Change) bool { return c.Action != Keep })
}

// Diff returns what changes from old to now; either may be nil, which stands for a configuration of nothing.
func Diff(old, now *Config) Plan {
	var plan Plan
	was, is := serversOf(old), serversOf(now)
	before, after := serversByName(was), serversByName(is)
	for _, s := range is {
		plan.Changes = append(plan.Changes, change(before[s.Name], s))
	}
	for _, s := range was {
		if after[s.Name] == nil {
			plan.Changes = append(plan.Changes, Change{Server: s.Name, Action: Stop, Pos: s.Pos})
		}
	}
	if old == nil || now == nil {
		return plan
	}
	v, w := reflect.ValueOf(old).Elem(), reflect.ValueOf(now).Elem()
	for f := range v.Type().Fields() {
		switch f.Name {
		case "Path", "Files", "Servers", "Profiles", "Identities", "Warnings":
			continue
		}
		name := []rune(f.Name)
		name[0] = unicode.ToLower(name[0])
		plan.Global = append(plan.Global, differences(string(name), v.FieldByIndex(f.Index), w.FieldByIndex(f.Index))...)
	}
	if !slices.Equal(common(old.Servers, serversByName(now.Servers)), common(now.Servers, serversByName(old.Servers))) {
		plan.Global = append(plan.Global, "mcpServers")
	}
	for _, key := range mapKeys(reflect.ValueOf(old.Profiles), reflect.ValueOf(now.Profiles)) {
		if !slices.Equal(old.Profiles[key].shows(), now.Profiles[key].shows()) {
			plan.Global = append(plan.Global, join("profiles", key))
		}
	}
	return plan
}

func serversOf(c *Config) []*Server {
	if c == nil {
		return nil
	}
	return c.AllServers()
}

func serversByName(servers []*Server) map[string]*Server {
	byName := map[string]*Server{}
	for _, s := range servers {
		byName[s.Name] = s
	}
	return byName
}

// shows returns what a profile makes of the servers: which there are, and its rules. It is nil for no profile.
func (c *Config) shows() []string {
	if c == nil {
		return nil
	}
	all := []string{c.Profile}
	for _, s := range c.Servers {
		all = append(all, s.Name, encoded(reflect.ValueOf(s.Profile)))
	}
	return all
}

// common returns the names of the servers that the other configuration has, too, in their order: it decides who
// owns a URI that two of them have.
func common(servers []*Server, other map[string]*Server) []string {
	var names []string
	for _, s := range servers {
		if other[s.Name] != nil {
			names = append(names, s.Name)
		}
	}
	return names
}

// change compares a server with the one of the same name before, nil for none.
func change(before, now *Server) Change {
	c := Change{Server: now.Name, Action: Start, Pos: now.Pos}
	if before == nil {
		return c
	}
	v, w := reflect.ValueOf(before).Elem(), reflect.ValueOf(now).Elem()
	for f := range v.Type().Fields() {
		name := f.Tag.Get("koanf")
		switch f.Name {
		case "Name", "Pos", "Problems", "Secrets": // the secrets stand in other fields, too
			continue
		case "Sums":
			name = ""
		case "Profile":
			name = "profile"
		case "Identity":
			name = "identity"
		}
		c.Keys = append(c.Keys, differences(name, v.FieldByIndex(f.Index), w.FieldByIndex(f.Index))...)
	}
	c.Keys = append(c.Keys, repaired(before, now)...)
	c.Keys = append(c.Keys, repaired(now, before)...)
	slices.Sort(c.Keys)
	c.Keys = slices.Compact(c.Keys)
	switch {
	case before.Fingerprint() != now.Fingerprint():
		c.Action = Restart
	case len(c.Keys) > 0:
		c.Action = Relabel
	default:
		c.Action = Keep
	}
	return c
}

// repaired returns the keys that something is wrong with in one server, and not, or otherwise, in the other.
func repaired(wrong, right *Server) []string {
	var keys []string
	for _, p := range wrong.Problems {
		if slices.ContainsFunc(right.Problems, func(q Problem) bool { return p.Path == q.Path && p.Msg == q.Msg }) {
			continue
		}
		if _, key, ok := strings.Cut(p.Path, "."+wrong.Name+"."); ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// differences returns the names of the keys under name whose values differ: of structs and maps those inside.
func differences(name string, v, w reflect.Value) []string {
	switch {
	case encoded(v) == encoded(w):
		return nil
	case v.Type() == reflect.TypeFor[*Identity]():
		return identityDifferences(name, v, w)
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[ServeAuth]():
		var keys []string
		for f := range v.Type().Fields() {
			keys = append(keys, differences(join(name, f.Tag.Get("koanf")), v.FieldByIndex(f.Index), w.FieldByIndex(f.Index))...)
		}
		return keys
	case v.Kind() == reflect.Map:
		var keys []string
		for _, key := range mapKeys(v, w) {
			if k := reflect.ValueOf(key); encoded(v.MapIndex(k)) != encoded(w.MapIndex(k)) {
				keys = append(keys, join(name, key))
			}
		}
		return keys
	}
	return []string{name}
}

// identityDifferences returns the name alone when the one identity is another than before, else the keys of it.
func identityDifferences(name string, v, w reflect.Value) []string {
	if v.IsNil() || w.IsNil() || encoded(v.Elem().FieldByName("Name")) != encoded(w.Elem().FieldByName("Name")) {
		return []string{name}
	}
	var keys []string
	for f := range v.Elem().Type().Fields() {
		if key := f.Tag.Get("koanf"); key != "-" {
			keys = append(keys, differences(join(name, key), v.Elem().FieldByIndex(f.Index), w.Elem().FieldByIndex(f.Index))...)
		}
	}
	if len(keys) == 0 {
		return []string{name}
	}
	return keys
}

func join(name, key string) string { return strings.TrimPrefix(name+"."+key, ".") }

func encoded(v reflect.Value) string {
	var b strings.Builder
	encode(&b, v)
	return b.String()
}
