package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Key is one key of the configuration file.
type Key struct {
	Path    string   // such as mcpServers.NAME.tools.allow; NAME stands for any name
	Default string   // what holds where the key is not written
	Meaning string   // in a few words, without a full stop
	Choices []string // nil for anything of its type
}

// Keys returns all keys, in the order in which a file would have them. Those under defaults are not repeated, nor are
// the rules under profiles.
func Keys() []Key {
	w := keyWalk{meanings: meanings()}
	w.walk("", reflect.TypeFor[file](), reflect.ValueOf(defaultFile()).Elem())
	return w.keys
}

type keyWalk struct {
	meanings map[string]meaning
	keys     []Key
}

// walk adds the keys of a struct at path, whose fields are initially as v.
func (w *keyWalk) walk(path string, t reflect.Type, v reflect.Value) {
	for f := range t.Fields() {
		tag := f.Tag.Get("koanf")
		initial := v.FieldByIndex(f.Index)
		if tag == "-" {
			continue
		}
		if tag == ",squash" {
			w.walk(path, f.Type, initial)
			continue
		}
		m := w.meanings[t.Name()+"."+tag]
		key := Key{Path: join(path, tag), Default: m.initial, Meaning: m.text, Choices: m.choices}
		if value := shown(initial); key.Default == "" && value != nil && !isComposed(f.Type) {
			key.Default = fmt.Sprint(value)
		}
		w.keys = append(w.keys, key)
		w.below(key.Path, f.Type, initial)
	}
}

// below adds the keys of what a key holds.
func (w *keyWalk) below(path string, t reflect.Type, initial reflect.Value) {
	switch {
	case t == reflect.TypeFor[serverDefaults](), t == reflect.TypeFor[Rules]() && strings.HasPrefix(path, "profiles."):
	case t == reflect.TypeFor[Rules]():
		before := len(w.keys)
		w.walk(path, t, initial)
		none := meaningless(path[strings.LastIndex(path, ".")+1:])
		rules := slices.DeleteFunc(slices.Clone(w.keys[before:]), func(k Key) bool {
			below := strings.TrimPrefix(k.Path, path+".")
			first, _, _ := strings.Cut(below, ".")
			return slices.Contains(none, first)
		})
		w.keys = append(w.keys[:before], rules...)
	case t == reflect.TypeFor[extends](), t == reflect.TypeFor[identityChoice]():
		w.walk(path, t.Elem(), reflect.Zero(t.Elem()))
	case t == reflect.TypeFor[map[string]*Identity]():
		w.walk(path+".NAME", t.Elem().Elem(), reflect.ValueOf(NewIdentity("", GrantAuto)).Elem())
	case t == reflect.TypeFor[*IdentityProvider]():
		w.walk(path, t.Elem(), reflect.Zero(t.Elem()))
	case t.Kind() == reflect.Struct:
		w.walk(path, t, initial)
	case t == reflect.TypeFor[map[string]*entry]():
		w.walk(path+".NAME", t.Elem().Elem(), reflect.ValueOf(defaultEntry("")).Elem())
	case t == reflect.TypeFor[map[string]*Profile](), t == reflect.TypeFor[map[string]Override]():
		if t = t.Elem(); t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		w.walk(path+".NAME", t, reflect.Zero(t))
	}
}
