package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/config"
)

func TestSanitizePrefix(t *testing.T) {
	for prefix, want := range map[string]string{
		"": "", "github": "github", "my.server": "my_server", "GitHub-2_x": "GitHub-2_x", "1password": "t_1password", "-a": "t_-a",
		"_a": "t__a", "é": "t__", "日本": "t___", "a b/c:d": "a_b_c_d", "\xff": "t__",
	} {
		if got := config.SanitizePrefix(prefix); got != want {
			t.Errorf("SanitizePrefix(%q) = %q, want %q", prefix, got, want)
		}
	}
}

func TestProblemText(t *testing.T) {
	at := config.Pos{File: "plait.yaml", Line: 3, Col: 5}
	for _, tt := range []struct {
		problem config.Problem
		want    string
	}{
		{
			config.Problem{ID: config.IDURL, Pos: at, Path: "mcpServers.a.url", Msg: "is wrong", Hint: "fix it"},
			"plait.yaml:3:5: mcpServers.a.url: is wrong; fix it [PLAIT-CFG-022]",
		},
		{config.Problem{Pos: at, Msg: "is wrong"}, "plait.yaml:3:5: is wrong"},
		{config.Problem{Pos: config.Pos{File: "plait.yaml"}, Msg: "is wrong"}, "plait.yaml: is wrong"},
		{config.Problem{Msg: "is wrong", Hint: "fix it"}, "is wrong; fix it"},
	} {
		if got := tt.problem.Error(); got != tt.want {
			t.Errorf("Error() = %q, want %q", got, tt.want)
		}
	}
	err := fmt.Errorf("load: %w", config.Problems{{Msg: "one"}, {Msg: "two"}})
	var one config.Problem
	if !errors.As(err, &one) || one.Msg != "one" {
		t.Errorf("As = %v, want the first problem", one)
	}
	if want := "load: one\ntwo"; err.Error() != want {
		t.Errorf("Error() = %q, want %q", err, want)
	}
}

func TestFind(t *testing.T) {
	home := t.TempDir()
	folder := filepath.Join(home, ".config", "plait")
	env := map[string]string{"HOME": home, "USERPROFILE": home, "AppData": filepath.Join(home, ".config"), "XDG_CONFIG_HOME": ""}
	if runtime.GOOS == "darwin" {
		folder = filepath.Join(home, "Library", "Application Support", "plait")
	}
	t.Chdir(home)
	write(t, filepath.Join(home, "plait.yaml"), "mcpServers: {}") // the current folder is never searched
	find := func() string {
		path, err := config.Find(func(name string) (string, bool) { value, ok := env[name]; return value, ok })
		var problems config.Problems
		if err != nil && !errors.As(err, &problems) {
			t.Errorf("Find() = %T, want Problems", err)
		}
		if err != nil {
			path = err.Error()
		}
		return strings.ReplaceAll(path, folder+string(filepath.Separator), "FOLDER/")
	}
	check := func(want string) {
		t.Helper()
		if got := find(); got != want {
			t.Errorf("Find() = %q, want %q", got, want)
		}
	}
	none := "there is no configuration file; write FOLDER/plait.yaml (plait add and plait import do), or name one with --config FILE or $PLAIT_CONFIG [PLAIT-CFG-032]"
	check(none)
	write(t, filepath.Join(folder, "plait.toml", "in a folder"), "")
	check(none)
	write(t, filepath.Join(folder, "plait.json"), "{}")
	check("FOLDER/plait.json")
	write(t, filepath.Join(folder, "plait.yaml"), "")
	check("FOLDER/plait.yaml: stands beside FOLDER/plait.json; keep one of them, or name one with --config FILE [PLAIT-CFG-032]")
	env["PLAIT_CONFIG"] = "elsewhere.yaml"
	check("elsewhere.yaml")
	if runtime.GOOS != "windows" {
		env = map[string]string{}
		check("the home folder is not known; set HOME [PLAIT-CFG-011]")
	}
}

