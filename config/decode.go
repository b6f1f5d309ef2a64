package config

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
)

// defaults returns the values that hold where the file says nothing. They are the lowest layer: checks come after
// decoding and change nothing.
func defaults(servers []string) map[string]any {
	each := map[string]any{}
	for _, name := range servers {
		each[name] = map[string]any{
			"prefix":         name,
			"enabled":        true,
			"serverStream":   true,
			"connectTimeout": 30 * time.Second,
			"callTimeout":    10 * time.Minute,
			"ping":           map[string]any{"interval": time.Minute, "timeout": 10 * time.Second},
			"tools":          map[string]any{"unannotated": "hide"},
		}
	}
	return map[string]any{
		"version":    1,
		"startup":    map[string]any{"wait": 3 * time.Second, "snapshot": true, "snapshotMaxAge": 720 * time.Hour},
		"reload":     map[string]any{"watch": true, "debounce": 300 * time.Millisecond, "drain": 30 * time.Second},
		"log":        map[string]any{"level": "info", "format": "text"},
		"naming":     map[string]any{"separator": "_", "maxLength": 48, "onTooLong": "shorten", "onCollision": "hash"},
		"limits":     map[string]any{"message": int64(64 << 20)},
		"mcpServers": each,
	}
}

// decode merges the layers, the lowest first, and fills a file. It reports values that do not fit their type.
func (l *loader) decode(layers ...map[string]any) (*file, error) {
	k := koanf.New(separator)
	for _, layer := range layers {
		if err := k.Load(confmap.Provider(layer, ""), nil); err != nil {
			return nil, fmt.Errorf("merge: %w", err)
		}
	}
	var f file
	err := k.UnmarshalWithConf("", &f, koanf.UnmarshalConf{Tag: "koanf", DecoderConfig: &mapstructure.DecoderConfig{
		DecodeHook: mapstructure.DecodeHookFuncValue(l.hook),
		MatchName:  func(key, field string) bool { return key == field },
	}})
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return &f, nil
}

// hook turns a ref into the value that its target wants, or reports why it cannot.
func (l *loader) hook(from, to reflect.Value) (any, error) {
	if from.Type() != reflect.TypeFor[ref]() || to.Kind() == reflect.Pointer {
		return from.Interface(), nil
	}
	v := l.leaves[from.Int()]
	if to.Kind() == reflect.Interface {
		return l.free(v.node, v.at), nil
	}
	scalar, ok := l.expanded(v.node, v.at)
	if !ok {
		return to.Interface(), nil
	}
	value, ok := l.convert(scalar, v.at, to.Type())
	if !ok {
		noun, hint := wanted(to.Type())
		if hint != "" {
			hint = "write " + hint
		}
		l.report(v.at, fmt.Sprintf("%q is not %s", v.at.source, noun), hint)
		return to.Interface(), nil
	}
	return value, nil
}

// expanded returns the text of a scalar with its variables replaced. It is false when nothing stands there that can
// be used, which has been reported.
func (l *loader) expanded(n *node, at place) (string, bool) {
	if n.kind != text {
		return n.scalar, n.kind != null
	}
	s, err := expand(n.scalar, at.env)
	if err != nil {
		l.add(at, asExpandError(err).problem())
		return "", false
	}
	return s, true
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
func (l *loader) free(n *node, at place) any {
	switch n.kind {
	case null:
		return nil
	case boolean:
		return n.scalar == "true"
	case number:
		if !json.Valid([]byte(n.scalar)) {
			l.report(at, fmt.Sprintf("%q is not a number of JSON", n.scalar), "write it in decimal digits, or in quotes")
		}
		return json.Number(n.scalar)
	case list:
		values := make([]any, 0, len(n.items))
		for i, item := range n.items {
			values = append(values, l.free(item, at.index(i, item.pos)))
		}
		return values
	case object:
		values := map[string]any{}
		for _, m := range n.members {
			here := at.child(m.key, m.pos)
			if _, twice := values[m.key]; twice {
				l.report(here, "is there twice", "keep one of them")
				continue
			}
			values[m.key] = l.free(m.value, here)
		}
		return values
	}
	s, _ := l.expanded(n, at)
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
	l.warn(at, fmt.Sprintf("%q has no unit and is read as seconds", at.source), fmt.Sprintf("write %ss", at.source))
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
