package config

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plait-mcp/plait/config/tree"
)

// decodeFile decodes all but the servers. Variables of its envFile are there for everything else.
func (l *loader) decodeFile(ctx context.Context) *file {
	f := defaultFile()
	some := func(wanted func(key string) bool) map[string]any {
		values := maps.Clone(l.values)
		maps.DeleteFunc(values, func(key string, _ any) bool { return !wanted(key) })
		return values
	}
	l.decode(ctx, some(func(key string) bool { return key == "allowCommands" }), f)
	if at := l.place("allowCommands"); f.AllowCommands && at.layer.remote {
		l.report(at, IDReferenceForbidden, "a remote layer may not allow commands", "write it into a file on this machine")
	} else {
		l.commands = f.AllowCommands
	}
	l.readEnvFiles(ctx, l.values, l.dotenv)
	l.decode(ctx, some(func(key string) bool {
		return !slices.Contains([]string{"allowCommands", "mcpServers", "identities", "defaults", "envFile"}, key)
	}), f)
	return f
}

// isOff tells whether a server is switched off.
func (l *loader) isOff(ctx context.Context, name string, values map[string]any) bool {
	e := entry{Enabled: true}
	for _, key := range []string{"disabled", "enabled"} {
		if value, ok := values[key]; ok {
			l.decode(ctx, map[string]any{key: value}, &e)
		}
	}
	mistaken := l.isBroken("mcpServers", name, "disabled") || l.isBroken("mcpServers", name, "enabled")
	return (e.Disabled || !e.Enabled) && !mistaken
}

// decode fills the struct that into points to with values that were given its shape. It reports those that do not fit
// their type. What no value is there for stays as it is.
func (l *loader) decode(ctx context.Context, values map[string]any, into any) {
	l.fill(ctx, values, reflect.ValueOf(into).Elem())
}

func (l *loader) fill(ctx context.Context, value any, to reflect.Value) {
	if to.Kind() == reflect.Pointer {
		to.Set(reflect.New(to.Type().Elem()))
		to = to.Elem()
	}
	switch value := value.(type) {
	case ref:
		if to.Type() == reflect.TypeFor[CommandLine]() {
			to.Set(reflect.ValueOf(l.commandLine(ctx, l.leaves[value])))
			return
		}
		if to.Type() == reflect.TypeFor[ServeAuth]() {
			to.Set(reflect.ValueOf(l.authWord(ctx, l.leaves[value])))
			return
		}
		if scalar := l.scalar(ctx, l.leaves[value], to.Type()); scalar != nil {
			to.Set(reflect.ValueOf(scalar).Convert(to.Type()))
		}
	case []any:
		list := reflect.MakeSlice(to.Type(), len(value), len(value))
		for i, item := range value {
			l.fill(ctx, item, list.Index(i))
		}
		to.Set(list)
	case map[string]any:
		for _, key := range sortedKeys(value) {
			if to.Kind() == reflect.Struct {
				field, _ := l.shapes.field(to.Type(), key)
				l.fill(ctx, value[key], to.FieldByIndex(field.Index))
				continue
			}
			if to.IsNil() {
				to.Set(reflect.MakeMapWithSize(to.Type(), len(value)))
			}
			item := reflect.New(to.Type().Elem()).Elem()
			l.fill(ctx, value[key], item)
			to.SetMapIndex(reflect.ValueOf(key), item)
		}
	}
}

// scalar returns the value of a leaf as one that can be converted to t, or reports why it cannot and returns nil.
func (l *loader) scalar(ctx context.Context, v leaf, t reflect.Type) any {
	if t.Kind() == reflect.Interface {
		return l.free(ctx, v.node, v.at)
	}
	text, ok := l.expanded(ctx, v.node, v.at)
	if !ok {
		return nil
	}
	value, ok := l.convert(text, v.at, t)
	if ok {
		return value
	}
	noun, hint := wanted(t)
	if hint != "" {
		hint = "write " + hint
	}
	id := IDValue
	if t == reflect.TypeFor[Glob]() {
		id = IDPattern
	}
	l.report(v.at, id, fmt.Sprintf("%q is not %s", v.at.source, noun), hint)
	return nil
}

