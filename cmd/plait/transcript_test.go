package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// transcript is what client.mjs says it saw.
type transcript struct {
	Ended string // what it took until the server left: "stdin", "SIGTERM", "SIGKILL"; only for a process
	Steps []*step

	log string // what the client and plait said on stderr
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
	return recordClients(tb, args)[0]
}

// recordClients runs client.mjs with each list of arguments, all at the same time: most of it is waiting. The
// clock of the clients is frozen like that of the servers.
func recordClients(tb testing.TB, runs ...[]string) []*transcript {
	tb.Helper()
	var all sync.WaitGroup
	programs, files := make([]*program, len(runs)), make([]string, len(runs))
	for i, args := range runs {
		files[i] = filepath.Join(tb.TempDir(), "transcript.json")
		node := []string{nodeJS(tb, 20), "--import", fileURL(peerFile(tb, "frozen.mjs")), peerFile(tb, "client.mjs"), "--out", files[i]}
		programs[i] = newProgram(tb, testEnv(tb), append(node, args...)...)
		all.Go(programs[i].run)
	}
	all.Wait()
	texts := make([]*transcript, len(runs))
	for i, p := range programs {
		p.check(tb)
		text, err := os.ReadFile(files[i])
		if err != nil {
			tb.Fatal(err)
		}
		if err := json.Unmarshal(text, &texts[i]); err != nil {
			tb.Fatal(err)
		}
		texts[i].log = p.stderr.String()
	}
	return texts
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
