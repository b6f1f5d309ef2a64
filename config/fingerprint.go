package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/config/tree"
)

// labels are the keys of a server that its connection does not depend on: they take effect without a new one. Every
// other field of Server decides the connection.
func labels() []string {
	return []string{
		"prefix", "callTimeout", "methods", "required", "maxConcurrent", "maxResultBytes", "tools", "prompts", "resources",
	}
}

// Fingerprint returns the hex SHA-256 of all that decides the connection to the server, of nothing else: two
// servers with the same fingerprint may share a connection, whatever they are called. The contents of TLS files count
// as they were when the configuration was loaded, and so do the variables of plait's own environment that the server
// inherits. A misconfigured server never has the fingerprint of one that may be used.
func (s *Server) Fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "misconfigured %t\n", len(s.Problems) > 0)
	v := reflect.ValueOf(s).Elem()
	for f := range v.Type().Fields() {
		tag := f.Tag.Get("koanf")
		if tag == "-" && f.Name != "Sums" && f.Name != "Identity" || slices.Contains(labels(), tag) {
			continue
		}
		fmt.Fprintf(h, "%s ", f.Name)
		encode(h, v.FieldByIndex(f.Index))
	}
	if s.Type == Stdio {
		encode(h, reflect.ValueOf(inherited(os.Environ(), s.InheritEnv, runtime.GOOS == "windows")))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// inherited returns the variables of environ that one of the patterns names, sorted.
func inherited(environ, patterns []string, ignoreCase bool) []string {
	fold := func(s string) string { return s }
	if ignoreCase {
		fold = strings.ToUpper
	}
	var found []string
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if slices.ContainsFunc(patterns, func(pattern string) bool {
			ok, err := path.Match(fold(pattern), fold(name))
			return ok && err == nil
		}) {
			found = append(found, variable)
		}
	}
	slices.Sort(found)
	return found
}

// encode writes v so that equal settings, and only those, are written alike. Positions are no setting, and nothing is
// the same as empty in a list and a map.
func encode(w io.Writer, v reflect.Value) {
	if v.IsValid() && (v.Type() == reflect.TypeFor[Pos]() || v.Type() == reflect.TypeFor[Places]()) {
		return
	}
	if v.IsValid() && v.Type() == reflect.TypeFor[*Identity]() && !v.IsNil() {
		if i, ok := reflect.TypeAssert[*Identity](v); ok {
			fmt.Fprintf(w, "identity %s\n", i.Fingerprint())
			return
		}
	}
	switch v.Kind() {
	case reflect.Invalid:
		fmt.Fprint(w, "nil\n")
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			fmt.Fprint(w, "nil\n")
			return
		}
		fmt.Fprint(w, "to ")
		encode(w, v.Elem())
	case reflect.Struct:
		for f := range v.Type().Fields() {
			fmt.Fprintf(w, "%s ", f.Name)
			encode(w, v.FieldByIndex(f.Index))
		}
	case reflect.Slice:
		fmt.Fprintf(w, "list %d\n", v.Len())
		for i := range v.Len() {
			encode(w, v.Index(i))
		}
	case reflect.Map:
		fmt.Fprintf(w, "map %d\n", v.Len())
		for _, key := range mapKeys(v) {
			fmt.Fprintf(w, "%q ", key)
			encode(w, v.MapIndex(reflect.ValueOf(key)))
		}
	case reflect.String: // not by fmt: a secret would not tell what it holds
		fmt.Fprintf(w, "%s %q\n", v.Type(), v.String())
	default:
		fmt.Fprintf(w, "%s %v\n", v.Type(), v)
	}
}

// mapKeys returns the keys of maps, all of which are strings.
func mapKeys(maps ...reflect.Value) []string {
	var keys []string
	for _, m := range maps {
		for _, key := range m.MapKeys() {
			keys = append(keys, key.String())
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// sumFiles notes the SHA-256 of the contents of a server's TLS files. One that cannot be read has none: whoever checks
// the server reports it.
func sumFiles(s *Server) {
	for key, name := range map[string]string{"caFile": s.CAFile, "clientCert.cert": s.ClientCert.Cert, "clientCert.key": s.ClientCert.Key} {
		if name == "" {
			continue
		}
		data, err := tree.ReadFile(name, tree.MaxSize)
		if err != nil {
			continue
		}
		if s.Sums == nil {
			s.Sums = map[string]string{}
		}
		sum := sha256.Sum256(data)
		s.Sums[key] = hex.EncodeToString(sum[:])
	}
}
