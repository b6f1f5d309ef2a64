package config

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
)

// decodeFile decodes all but the servers. Variables of its envFile are there for everything else.
func (l *loader) decodeFile(ctx context.Context) (*file, error) {
	var first struct {
		AllowCommands bool `koanf:"allowCommands"`
	}
	if err := l.decode(ctx, map[string]any{"allowCommands": l.values["allowCommands"]}, &first); err != nil {
		return nil, err
	}
	if at := l.place("allowCommands"); first.AllowCommands && at.layer.remote {
		l.report(at, IDReferenceForbidden, "a remote layer may not allow commands", "write it into a file on this machine")
	} else {
		l.commands = first.AllowCommands
	}
	l.readEnvFiles(ctx, l.values, l.dotenv)
	rest := map[string]any{}
	for key, value := range l.values {
		if key != "mcpServers" && key != "defaults" && key != "envFile" {
			rest[key] = value
		}
	}
	f := defaultFile()
	if err := l.decode(ctx, rest, f); err != nil {
		return nil, err
	}
	return f, nil
}

// isOff tells whether a server is switched off.
func (l *loader) isOff(ctx context.Context, name string, values map[string]any) (bool, error) {
	e := entry{Enabled: true}
	some := map[string]any{}
	for _, key := range []string{"disabled", "enabled"} {
		if value, ok := values[key]; ok {
			some[key] = value
		}
	}
	if len(some) == 0 {
		return false, nil
	}
	if err := l.decode(ctx, some, &e); err != nil {
		return false, err
	}
	mistaken := l.isBroken("mcpServers", name, "disabled") || l.isBroken("mcpServers", name, "enabled")
	return (e.Disabled || !e.Enabled) && !mistaken, nil
}

// decode fills what into points to. It reports values that do not fit their type.
func (l *loader) decode(ctx context.Context, values map[string]any, into any) error {
	d, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		TagName: "koanf",
		Result:  into,
		DecodeHook: mapstructure.DecodeHookFuncValue(func(from, to reflect.Value) (any, error) {
			return l.hook(ctx, from, to), nil
		}),
		MatchName: func(key, field string) bool { return key == field },
	})
	if err == nil {
		err = d.Decode(values)
	}
	if err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	return nil
}

// hook turns a ref into the value that its target wants, or reports why it cannot.
func (l *loader) hook(ctx context.Context, from, to reflect.Value) any {
	if from.Type() != reflect.TypeFor[ref]() || to.Kind() == reflect.Pointer {
		return from.Interface()
	}
	v := l.leaves[from.Int()]
	if to.Kind() == reflect.Interface {
		return l.free(ctx, v.node, v.at)
	}
	scalar, ok := l.expanded(ctx, v.node, v.at)
	if !ok {
		return to.Interface()
	}
	value, ok := l.convert(scalar, v.at, to.Type())
	if !ok {
		noun, hint := wanted(to.Type())
		if hint != "" {
			hint = "write " + hint
		}
		id := IDValue
		if to.Type() == reflect.TypeFor[Glob]() {
			id = IDPattern
		}
		l.report(v.at, id, fmt.Sprintf("%q is not %s", v.at.source, noun), hint)
		return to.Interface()
	}
	return value
}

// expanded returns the text of a scalar with its variables and secret references replaced. It is false when there is
// nothing that can be used, which has been reported or, offline, is not known.
func (l *loader) expanded(ctx context.Context, n *node, at place) (string, bool) {
	if n.kind != text {
		return n.scalar, n.kind != null
	}
	if l.scope != nil && !at.inside { // what stands under defaults may be wrong for one server and right for another
		at.inside, at.server = true, l.scope.at.server
	}
	s, err := expansion{env: l.lookup, secret: func(kind, what string) (string, error) {
		return l.reveal(ctx, kind, what, at)
	}}.expand(n.scalar, 0)
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
func (l *loader) free(ctx context.Context, n *node, at place) any {
	switch n.kind {
	case null:
		return nil
	case boolean:
		return n.scalar == "true"
	case number:
		if !json.Valid([]byte(n.scalar)) {
			l.report(at, IDValue, fmt.Sprintf("%q is not a number of JSON", n.scalar), "write it in decimal digits, or in quotes")
		}
		return json.Number(n.scalar)
	case list:
		values := make([]any, 0, len(n.items))
		for i, item := range n.items {
			values = append(values, l.free(ctx, item, at.index(i, item.pos)))
		}
		return values
	case object:
		values := map[string]any{}
		for _, m := range n.members {
			here := at.child(m.key, m.pos)
			if _, twice := values[m.key]; twice {
				l.report(here, IDTwice, "is there twice", "keep one of them")
				continue
			}
			values[m.key] = l.free(ctx, m.value, here)
		}
		return values
	case text:
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
