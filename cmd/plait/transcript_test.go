package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// transcript is what client.mjs says it saw.
type transcript struct {
	Ended string // what it took until the server left: "stdin", "SIGTERM", "SIGKILL"; only for a process
	Steps []*step
}

type step struct {
	Name    string
	Sent    []string // the text of each message
	Seen    []seen
	Failure json.RawMessage
}

type seen struct {
	Kind   string // "answer", "notification" or "request"
	Method string
	Raw    string // the text of the message
}

// recordClient runs client.mjs, all of whose steps must end as they should.
func recordClient(tb testing.TB, args ...string) *transcript {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "transcript.json")
	got := runProgram(tb, testEnv(tb), append([]string{nodeJS(tb, 20), peerFile(tb, "client.mjs"), "--out", file}, args...)...)
	if got.err != nil {
		tb.Errorf("client.mjs %q: %v\n%s", args, got.err, got.stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	var t transcript
	if err := json.Unmarshal(text, &t); err != nil {
		tb.Fatal(err)
	}
	return &t
}

// throughPlait returns the arguments of client.mjs for plait with a configuration.
func throughPlait(tb testing.TB, config string) []string {
	tb.Helper()
	return []string{"--", plaitProgram(tb), "serve", "--config", config}
}

// step returns the step of that name, or nil.
func (t *transcript) step(name string) *step {
	for _, s := range t.Steps {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// methods returns how often the server has sent what to the client.
func (t *transcript) methods() map[string]int {
	count := map[string]int{}
	for _, s := range t.Steps {
		for _, m := range s.Seen {
			if m.Kind != "answer" {
				count[m.Method]++
			}
		}
	}
	return count
}

// listed returns the names in a list that the step got.
func (s *step) listed(tb testing.TB, member string) []string {
	tb.Helper()
	var names []string
	for _, m := range s.Seen {
		if m.Kind != "answer" {
			continue
		}
		list, ok := jsonrpc.Get(jsonrpc.Raw(m.Raw), "result", member)
		if !ok {
			tb.Fatalf("step %q got no %s: %.300s", s.Name, member, m.Raw)
		}
		for item := range jsonrpc.Elements(list) {
			name, _ := jsonrpc.GetString(item, "name")
			names = append(names, name)
		}
	}
	return names
}
