package main_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// together is the configuration of every real server at once: server-everything over the three wires, and two others.
func together(tb testing.TB, e map[string]everything) string {
	tb.Helper()
	servers := filesAndMemory(tb, tb.TempDir())
	for wire, server := range e {
		servers[wire] = server.server("ev-" + wire)
	}
	return configFile(tb, servers)
}

// startEverythings starts a server-everything on each wire.
func startEverythings(tb testing.TB) map[string]everything {
	tb.Helper()
	e := map[string]everything{}
	for _, wire := range wires {
		e[wire] = startEverything(tb, wire)
	}
	return e
}

// TestE2EOfficialClient lets the client of the official TypeScript SDK use all that server-everything has, over
// each wire, with all servers configured at once.
func TestE2EOfficialClient(t *testing.T) {
	t.Parallel()
	e := startEverythings(t)
	// What a server can send by itself and server-everything can be made to send.
	want := []string{
		"elicitation/create", "roots/list", "sampling/createMessage", "tasks/result",
		"notifications/message", "notifications/progress",
		"notifications/resources/list_changed", "notifications/resources/updated", "notifications/tasks/status",
	}
	for _, wire := range wires {
		t.Run(wire, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"--prefix", "ev-" + wire + "_", "--alias", wire + "+"}, throughPlait(t, together(t, e))...)
			got := recordClient(t, args...)
			if got.Ended != "stdin" {
				t.Errorf("plait ended after %s, want the end of stdin", got.Ended)
			}
			have := got.methods()
			for _, method := range want {
				if have[method] == 0 {
					t.Errorf("the client saw no %s, only %v", method, slices.Sorted(maps.Keys(have)))
				}
			}
		})
	}
}

// TestE2ECapabilities compares the tools that server-everything shows to clients with different capabilities.
func TestE2ECapabilities(t *testing.T) {
	t.Parallel()
	e := startEverythings(t)
	config := together(t, e)
	for profile, want := range map[string]int{"none": 13, "basic": 17, "full": 19} {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			list := []string{"--profile", profile, "--only", "^list tools$"}
			through := recordClient(t, append(list, throughPlait(t, config)...)...).step("list tools").listed(t, "tools")
			for _, wire := range wires {
				direct := recordClient(t, append(list, e[wire].directly()...)...).step("list tools").listed(t, "tools")
				if len(direct) != want {
					t.Errorf("directly over %s: %d tools, want %d: %q", wire, len(direct), want, direct)
				}
				if got := unprefixed(through, "ev-"+wire+"_"); !slices.Equal(got, direct) {
					t.Errorf("through plait, over %s: tools\n%q, want\n%q", wire, got, direct)
				}
			}
		})
	}
}

// unprefixed returns the names that begin with prefix, without it.
func unprefixed(names []string, prefix string) []string {
	var own []string
	for _, name := range names {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			own = append(own, rest)
		}
	}
	return own
}
