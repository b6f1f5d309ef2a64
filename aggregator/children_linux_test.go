package aggregator

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// children returns the processes that this one has started and not reaped.
func children(t *testing.T) []string {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, file := range tasks {
		if text, err := os.ReadFile(file); err == nil {
			all = append(all, strings.Fields(string(text))...)
		}
	}
	return all
}

// T60 (i): two of us with one configuration do not meet, and what one started is gone with it.
func TestT60TwoAtOnce(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "journal")
	yaml := `mcpServers: {a: {command: "$self", env: {` + childRole + `: server, PLAIT_TEST_JOURNAL: ` + journal + `}}, b: {command: x, disabled: true}}`
	one, other := plait(t, yaml), plait(t, yaml)
	look := one.wire() // a client that only looks costs nothing
	look.send(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":` + hello(latest) + `}`)
	look.next()
	look.end()
	if all := children(t); len(all) != 0 {
		t.Errorf("children %v for a client that only looked", all)
	}
	probe, w := one.wire(), other.wire()
	probe.hello(latest)
	w.hello(latest)
	eventually(t, "both children run", func() bool { return strings.Count(text(t, journal), "initialize {") == 2 })
	probe.end()
	one.agg.Close()
	w.says(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a_echo"}}`,
		`{"jsonrpc":"2.0","id":1,"result":{"content":[],"params":{"name":"echo"}}}`)
	if n := len(children(t)); n != 1 {
		t.Errorf("%d children are left, want 1", n)
	}
	w.end()
	if n := len(children(t)); n != 0 {
		t.Errorf("%d children are left", n)
	}
}
