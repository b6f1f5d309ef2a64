package main_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The ways through plait.
const (
	alone   = "alone"   // server-everything is the one server and has no prefix
	several = "several" // it has a prefix, and other servers are there
	connect = "connect" // `plait connect URL`
)

// TestDifferential lets the official client do the same directly and through plait, and compares all that it
// sent and saw, byte for byte but for what the table undone lists.
func TestDifferential(t *testing.T) {
	t.Parallel()
	for _, wire := range wires {
		t.Run(wire, func(t *testing.T) {
			t.Parallel()
			// Each client gets a server of its own: sessions with one server-everything see each other's resources.
			one := map[string]any{"everything": startEverything(t, wire).server("")}
			many := filesAndMemory(t, t.TempDir())
			many["everything"] = startEverything(t, wire).server("ev")
			ways := []string{alone, several}
			runs := [][]string{
				startEverything(t, wire).directly(),
				throughPlait(t, configFile(t, one)),
				append([]string{"--prefix", "ev_"}, throughPlait(t, configFile(t, many))...),
			}
			if wire != "stdio" { // which has no URL
				ways = append(ways, connect)
				runs = append(runs, []string{"--", plaitProgram(t), "connect", startEverything(t, wire).url})
			}
			texts := recordClients(t, runs...)
			if t.Failed() {
				return
			}
			for i, way := range ways {
				t.Run(way, func(t *testing.T) {
					want, got := withoutDifferences(t, texts[0], wire, way), withoutDifferences(t, texts[1+i], wire, way)
					compare(t, want, got)
					if t.Failed() {
						t.Log(texts[1+i].log)
					}
				})
			}
		})
	}
}

// withoutDifferences returns a copy of the transcript in which everything that applies is undone.
func withoutDifferences(t *testing.T, text *transcript, wire, way string) *transcript {
	t.Helper()
	encoded, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	var c transcript
	if err := json.Unmarshal(encoded, &c); err != nil {
		t.Fatal(err)
	}
	for _, u := range undone {
		if (u.wire == "" || u.wire == wire) && (u.way == "" || u.way == way) {
			for _, s := range c.Steps {
				if len(u.steps) == 0 || slices.Contains(u.steps, s.Name) {
					u.undo(s, &c)
				}
			}
		}
	}
	return &c
}

// compare reports the steps that differ.
func compare(t *testing.T, want, got *transcript) {
	t.Helper()
	if len(want.Steps) != len(got.Steps) {
		t.Fatalf("%d steps, want %d", len(got.Steps), len(want.Steps))
	}
	for i, s := range want.Steps {
		if diff := cmp.Diff(s, got.Steps[i]); diff != "" {
			t.Errorf("step %q (-direct +through plait):\n%s", s.Name, diff)
		}
	}
}
