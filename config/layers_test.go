package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/plait-mcp/plait/config"
)

// folderOf writes the files of an archive into a new folder.
func folderOf(t *testing.T, archive string) string {
	t.Helper()
	folder := t.TempDir()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		write(t, filepath.Join(folder, f.Name), string(f.Data))
	}
	return folder
}

// inFolder returns an environment whose cache is in the folder.
func inFolder(folder string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if name == "XDG_CACHE_HOME" {
			return filepath.Join(folder, "cache"), true
		}
		return environment(name)
	}
}

// names returns the names of the servers of a configuration.
func names(cfg *config.Config) string {
	var all []string
	for _, s := range cfg.Servers {
		all = append(all, s.Name)
	}
	return strings.Join(all, " ")
}

// TestLayers checks who wins, what is merged and what is replaced, and where things stand.
func TestLayers(t *testing.T) {
	folder := folderOf(t, `
-- plait.yaml --
extends: [team/base.toml, team/more.json]
startup: {wait: 2s}
mcpServers:
  c: {command: npx, tools: {deny: ["x*"]}}
  b: {args: [three]}
  gone: null
-- team/base.toml --
extends = "deep/base.yaml"
[log]
level = "debug"
[startup]
wait = "1s"
[mcpServers.a]
command = "./tool"
env = { FROM = "base", KEEP = "1" }
[mcpServers.b]
command = "npx"
args = ["one", "two"]
callTimeout = "1m"
[mcpServers.b.tools]
allow = ["get_*", "list_*"]
[mcpServers.gone]
command = "npx"
-- team/more.json --
{"mcpServers": {"a": {"env": {"FROM": "more"}}, "b": {"callTimeout": null}}, "theme": "dark"}
-- team/deep/base.yaml --
log: {level: warn, format: json}
mcpServers:
  z: {command: npx, cwd: .}
-- plait.local.yaml --
mcpServers:
  b: {tools: {allow: ["local_*"]}, env: {FROM: local}}
  local: {command: npx}
`)
	cfg := load(t, filepath.Join(folder, "plait.yaml"))
	if got, want := names(cfg), "z a b c local"; got != want {
		t.Errorf("servers %s, want %s", got, want)
	}
	if cfg.Startup.Wait != 2*time.Second || cfg.Log.Level != "debug" || cfg.Log.Format != "json" {
		t.Errorf("Startup %+v Log %+v", cfg.Startup, cfg.Log)
	}
	z, a, b := cfg.Servers[0], cfg.Servers[1], cfg.Servers[2]
	if want := filepath.Join(folder, "team", "deep"); z.Cwd != want {
		t.Errorf("Cwd %q, want %q", z.Cwd, want)
	}
	if want := filepath.Join(folder, "team", "tool"); a.Command != want {
		t.Errorf("Command %q, want %q", a.Command, want)
	}
	if d := cmp.Diff(map[string]config.Secret{"FROM": "more", "KEEP": "1"}, a.Env); d != "" {
		t.Errorf("Env (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"three"}, b.Args); d != "" {
		t.Errorf("Args (-want +got):\n%s", d)
	}
	if b.CallTimeout != 10*time.Minute {
		t.Errorf("CallTimeout %v, want that of plait", b.CallTimeout)
	}
	local := filepath.Join(folder, "plait.local.yaml")
	if d := cmp.Diff([]config.Glob{{Text: "local_*", Pos: config.Pos{File: local, Line: 2, Col: 23}}}, b.Tools.Allow); d != "" {
		t.Errorf("Allow (-want +got):\n%s", d)
	}
	if got, want := b.Pos, (config.Pos{File: filepath.Join(folder, "team", "base.toml"), Line: 9, Col: 13}); got != want {
		t.Errorf("Pos %v, want %v", got, want)
	}
	if got, want := cfg.Warnings.Error(), "ignored keys of other programs: theme [PLAIT-CFG-034]"; !strings.HasSuffix(got, want) {
		t.Errorf("warnings %q", got)
	}
}

// TestFiles checks that every file which decides the configuration is named, there or not, also when nothing loads.
func TestFiles(t *testing.T) {
	folder := folderOf(t, `
-- plait.yaml --
extends: team/base.yaml
envFile: .env
mcpServers:
  a: {url: https://example.com, caFile: ca.pem, headers: {A: "${file:token}"}, envFile: [a.env]}
-- team/base.yaml --
mcpServers:
  b: {url: https://example.com, caFile: missing.pem}
  off: {disabled: true, url: https://example.com, caFile: off.pem}
-- .env --
-- ca.pem --
`)
	path := filepath.Join(folder, "plait.yaml")
	cfg, err := config.Load(t.Context(), path, config.Options{LookupEnv: environment})
	if err != nil {
		t.Fatal(err)
	}
	check := func(want ...string) {
		t.Helper()
		var got []string
		for _, file := range cfg.Files {
			name, err := filepath.Rel(folder, file)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, filepath.ToSlash(name))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("Files (-want +got):\n%s", d)
		}
	}
	local := []string{"plait.local.yaml", "plait.local.yml", "plait.local.toml", "plait.local.json", "plait.local.jsonc"}
	check(append(append([]string{"plait.yaml", "team/base.yaml"}, local...), ".env", "team/missing.pem", "a.env", "token", "ca.pem")...)

	write(t, filepath.Join(folder, "team", "base.yaml"), "a: [")
	if cfg, err = config.Load(t.Context(), path, config.Options{LookupEnv: environment}); err == nil {
		t.Fatal("a broken layer loads")
	}
	check(append([]string{"plait.yaml", "team/base.yaml"}, local...)...)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if cfg, err = config.Load(t.Context(), path, config.Options{LookupEnv: environment}); err == nil || cfg.Path != path {
		t.Fatalf("Load = %+v, %v", cfg, err)
	}
	check("plait.yaml")
}