// TestBounds feeds files that are made to use up memory, stack or time.
func TestBounds(t *testing.T) {
	deep := func(open, inner, closing string) string {
		return strings.Repeat(open, 500_000) + inner + strings.Repeat(closing, 500_000)
	}
	var wide, tables strings.Builder
	for i := range 250_000 {
		fmt.Fprintf(&wide, "k%d: 1\n", i)
		fmt.Fprintf(&tables, "[t%d]\n", i)
	}
	for _, tt := range []struct{ name, file, data, want string }{
		{"large", "a.yaml", strings.Repeat("#", 10_000_000), "a.yaml: is larger than 4 MiB; this is hardly a configuration file"},
		{"deep JSON", "a.json", deep("[", "1", "]"), "a.json:1:101: is nested deeper than 100 levels"},
		{"deep JSON map", "a.json", deep(`{"a":`, "1", "}"), "a.json:1:501: is nested deeper than 100 levels"},
		{"deep JSON in text", "a.json", `{"k` + deep("[", "", "") + `": 1}`, "a.json:1:2: ignored keys"},
		{"deep JSON in comment", "a.json", "{} //" + deep("[", "", "") + "\n/*" + deep("{", "", "") + "*/", "a.json: no server is configured"},
		{"deep flow YAML", "a.yaml", deep("[", "1", "]"), "is nested deeper than 100 levels"},
		{"deep block YAML", "a.yaml", strings.Repeat("- ", 500_000) + "a", "is nested deeper than 100 levels"},
		{"deep keys YAML", "a.yaml", strings.Repeat("? ", 500_000) + "a", "is nested deeper than 100 levels"},
		{"deep TOML", "a.toml", "a = " + deep("[", "1", "]"), "a.toml:1:"},
		{"deep TOML tables", "a.toml", "a = " + deep("{a=", "1", "}"), "a.toml:1:"},
		{"deep TOML key", "a.toml", strings.Repeat("a.", 500_000) + "a = 1", "is nested deeper than 100 levels"},
		{"deep TOML header", "a.toml", "[" + strings.Repeat("a.", 500_000) + "a]", "is nested deeper than 100 levels"},
		{"YAML bomb", "a.yaml", bomb(), "holds more than 200000 values once its aliases are followed"},
		{"wide JSON", "a.json", "[" + strings.Repeat("1,", 300_000) + "1]", "holds more than 200000 values"},
		{"wide YAML", "a.yaml", wide.String(), "holds more than 200000 values"},
		{"wide TOML", "a.toml", tables.String(), "holds more than 20000 values"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := config.Parse(t.Context(), tt.file, []byte(tt.data), config.Options{LookupEnv: environment})
			if err == nil {
				err = cfg.Warnings
			}
			got := err.Error()
			if !strings.Contains(strings.ReplaceAll(got, `a[`, ""), tt.want) && !strings.HasPrefix(got, tt.want) || len(got) > 1_000_000 {
				t.Errorf("Parse = %.300q, want %q", got, tt.want)
			}
		})
	}
	t.Run("large file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "plait.yaml")
		if err := os.WriteFile(path, bytes.Repeat([]byte("#"), 10_000_000), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := config.Load(t.Context(), path, config.Options{LookupEnv: environment})
		if want := path + ": is larger than 4 MiB; this is hardly a configuration file [PLAIT-CFG-009]"; err == nil || err.Error() != want {
			t.Errorf("Load = %v, want %v", err, want)
		}
	})
}

// TestEnvFile checks who wins: env, the environment, a later file, an earlier file.
func TestEnvFile(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "one.env"), "# a comment\nexport A=one\nB=one\nTOKEN=one\nQUOTED='a # $B'\nSECOND=two.env\n#CR")
	write(t, filepath.Join(folder, "two.env"), "#BOMB=two\nC=two\nURL=https://example.com/${B}\n")
	write(t, filepath.Join(folder, "plait.yaml"), `
mcpServers:
  a: {command: "run-${B}", envFile: [one.env, "${SECOND}"], env: {C: "${C}+", OWN: "${TOKEN}"}}
  b: {url: "${URL}", envFile: two.env}
`)
	cfg := load(t, filepath.Join(folder, "plait.yaml"))
	want := map[string]config.Secret{
		"A": "one", "B": "two", "TOKEN": "s3cret", "QUOTED": "a # $B", "SECOND": "two.env", "C": "two+", "OWN": "s3cret",
		"URL": "https://example.com/two",
	}
	if d := cmp.Diff(want, cfg.Servers[0].Env); d != "" {
		t.Errorf("Env (-want +got):\n%s", d)
	}
	if got, want := cfg.Servers[0].Command, "run-two"; got != want {
		t.Errorf("Command = %q, want %q", got, want)
	}
	if got, want := cfg.Servers[1].URL, "https://example.com/two"; got != want {
		t.Errorf("URL = %q, want %q", got, want)
	}
}
