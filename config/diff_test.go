package config_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/config"
)

// relabel are the fields of a server that its connection does not depend on; all others do.
var relabel = []string{
	"Name", "Pos", "Prefix", "CallTimeout", "Methods", "Required", "MaxConcurrent", "MaxResultBytes", "Tools", "Prompts",
	"Resources", "Profile", "Secrets",
}

// TestFingerprintFields changes each field of a server: every one either reconnects or is known to only relabel, and
// none is forgotten by Diff.
func TestFingerprintFields(t *testing.T) {
	for field := range reflect.TypeFor[config.Server]().Fields() {
		if field.Name == "Secrets" {
			continue // parts of the other fields
		}
		t.Run(field.Name, func(t *testing.T) {
			before, after := &config.Server{Name: "a", Type: config.HTTP}, &config.Server{Name: "a", Type: config.HTTP}
			v := reflect.ValueOf(after).Elem().FieldByIndex(field.Index)
			if field.Type == reflect.TypeFor[config.Pos]() {
				v.Field(1).SetInt(7)
			} else {
				fill(t, v)
			}
			same := before.Fingerprint() == after.Fingerprint()
			if want := slices.Contains(relabel, field.Name); same != want {
				t.Errorf("Fingerprint is the same: %t, want %t", same, want)
			}
			want := config.Restart
			switch {
			case field.Name == "Name":
				want = config.Start
			case field.Name == "Pos", field.Name == "Secrets": // which stand in other fields, too
				want = config.Keep
			case same:
				want = config.Relabel
			}
			c := config.Diff(&config.Config{Servers: []*config.Server{before}}, &config.Config{Servers: []*config.Server{after}}).Changes[0]
			named := len(c.Keys) > 0 && c.Keys[0] != ""
			if reconnects := want == config.Restart || want == config.Relabel; c.Action != want || reconnects != named && field.Name != "Problems" {
				t.Errorf("Diff = %v %q, want %v", c.Action, c.Keys, want)
			}
		})
	}
}

// fill gives v another value than zero.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString("filled")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		fill(t, value)
		v.SetMapIndex(reflect.ValueOf("key"), value)
	case reflect.Struct:
		fill(t, v.Field(v.NumField()-1))
		fill(t, v.Field(0))
	case reflect.Interface:
		v.Set(reflect.ValueOf("filled"))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	default:
		t.Fatalf("no value of kind %v", v.Kind())
	}
}

// TestDiffGlobal changes each field of the configuration outside the servers: none is forgotten.
func TestDiffGlobal(t *testing.T) {
	for field := range reflect.TypeFor[config.Config]().Fields() {
		if slices.Contains([]string{"Path", "Files", "Servers", "Identities", "Warnings"}, field.Name) {
			continue
		}
		after := &config.Config{}
		fill(t, reflect.ValueOf(after).Elem().FieldByIndex(field.Index))
		plan := config.Diff(&config.Config{}, after)
		if len(plan.Global) == 0 || !strings.EqualFold(strings.Split(plan.Global[0], ".")[0], field.Name) {
			t.Errorf("%s: Global = %q", field.Name, plan.Global)
		}
	}
}

// brief returns a plan in a few lines.
func brief(p config.Plan) string {
	var b strings.Builder
	for _, c := range p.Changes {
		fmt.Fprintln(&b, strings.TrimSpace(fmt.Sprintf("%v %s %s", c.Action, c.Server, strings.Join(c.Keys, " "))))
	}
	for _, key := range p.Global {
		fmt.Fprintln(&b, "global", key)
	}
	return b.String()
}

