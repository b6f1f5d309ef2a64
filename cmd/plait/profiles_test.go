package main_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/cmd/internal/control"
)

// profiled is a file with two servers, one of which is shared, and profiles.
func profiled(t *testing.T, profiles map[string]any) (file string, servers [2]*remote, write func(profiles map[string]any)) {
	t.Helper()
	servers = [2]*remote{serveRemote(t, nil), serveRemote(t, nil)}
	content := func(profiles map[string]any) map[string]any {
		return map[string]any{
			"mcpServers": map[string]any{"a": map[string]any{"url": servers[0].mcp(), "shared": true}, "b": map[string]any{"url": servers[1].mcp()}},
			"serve":      map[string]any{"http": map[string]any{"listen": ":0", "limits": map[string]any{"lifetime": "1h"}}},
			"profiles":   profiles, "startup": map[string]any{"wait": "30s", "snapshot": false}, "reload": map[string]any{"watch": false},
		}
	}
	file = jsonFile(t, content(profiles))
	return file, servers, func(profiles map[string]any) {
		text, err := json.Marshal(content(profiles))
		if err == nil {
			err = os.WriteFile(file, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestServeProfiles has clients over HTTP see what the profile of their path shows, over either wire, as over standard
// input and output with --profile.
func TestServeProfiles(t *testing.T) {
	t.Parallel()
	short(t)
	work := map[string]any{"servers": []string{"b"}, "tools": map[string]any{"allow": []string{"echo"}}}
	odd := map[string]any{"servers": []string{"a"}}
	file, servers, write := profiled(t, map[string]any{"work": work, "a/b ü": odd})
	home := append(homeIn(t.TempDir()), "CI=")
	base, _ := listen(t, home, "serve", "--stdio=false", "--config", file)

	seen := map[string]string{}
	for profile, paths := range map[string][]string{
		"": {"/mcp", "/sse"}, "work": {"/mcp/p/work", "/sse/p/work"}, "a/b ü": {"/mcp/p/a%2Fb%20%C3%BC", "/sse/p/a%2Fb%20%C3%BC"},
	} {
		alone := startPlait(t, []string{"CI="}, "serve", "--stdio", "--http", ":0", "--config", file, "--profile", profile)
		go alone.read()
		alone.hello(t)
		want, err := alone.request("tools/list", "{}")
		if err != nil {
			t.Fatal(err)
		}
		alone.quit(t)
		for _, path := range paths {
			c := visitWeb(t, base, path, "{}")
			seen[profile] = c.tools()
			var list struct{ Result json.RawMessage }
			if err := json.Unmarshal(want.line, &list); err != nil {
				t.Fatal(err)
			}
			if got := c.rpc("tools/list", "{}"); string(got.Result) != string(list.Result) {
				t.Errorf("%s:\n got %s\nwant %s", path, got.Result, list.Result)
			}
		}
	}
	if seen["work"] != "b_echo" || !strings.HasPrefix(seen["a/b ü"], "a_") || strings.Contains(seen["a/b ü"], "b_") || !strings.Contains(seen[""], "b_echo") {
		t.Errorf("profiles show %q", seen)
	}
	if got := servers[0].count("initialize"); got != 3 { // twice alone, and once for all that share it
		t.Errorf("the shared server was greeted %d times", got)
	}
	none := &webClient{tb: t, url: base + "/mcp/p/none"}
	if status, said := none.post(`{"jsonrpc":"2.0","id":1,"method":"ping"}`); status != http.StatusNotFound || !strings.Contains(said, "there are a/b ü, work") {
		t.Errorf("no such profile: %d %s", status, said)
	}

	c, legacy := visitWeb(t, base, "/mcp/p/work", "{}"), visitWeb(t, base, "/sse/p/work", "{}")
	plain := visitWeb(t, base, "/sse", "{}")
	c.tools()
	legacy.tools()
	plain.tools()
	c.statusShows(t, home, file)
	write(map[string]any{"a/b ü": map[string]any{"servers": []string{"b"}}, "work": map[string]any{"servers": []string{"b"}}})
	if plan := command(t, home, "plan", "--config", file); !strings.Contains(plan, "profiles.work") || !strings.Contains(plan, "profiles.a/b ü") {
		t.Errorf("the plan is %s", plan)
	}
	if said := command(t, home, "reload", "--config", file); !strings.Contains(said, "profiles.work") {
		t.Errorf("reload says %s", said)
	}
	for _, c := range []*webClient{c, legacy} {
		until(t, "the change", func() bool { return c.heard("tools/list_changed") == 1 })
		if got := c.tools(); len(strings.Fields(got)) != len(story) {
			t.Errorf("the tools are %s", got)
		}
	}
	write(map[string]any{"new": odd})
	command(t, home, "reload", "--config", file)
	if status, said := c.post(`{"jsonrpc":"2.0","id":90,"method":"tools/list"}`); status != http.StatusNotFound || !strings.Contains(said, "there is no such profile; there are new") {
		t.Errorf("a profile that is gone: %d %s", status, said)
	}
	if got := visitWeb(t, base, "/mcp/p/new", "{}").tools(); got != seen["a/b ü"] {
		t.Errorf("the new profile shows %s", got)
	}
	if plain.tools() != seen[""] || plain.heard("list_changed") > 0 {
		t.Error("a client was told of what changed for others")
	}
}

// statusShows expects plait status to tell of the clients.
func (c *webClient) statusShows(t *testing.T, home []string, file string) {
	t.Helper()
	var all []control.Status
	if err := json.Unmarshal([]byte(command(t, home, "status", "--config", file, "--json")), &all); err != nil || len(all) != 1 {
		t.Fatalf("%v %+v", err, all)
	}
	profiles := map[string]int{}
	for _, client := range all[0].Clients {
		profiles[client.Profile]++
		if client.Name != "web" || client.Since == nil || client.Version != "2025-11-25" {
			t.Errorf("the status tells of %+v", client)
		}
	}
	if profiles["work"] < 2 || profiles[""] < 2 || profiles["a/b ü"] < 1 {
		t.Errorf("the status tells of %v", profiles)
	}
	if text := command(t, home, "status", "--config", file); !strings.Contains(text, "client web 2025-11-25, profile work, for ") {
		t.Errorf("the status is %s", text)
	}
}