func TestDefaults(t *testing.T) {
	folder := folderOf(t, `
-- plait.yaml --
envFile: .env
defaults:
  callTimeout: 1m
  ping: {interval: 5s}
  headers: {Authorization: "Bearer ${KEY}", X-Team: a}
  env: {LOG: warn}
  inheritEnv: [LANG]
  transport: http
  tools: {deny: ["delete_*"], allow: [a]}
  lazy: true
mcpServers:
  a: {url: https://example.com, headers: {X-Team: b}, tools: {allow: [b, c]}, ping: {timeout: 1s}}
  b: {command: npx, callTimeout: 2m, envFile: b.env, env: {KEY: "${KEY}"}}
-- .env --
KEY=from-env-file
TOKEN=not this
-- b.env --
KEY=from-b
OTHER=1
`)
	cfg := load(t, filepath.Join(folder, "plait.yaml"))
	if len(cfg.Warnings) > 0 {
		t.Errorf("warnings: %v", cfg.Warnings)
	}
	a, b := cfg.Servers[0], cfg.Servers[1]
	if a.CallTimeout != time.Minute || b.CallTimeout != 2*time.Minute || !a.Lazy || a.Transport != config.HTTPOnly || b.Transport != "" {
		t.Errorf("a %+v, b %+v", a, b)
	}
	if want := (config.Ping{Interval: 5 * time.Second, Timeout: time.Second}); a.Ping != want {
		t.Errorf("Ping %v, want %v", a.Ping, want)
	}
	if d := cmp.Diff(map[string]config.Secret{"Authorization": "Bearer from-env-file", "X-Team": "b"}, a.Headers); d != "" {
		t.Errorf("Headers (-want +got):\n%s", d)
	}
	if len(a.Env) > 0 || len(b.Headers) > 0 {
		t.Errorf("a has variables %v, b has headers %v", a.Env, b.Headers)
	}
	if d := cmp.Diff(map[string]config.Secret{"LOG": "warn", "KEY": "from-b", "OTHER": "1"}, b.Env); d != "" {
		t.Errorf("Env (-want +got):\n%s", d)
	}
	at := func(line, col int) config.Pos { return config.Pos{File: cfg.Path, Line: line, Col: col} }
	want := config.Rules{
		Allow: []config.Glob{{Text: "b", Pos: at(12, 71)}, {Text: "c", Pos: at(12, 74)}},
		Deny:  []config.Glob{{Text: "delete_*", Pos: at(9, 18)}}, Unannotated: "hide",
	}
	if d := cmp.Diff(want, a.Tools, cmpopts.IgnoreFields(config.Rules{}, "Places")); d != "" {
		t.Errorf("Tools (-want +got):\n%s", d)
	}
}

func TestProfiles(t *testing.T) {
	folder := folderOf(t, `
-- plait.yaml --
mcpServers:
  a: {command: npx}
  b: {command: npx, frobnicate: 1}
  c: {command: npx, disabled: true}
profiles:
  review: {servers: [a, c], tools: {readOnly: true}}
  empty: {servers: []}
  all:
-- default.yaml --
extends: plait.yaml
profiles:
  default: {servers: [a]}
`)
	for _, tt := range []struct {
		file, profile string
		servers       []string
		none          bool
		want, chosen  string
	}{
		{file: "plait.yaml", want: "a b"},
		{file: "plait.yaml", profile: "review", want: "a", chosen: "review"},
		{file: "plait.yaml", profile: "empty", chosen: "empty"},
		{file: "plait.yaml", profile: "all", want: "a b", chosen: "all"},
		{file: "plait.yaml", servers: []string{"b"}, want: "b"},
		{file: "plait.yaml", profile: "review", servers: []string{"b"}, chosen: "review"},
		{file: "plait.yaml", profile: "reviews", want: `plait.yaml: there is no profile "reviews"; did you mean "review"? [PLAIT-CFG-030]`},
		{file: "plait.yaml", servers: []string{"x", "a"}, want: `plait.yaml: there is no server "x"; there are a, b, c [PLAIT-CFG-031]`},
		{file: "default.yaml", want: "a", chosen: "default"},
		{file: "default.yaml", profile: "all", want: "a b", chosen: "all"},
		{file: "default.yaml", none: true, want: "a b"},
	} {
		cfg, err := config.Load(t.Context(), filepath.Join(folder, tt.file), config.Options{
			LookupEnv: environment, Profile: tt.profile, Servers: tt.servers, NoDefaultProfile: tt.none,
		})
		got := names(cfg)
		if err != nil {
			got, _, _ = strings.Cut(strings.ReplaceAll(err.Error(), folder+string(filepath.Separator), ""), "\n")
		}
		if got != tt.want || err == nil && cfg.Profile != tt.chosen {
			t.Errorf("%+v: got %s, profile %q", tt, got, cfg.Profile)
		}
		for _, s := range cfg.Servers {
			if s.Profile.Tools.ReadOnly != (tt.chosen == "review") {
				t.Errorf("%+v: profile of server %s: %+v", tt, s.Name, s.Profile)
			}
		}
	}
}
