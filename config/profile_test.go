package config_test

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/config"
)

// everyProfile has clients choose among all profiles.
func everyProfile(config.ServeHTTP) bool { return true }

const manyProfiles = `
mcpServers:
  a: {command: npx, args: ["${file:secret}"], tools: {deny: [x]}}
  b: {command: npx, frobnicate: 1}
  c: {command: npx, prefix: a}
  d: {command: npx, disabled: true}
  e: {url: https://example.com/mcp, identity: work, required: true}
  f: {command: npx, args: ["${file:none}"], required: true}
identities:
  work: {grant: header, headers: {X-Key: "${file:secret}"}}
profiles:
  default: {servers: [a, e]}
  clash: {servers: [a, c], tools: {readOnly: true}}
  apart: {servers: [c, d, b], tools: {allow: ["y*"]}, prompts: {deny: [z]}}
  empty: {servers: []}
  off: {servers: [f]}
  "a/b ü": {servers: [a], tools: {deny: [y]}}
`

// TestAllProfiles has each profile be what it is when it is chosen alone: servers, rules and mistakes.
func TestAllProfiles(t *testing.T) {
	folder := folderOf(t, "-- plait.yaml --"+manyProfiles+"-- secret --\nhunter2-hunter2\n")
	file := filepath.Join(folder, "plait.yaml")
	for _, chosen := range []string{"", "clash", "apart"} {
		all, err := config.Load(t.Context(), file, config.Options{LookupEnv: environment, Profile: chosen, AllProfiles: everyProfile})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Join(slices.Sorted(maps.Keys(all.Profiles)), " "), "a/b ü apart clash default empty off"; got != want {
			t.Errorf("profiles %q, want %q", got, want)
		}
		here, err := config.Load(t.Context(), file, config.Options{LookupEnv: environment, Profile: chosen})
		if err != nil || here.Profiles != nil {
			t.Fatalf("%v %v", err, here.Profiles)
		}
		if d := cmp.Diff(here.Servers, all.Servers); d != "" || all.Profile != here.Profile {
			t.Errorf("chosen %q (-alone +with all profiles):\n%s", all.Profile, d)
		}
		for name, got := range all.Profiles {
			want, err := config.Load(t.Context(), file, config.Options{LookupEnv: environment, Profile: name})
			if name == "off" { // nothing works without its server
				if problems := got.Problems(); err == nil || len(problems) != 1 || !strings.HasPrefix(err.Error(), problems[0].Error()) {
					t.Errorf("profile %q: %v, want %v", name, problems, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want.Servers, got.Servers); d != "" || got.Profile != name {
				t.Errorf("profile %q (-chosen +one of all):\n%s", name, d)
			}
			if got.Path != all.Path || got.Profiles != nil || len(got.Identities) != 1 || !cmp.Equal(got.Files, all.Files) {
				t.Errorf("profile %q: %+v", name, got)
			}
		}
	}
}

// TestAllServers has each server be there once, without rules of a profile where none is chosen that has it.
func TestAllServers(t *testing.T) {
	folder := folderOf(t, "-- plait.yaml --"+manyProfiles+"-- secret --\nhunter2-hunter2\n")
	cfg, err := config.Load(t.Context(), filepath.Join(folder, "plait.yaml"), config.Options{LookupEnv: environment, Profile: "a/b ü", AllProfiles: everyProfile})
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]bool{}
	for _, s := range cfg.AllServers() {
		if _, twice := rules[s.Name]; twice {
			t.Errorf("%s is there twice", s.Name)
		}
		rules[s.Name] = len(s.Profile.Tools.Deny)+len(s.Profile.Tools.Allow) > 0
	}
	if d := cmp.Diff(map[string]bool{"a": true, "b": false, "c": false, "e": false, "f": false}, rules); d != "" {
		t.Errorf("servers, and whether rules of a profile hold (-want +got):\n%s", d)
	}
}

// TestDiffProfiles tells of profiles that come, go or show something else, and of servers once.
func TestDiffProfiles(t *testing.T) {
	load := func(yaml, chosen string) *config.Config {
		t.Helper()
		cfg, err := config.Parse(t.Context(), "plait.yaml", []byte(yaml), config.Options{LookupEnv: environment, Profile: chosen, AllProfiles: everyProfile})
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	const before = "mcpServers: {a: {command: x}, b: {command: x}}\nprofiles: {p: {servers: [a]}, q: {servers: [b], tools: {deny: [x]}}, r: {}}\n"
	for _, tt := range []struct {
		name, old, now, chosen string
		want                   []string
	}{
		{name: "nothing", now: before},
		{name: "one goes", now: strings.Replace(before, "p: {servers: [a]}, ", "", 1), want: []string{"profiles.p"}},
		{name: "one comes", old: "s: {}, r: {}", want: []string{"profiles.s"}},
		{name: "rules", now: strings.Replace(before, "deny: [x]", "deny: [y]", 1), want: []string{"profiles.q"}},
		{name: "another server", now: strings.Replace(before, "[a]", "[a, b]", 1), want: []string{"profiles.p"}},
		{name: "another server of the one that is chosen", now: strings.Replace(before, "[a]", "[a, b]", 1), chosen: "p", want: []string{"a relabel profile.servers", "b relabel profile.servers profile.tools.unannotated", "profiles.p"}},
		{name: "rules of the one that is chosen", now: strings.Replace(before, "deny: [x]", "deny: [y]", 1), chosen: "q", want: []string{"b relabel profile.tools.deny", "profiles.q"}},
		{name: "a server that is elsewhere", now: strings.Replace(before, "b: {command: x}", "b: {command: y}", 1), chosen: "p", want: []string{"b restart command"}},
		{name: "a server goes", now: "mcpServers: {a: {command: x}}\nprofiles: {p: {servers: [a]}, q: {servers: []}, r: {}}\n", chosen: "p", want: []string{"b stop ", "profiles.q", "profiles.r"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.old != "" {
				tt.now = strings.Replace(before, "r: {}", tt.old, 1)
			}
			var got []string
			plan := config.Diff(load(before, tt.chosen), load(tt.now, tt.chosen))
			for _, c := range plan.Changes {
				if c.Action != config.Keep {
					got = append(got, c.Server+" "+c.Action.String()+" "+strings.Join(c.Keys, " "))
				}
			}
			if d := cmp.Diff(tt.want, append(got, plan.Global...)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