// expanded returns the text of a scalar with its variables and secret references replaced. It is false when there is
// nothing that can be used, which has been reported or, offline, is not known.
func (l *loader) expanded(ctx context.Context, n *tree.Node, at place) (string, bool) {
	if n.Kind != tree.Text {
		return n.Scalar, n.Kind != tree.Null
	}
	if l.scope != nil && at.owner == nil { // what stands under defaults may be wrong for one server and right for another
		at.owner = l.scope
	}
	s, err := expansion{env: l.lookup, secret: func(kind, what string) (string, error) {
		return l.reveal(ctx, kind, what, at)
	}}.expand(n.Scalar, 0)
	switch {
	case errors.Is(err, errOffline):
		l.breakAt(at)
		return "", false
	case err != nil:
		l.add(at, asExpandError(err).problem())
		return "", false
	}
	return s, true
}

// lookup returns what a variable holds for the values that are being decoded: what the environment says, what the
// server's own dotenv files say, what those of all say.
func (l *loader) lookup(name string) (string, bool) {
	if value, ok := l.env(name); ok {
		return value, true
	}
	if l.scope != nil {
		if value, ok := l.scope.envFile[name]; ok {
			return value, true
		}
	}
	value, ok := l.dotenv[name]
	return value, ok
}

// convert returns the text of a leaf as type t.
func (l *loader) convert(s string, at place, t reflect.Type) (any, bool) {
	switch {
	case t == reflect.TypeFor[Glob]():
		return Glob{s, at.pos}, isPattern(s)
	case t == reflect.TypeFor[time.Duration]():
		return l.duration(s, at)
	case t.Kind() == reflect.Int64:
		return parseSize(s)
	case t.Kind() == reflect.Int:
		n, err := strconv.Atoi(s)
		return n, err == nil
	case t.Kind() == reflect.Bool:
		return s == "true", s == "true" || s == "false"
	}
	return s, true
}

// free returns a value of any shape as JSON has it. Numbers stay as they are written.
func (l *loader) free(ctx context.Context, n *tree.Node, at place) any {
	switch n.Kind {
	case tree.Null:
		return nil
	case tree.Bool:
		return n.Scalar == "true"
	case tree.Number:
		if !json.Valid([]byte(n.Scalar)) {
			l.report(at, IDValue, fmt.Sprintf("%q is not a number of JSON", n.Scalar), "write it in decimal digits, or in quotes")
		}
		return json.Number(n.Scalar)
	case tree.List:
		values := make([]any, 0, len(n.Items))
		for i, item := range n.Items {
			values = append(values, l.free(ctx, item, at.index(i, item.Pos)))
		}
		return values
	case tree.Map:
		values := map[string]any{}
		for _, m := range n.Members {
			here := at.child(clean(m.Key), m.Pos)
			if _, twice := values[m.Key]; twice {
				l.report(here, IDTwice, "is there twice", "keep one of them")
				continue
			}
			values[m.Key] = l.free(ctx, m.Value, here)
		}
		return values
	case tree.Text:
	}
	s, _ := l.expanded(ctx, n, at)
	return s
}

// duration reads 30s or 1h30m. A plain number is taken for seconds, with a warning: other programs mean
// milliseconds.
func (l *loader) duration(s string, at place) (time.Duration, bool) {
	if d, err := time.ParseDuration(s); err == nil {
		return d, true
	}
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(seconds) || math.Abs(seconds) > math.MaxInt64/float64(time.Second)/2 {
		return 0, false
	}
	l.warn(at, IDNoUnit, fmt.Sprintf("%q has no unit and is read as seconds", at.source), fmt.Sprintf("write %ss", at.source))
	return time.Duration(seconds * float64(time.Second)), true
}

// parseSize reads 64MiB, 1.5GB or a number of bytes.
func parseSize(s string) (int64, bool) {
	units := []struct {
		name string
		size float64
	}{{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"b", 1}, {"", 1}}
	s = strings.ToLower(strings.TrimSpace(s))
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err != nil || math.IsNaN(n) || math.Abs(n*u.size) > 1<<62 {
			return 0, false
		}
		return int64(n * u.size), true
	}
	return 0, false
}
