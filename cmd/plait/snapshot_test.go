package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fleet is twenty servers with five tools each: nineteen over HTTP, and a child. Three of them have a bad day when
// the test wants it: server 1 accepts and never answers, server 2 answers 401, and the child dies after the
// handshake.
type fleet struct {
	servers map[string]any // entries of mcpServers
	nodes   []*benchNode
	mark    string // the child dies while this file is there
}

const (
	fleetSize  = 20
	fleetTools = 5
	// enough is a startup.wait in which all servers that work are connected, on a busy machine too.
	enough = "10s"
)

func newFleet(tb testing.TB) *fleet {
	tb.Helper()
	f := &fleet{servers: map[string]any{}, mark: filepath.Join(tb.TempDir(), "mark")}
	for i := 1; i < fleetSize; i++ {
		node := &benchNode{}
		server := httptest.NewServer(node)
		tb.Cleanup(server.Close)
		tb.Cleanup(server.CloseClientConnections)
		f.nodes = append(f.nodes, node)
		f.servers[fmt.Sprintf("s%d", i)] = map[string]any{
			"url": fmt.Sprintf("%s/mcp?tools=%d", server.URL, fleetTools), "connectTimeout": "1h",
		}
	}
	f.servers["child"] = map[string]any{
		"command": os.Args[0], "args": []string{f.mark},
		"env": map[string]string{"PLAIT_TEST_PROGRAM": "mortal-child", "GORACE": "atexit_sleep_ms=0"},
	}
	return f
}

// spoil gives three servers their bad day.
func (f *fleet) spoil(tb testing.TB) {
	tb.Helper()
	f.nodes[0].is("hangs")
	f.nodes[1].is("401")
	if err := os.WriteFile(f.mark, nil, 0o600); err != nil {
		tb.Fatal(err)
	}
}