func TestDiff(t *testing.T) {
	const before = `
mcpServers:
  a: {url: "https://a.example/mcp", headers: {A: "1", B: "2"}, tools: {deny: ["x*"], rename: {one: uno}}}
  b: {command: run, args: [one], env: {LOG: warn}, ping: {interval: 10s}}
  c: {url: "https://c.example/mcp"}
`
	const kept = "keep a\nkeep b\nkeep c\n"
	tests := map[string]struct{ after, want string }{
		"nothing":            {before, kept},
		"lines and comments": {"# one\n\n\n" + before, kept},
		"order of keys":      {strings.Replace(before, `{A: "1", B: "2"}`, `{B: "2", A: "1"}`, 1), kept},
		"a default, written": {strings.Replace(before, `command: run`, `command: run, callTimeout: 600s`, 1), kept},
		"a header":           {strings.Replace(before, `B: "2"`, `C: "2"`, 1), "restart a headers.B headers.C\nkeep b\nkeep c\n"},
		"arguments":          {strings.Replace(before, `[one]`, `[one, two]`, 1), "keep a\nrestart b args\nkeep c\n"},
		"a filter":           {strings.Replace(before, `["x*"]`, `["y*"]`, 1), "relabel a tools.deny\nkeep b\nkeep c\n"},
		"a filter and a name": {
			strings.Replace(before, `["x*"], rename: {one: uno}`, `[], rename: {one: un}`, 1),
			"relabel a tools.deny tools.rename.one\nkeep b\nkeep c\n",
		},
		"a prefix and a wire": {
			strings.Replace(before, `interval: 10s}`, `interval: 11s}, prefix: z`, 1),
			"keep a\nrestart b ping.interval prefix\nkeep c\n",
		},
		"another name": {strings.Replace(before, "\n  a:", "\n  n:", 1), "start n\nkeep b\nkeep c\nstop a\n"},
		"gone":         {strings.Replace(before, `"https://c.example/mcp"`, `"https://c.example/mcp", disabled: true`, 1), "keep a\nkeep b\nstop c\n"},
		"another order": {
			"mcpServers:\n  c: {url: \"https://c.example/mcp\"}\n" + strings.Split(strings.TrimPrefix(before, "\nmcpServers:\n"), "  c:")[0],
			"keep c\nkeep a\nkeep b\nglobal mcpServers\n",
		},
		"broken": {
			strings.Replace(before, `https://c.example/mcp`, `${NOT_THERE}`, 1), "keep a\nkeep b\nrestart c url\n",
		},
		"broken without effect on the wire": {
			strings.Replace(before, `["x*"]`, `["[x"]`, 1), "restart a tools.deny tools.deny[0]\nkeep b\nkeep c\n",
		},
		"outside": {"naming: {separator: __}\nlog: {level: debug}\nstartup: {wait: 4s}" + before, kept + "global startup.wait\nglobal log.level\nglobal naming.separator\n"},
	}
	parse := func(t *testing.T, text string) *config.Config {
		t.Helper()
		cfg, err := config.Parse(t.Context(), filepath.Join(t.TempDir(), "plait.yaml"), []byte(text), config.Options{LookupEnv: environment})
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			old, now := parse(t, before), parse(t, tt.after)
			plan := config.Diff(old, now)
			if d := cmp.Diff(tt.want, brief(plan)); d != "" {
				t.Errorf("Diff (-want +got):\n%s", d)
			}
			if quiet := tt.want == kept; plan.Quiet() != quiet {
				t.Errorf("Quiet = %t, want %t", plan.Quiet(), quiet)
			}
			if c := plan.Changes[0]; c.Action != config.Stop && c.Pos != now.Servers[0].Pos {
				t.Errorf("Pos = %v, want that of the new file", c.Pos)
			}
		})
	}
	t.Run("nil", func(t *testing.T) {
		cfg := parse(t, before)
		for _, tt := range []struct {
			old, now *config.Config
			want     string
		}{
			{nil, cfg, "start a\nstart b\nstart c\n"}, {cfg, nil, "stop a\nstop b\nstop c\n"}, {nil, nil, ""},
		} {
			if got := brief(config.Diff(tt.old, tt.now)); got != tt.want {
				t.Errorf("Diff = %q, want %q", got, tt.want)
			}
		}
	})
	t.Run("still broken", func(t *testing.T) {
		broken := strings.Replace(before, `["x*"]`, `["[x"]`, 1)
		if got, want := brief(config.Diff(parse(t, broken), parse(t, "#\n"+broken))), kept; got != want {
			t.Errorf("Diff = %q, want %q", got, want)
		}
	})
}

// TestFingerprintOutside checks what counts although it does not stand in the file.
func TestFingerprintOutside(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "plait.yaml")
	write(t, filepath.Join(folder, "ca.pem"), "one")
	write(t, file, `mcpServers: {a: {url: "https://example.com/mcp", caFile: ca.pem}, b: {command: run, inheritEnv: ["FINGER*"]}}`)
	t.Setenv("FINGERTIP", "1")
	before := load(t, file)
	first := before.Servers[1].Fingerprint()
	write(t, filepath.Join(folder, "ca.pem"), "two")
	after := load(t, file)
	if got, want := brief(config.Diff(before, after)), "restart a caFile\nkeep b\n"; got != want {
		t.Errorf("Diff = %q, want %q", got, want)
	}
	t.Setenv("FINGERTIP", "2")
	if after.Servers[1].Fingerprint() == first {
		t.Error("the value of an inherited variable does not count")
	}
	t.Setenv("FINGERTIP", "1")
	t.Setenv("TOE", "1")
	if after.Servers[1].Fingerprint() != first {
		t.Error("a variable that is not inherited counts")
	}
	renamed := *after.Servers[1]
	renamed.Name, renamed.Prefix, renamed.CallTimeout = "other", "o", time.Minute
	if renamed.Fingerprint() != first {
		t.Error("the name counts")
	}
}
