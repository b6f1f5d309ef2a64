package main_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// fault is what a client is told that calls a server.
type fault struct {
	server  string
	state   string   // in the data of the error
	message []string // parts of it, besides the name of the server; none when the call works
}

// faults are servers with faults, all in one configuration.
var faults = []fault{
	{"silent", "waiting", []string{"no answer to initialize within 2s (connectTimeout)", "check that it runs"}},
	{"down", "waiting", []string{"500 Internal Server Error: out of order", "check its url"}},
	{"exits", "waiting", []string{"exit status 3", "cannot log in with [redacted]", "try its command in a terminal"}},
	{"missing", "waiting", []string{"no-such-program", "install it"}},
	{"mute", "timeout", []string{"did not answer tools/call within 2s (callTimeout)", "raise callTimeout"}},
	{"deaf", "timeout", []string{"did not answer tools/call within 2s (callTimeout)", "raise callTimeout"}},
	{"status500", "ready", []string{"try again", "500 Internal Server Error: the database is down"}},
	{"cutjson", "ready", []string{"try again", "unexpected EOF"}},
	{"cutsse", "ready", []string{"try again", "the stream ended before the answer"}},
	{"garbagejson", "ready", []string{"try again", "unreadable answer", "}{ garbage"}},
	{"garbagesse", "ready", []string{"try again", "unreadable answer", "}{ garbage"}},
	{"page", "ready", []string{"try again", `unexpected content type "text/html"`, "please log in"}},
	{"longjson", "ready", []string{"try again", "limits.message is 8388608 bytes", "longer than the limit"}},
	{"longsse", "ready", []string{"try again", "limits.message is 8388608 bytes", "longer than the limit"}},
	{"legacy", "ready", []string{"try again", "limits.message is 8388608 bytes", "longer than the limit"}},
	{"longline", "ready", []string{"try again", "limits.message is 8388608 bytes", "longer than the limit"}},
	{"crash", "lost", []string{"try its command in a terminal", "exit status 3", "cannot log in with [redacted]"}},
	{"chatty", "", nil},
	{"chattychild", "", nil},
	{"closes", "lost", []string{"try its command in a terminal", "closed its stdout"}},
	{"garbage", "ready", []string{"try again", "unreadable answer"}},
	{"flood", "", nil},
}

// faultServers configures all of them and a healthy one over each wire.
func faultServers(tb testing.TB) map[string]any {
	tb.Helper()
	base, _ := serveFaults(tb)
	servers := map[string]any{
		"silent":  map[string]any{"url": silence(tb), "connectTimeout": "2s"},
		"down":    map[string]any{"url": base + "/down"},
		"legacy":  map[string]any{"url": base + "/legacy", "transport": "sse"},
		"missing": map[string]any{"command": "no-such-program"},
		"exits":   childEntry("exits"),
	}
	for name := range httpFaults {
		servers[name] = map[string]any{"url": base + "/" + name, "callTimeout": "45s"}
	}
	for name := range childFaults {
		servers[name] = childEntry(name)
	}
	for _, name := range []string{"mute", "deaf"} {
		servers[name].(map[string]any)["callTimeout"] = "2s"
	}
	delete(servers, "stubborn")
	return servers
}

// TestFaults calls servers with faults, all at once, while healthy ones go on working: every fault is bounded and
// told, and afterwards nothing is left of it.
func TestFaults(t *testing.T) {
	servers := faultServers(t)
	c := openFaults(t, servers)
	tools, err := c.request("tools/list", "{}")
	if err != nil || len(tools.Result.Tools) != len(servers)-4 { // silent, down, exits and missing have no list
		t.Errorf("%d tools of %d servers: %v", len(tools.Result.Tools), len(servers), err)
	}
	callFaults(t, c, 200)
	callFaults(t, c, 10)
	before := footprintOf(c.cmd.Process.Pid)
	for range 3 {
		callFaults(t, c, 10)
	}
	before.expectNoMore(t, c.cmd.Process.Pid)
	if p, ok := memory(c.cmd.Process.Pid, peak); ok && p > int64(raceFactor())*256<<20 {
		t.Errorf("%d MiB at the peak, with a limit of 8 MiB a message", p>>20)
	}
	if text := c.said(t); strings.Contains(text, "hunter2") {
		t.Error("a secret is in the log")
	} else if n := linesWith(text, `server=exits`); n == 0 || n > 300 {
		t.Errorf("%d lines about a server that ends at once", n)
	}
	c.quit(t)
}

// callFaults calls all servers at once, and the healthy ones all the time.
func callFaults(t *testing.T, c *faultClient, mb int) {
	t.Helper()
	stop := make(chan struct{})
	var healthy, faulty sync.WaitGroup
	for _, server := range []string{"healthy", "child"} {
		healthy.Go(func() { keepWorking(t, c, server, stop) })
	}
	for _, f := range faults {
		faulty.Go(func() {
			a, err := c.work(f.server, mb)
			if err != nil {
				t.Errorf("%s: %v", f.server, err)
				return
			}
			if err := f.check(a); err != nil {
				t.Errorf("%s: %v", f.server, err)
			}
		})
	}
	faulty.Wait()
	close(stop)
	healthy.Wait()
}

// check compares the answer with what is to be told.
func (f fault) check(a faultAnswer) error {
	if f.message == nil {
		if a.text() != "done" {
			return fmt.Errorf("answer %+v", a)
		}
		return nil
	}
	if a.Error == nil {
		return fmt.Errorf("answer %.200q, want an error", a.text())
	}
	state := a.Error.Data.State
	away := state == "waiting" || state == "connecting" // so are those that fell in the round before
	if state != f.state && (!away || f.state != "waiting" && f.state != "lost") {
		return fmt.Errorf("state %q, want %q: %s", state, f.state, a.Error.Message)
	}
	for _, part := range append(f.message, fmt.Sprintf("server %q", f.server)) {
		if !strings.Contains(a.Error.Message, part) {
			return fmt.Errorf("the message lacks %q: %s", part, a.Error.Message)
		}
	}
	if strings.Contains(a.Error.Message, "hunter2") {
		return fmt.Errorf("a secret is in the message: %s", a.Error.Message)
	}
	return nil
}

// keepWorking calls a server, again and again, until stop.
func keepWorking(t *testing.T, c *faultClient, server string, stop <-chan struct{}) {
	t.Helper()
	for {
		if a, err := c.work(server, 0); err != nil || a.text() != "done" {
			t.Errorf("%s: %+v %v", server, a, err)
			return
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

// footprint is what a process holds. It knows only Linux.
type footprint struct {
	known           bool
	files, children int
	resident        int64
}

func footprintOf(pid int) footprint {
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	f := footprint{known: err == nil, files: len(files), children: len(childrenOf(pid))}
	f.resident, _ = memory(pid, resident)
	return f
}

// childrenOf returns the children of a process, those of all its threads.
func childrenOf(pid int) []string {
	var all []string
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, thread := range threads {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, thread.Name()))
		all = append(all, strings.Fields(string(text))...)
	}
	return all
}

// expectNoMore waits until a process holds no more than before, but for what comes and goes.
func (before footprint) expectNoMore(t *testing.T, pid int) {
	t.Helper()
	if !before.known {
		t.Log("what plait holds is not compared: that needs /proc")
		return
	}
	const some = 15 // connections that are kept, children that are just started
	var now footprint
	until(t, "what plait holds to shrink", func() bool {
		now = footprintOf(pid)
		return now.files <= before.files+some && now.children <= before.children+2 && now.resident <= before.resident+int64(raceFactor())*64<<20
	})
	t.Logf("before %+v, after %+v", before, now)
}