// open starts plait serve for all servers, with its home in a folder, and opens a session.
func (f *fleet) open(tb testing.TB, home string, startup map[string]any) *faultClient {
	tb.Helper()
	text, err := json.Marshal(map[string]any{"mcpServers": f.servers, "startup": startup})
	if err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(tb.TempDir(), "plait.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	c := startPlait(tb, append(homeIn(home), "PLAIT_LOG=debug"), "serve", "--config", file)
	go c.read()
	c.hello(tb)
	return c
}

// toolsOf lists the tools and returns how many each server has.
func (c *faultClient) toolsOf(tb testing.TB) map[string]int {
	tb.Helper()
	a, err := c.request("tools/list", "{}")
	if err != nil || a.Error != nil {
		tb.Fatalf("tools/list: %+v %v", a.Error, err)
	}
	of := map[string]int{}
	for _, tool := range a.Result.Tools {
		server, _, _ := strings.Cut(tool.Name, "_")
		of[server]++
	}
	return of
}

// complete reports the servers that do not have all their tools in a list.
func (f *fleet) complete(tb testing.TB, of map[string]int, but ...string) {
	tb.Helper()
	for server := range f.servers {
		want := fleetTools
		if slices.Contains(but, server) {
			want = 0
		}
		if of[server] != want {
			tb.Errorf("%d tools of %s, want %d", of[server], server, want)
		}
	}
}

// TestFirstListOfABadDay starts plait while three of twenty servers are out of order: from a snapshot the first
// list is complete, and waits for nobody; without one it has all tools of the others, after startup.wait.
func TestFirstListOfABadDay(t *testing.T) {
	t.Parallel()
	f, home := newFleet(t), t.TempDir()
	c := f.open(t, home, map[string]any{"wait": "1h"})
	f.complete(t, c.toolsOf(t))
	c.quit(t)
	if files := snapshotsIn(t, home); len(files) != fleetSize {
		t.Errorf("%d snapshots: %q", len(files), files)
	}
	f.spoil(t)
	t.Run("from a snapshot", func(t *testing.T) {
		c := f.open(t, home, map[string]any{"wait": "1h"}) // who waits for a server hangs
		f.complete(t, c.toolsOf(t))
		for _, server := range []string{"s3", "s19"} {
			if a, err := c.request("tools/call", `{"name":"`+server+`_echo","arguments":{"text":"x"}}`); err != nil || a.text() != "x" {
				t.Errorf("a call to %s: %+v %v", server, a, err)
			}
		}
		for server, why := range map[string]string{"s2": "401", "child": "exit status 3"} {
			a, err := c.request("tools/call", `{"name":"`+server+`_echo"}`)
			if err != nil || a.Error == nil || !strings.Contains(a.Error.Message, why) {
				t.Errorf("a call to %s: %+v %v", server, a.Error, err)
			}
		}
		waiting, err := c.send("tools/call", `{"name":"s1_echo","arguments":{"text":"at last"}}`)
		if err != nil {
			t.Fatal(err)
		}
		f.nodes[0].is("") // it answers what it has got, as a server does that was busy
		select {
		case a := <-waiting:
			if a.text() != "at last" {
				t.Errorf("the call that waited: %+v", a)
			}
		case <-time.After(hung):
			t.Error("the call that waits for its server is not answered")
		}
		f.nodes[0].is("hangs")
		f.complete(t, c.toolsOf(t))
		c.quit(t)
	})
	t.Run("without one", func(t *testing.T) {
		c := f.open(t, t.TempDir(), map[string]any{"wait": enough})
		f.complete(t, c.toolsOf(t), "s1", "s2", "child")
		c.quit(t)
	})
	t.Run("switched off", func(t *testing.T) {
		c := f.open(t, home, map[string]any{"wait": enough, "snapshot": false})
		f.complete(t, c.toolsOf(t), "s1", "s2", "child")
		c.quit(t)
	})
	t.Run("of a command that wants the truth", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "plait.json")
		text, err := json.Marshal(map[string]any{"mcpServers": map[string]any{"s2": f.servers["s2"], "s3": f.servers["s3"]}})
		if err == nil {
			err = os.WriteFile(file, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		list := exec.CommandContext(t.Context(), "plait", "tools", "list", "--config", file)
		list.Env = append(os.Environ(), homeIn(home)...)
		out, err := list.Output()
		if err == nil || strings.Contains(string(out), "s2_") || !strings.Contains(string(out), "s3_echo") {
			t.Errorf("it printed %q: %v", out, err)
		}
	})
}

func snapshotsIn(tb testing.TB, home string) []string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(home, ".cache", "plait", "snapshots", "*"))
	if err != nil {
		tb.Fatal(err)
	}
	return files
}

// TestSnapshotsOfSeveralProcesses starts several processes at once that keep their snapshots in one folder.
func TestSnapshotsOfSeveralProcesses(t *testing.T) {
	t.Parallel()
	f, home := newFleet(t), t.TempDir()
	for round := range 2 {
		clients := make([]*faultClient, 3)
		for i := range clients {
			clients[i] = f.open(t, home, map[string]any{"wait": "1h"})
		}
		var all sync.WaitGroup
		for _, c := range clients {
			all.Go(func() {
				f.complete(t, c.toolsOf(t))
				c.quit(t)
			})
		}
		all.Wait()
		if files := snapshotsIn(t, home); len(files) != fleetSize {
			t.Errorf("round %d: %d files: %q", round, len(files), files)
		}
		f.spoil(t)
	}
}

// mortalChild is the program mortal-child: a stdio server that dies after the handshake while the file is there that
// its argument names.
func mortalChild() int {
	for lines := bufio.NewReader(os.Stdin); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return 0
		}
		var req benchRequest
		if err := json.Unmarshal(line, &req); err != nil {
			continue
		}
		if req.Method != "initialize" {
			if _, err := os.Stat(os.Args[1]); err == nil {
				return 3
			}
		}
		if req.ID != nil {
			say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,%s}`, req.ID, answerBench(fleetTools, &req)))
		}
	}
}
