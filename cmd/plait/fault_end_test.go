package main_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// endServers configures servers that are busy when plait ends.
func endServers(tb testing.TB) (servers map[string]any, ended <-chan string) {
	tb.Helper()
	base, ended := serveFaults(tb)
	return map[string]any{
		"healthy": map[string]any{"url": base + "/healthy"}, "mute": map[string]any{"url": base + "/mute"},
		"child": childEntry("child"), "deaf": childEntry("deaf"), "stubborn": childEntry("stubborn"),
	}, ended
}

// busy opens a session and leaves a call to a server over HTTP and one to a child in flight. It returns the
// processes that plait has started, and a server's child.
func busy(t *testing.T) (c *faultClient, pids []int, ended <-chan string) {
	t.Helper()
	servers, ended := endServers(t)
	c = openFaults(t, servers)
	if _, err := c.request("tools/list", "{}"); err != nil {
		t.Fatal(err)
	}
	text := c.mustWork(t, "stubborn")
	pids = make([]int, 2)
	if _, err := fmt.Sscan(text, &pids[0], &pids[1]); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	for _, child := range childrenOf(c.cmd.Process.Pid) {
		var pid int
		_, _ = fmt.Sscan(child, &pid)
		pids = append(pids, pid)
	}
	for _, server := range []string{"mute", "deaf"} {
		if _, err := c.send("tools/call", workParams(server, 0)); err != nil {
			t.Fatal(err)
		}
	}
	c.mustWork(t, "healthy")
	return c, pids, ended
}

// runs reports whether a process lives; elsewhere than on unix it does not know and says no.
func runs(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil || runtime.GOOS == "windows" {
		return false
	}
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(stat), ") Z") {
		return false
	}
	return !errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

func expectGone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		until(t, fmt.Sprintf("the end of process %d", pid), func() bool { return !runs(pid) })
	}
}

// TestFaultEnd ends plait in every way while calls are in flight: it ends soon, and no child or grandchild is left.
func TestFaultEnd(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(t *testing.T, c *faultClient)
		want string // of the end of plait
		told bool   // the servers hear that their sessions end
	}{
		{"stdin closes", func(t *testing.T, c *faultClient) { t.Helper(); c.in.Close() }, "", true},
		{"the client is gone", func(t *testing.T, c *faultClient) { t.Helper(); c.in.Close(); c.end.Close() }, "", true},
		{"stdout closes", func(t *testing.T, c *faultClient) {
			t.Helper()
			c.end.Close()
			if err := c.write(`{"jsonrpc":"2.0","id":0,"method":"ping"}`); err != nil {
				t.Error(err)
			}
		}, "exit status 1", true},
		{"SIGTERM", func(t *testing.T, c *faultClient) { t.Helper(); signalTo(t, c, syscall.SIGTERM) }, "", true},
		{"SIGINT", func(t *testing.T, c *faultClient) { t.Helper(); signalTo(t, c, os.Interrupt) }, "", true},
		{"SIGKILL", func(t *testing.T, c *faultClient) { t.Helper(); signalTo(t, c, os.Kill) }, "signal: killed", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.HasPrefix(c.name, "SIG") {
				t.Skip("needs signals, which Windows does not have")
			}
			t.Parallel()
			client, pids, ended := busy(t)
			c.end(t, client)
			<-client.eof
			if err := client.wait(t); err == nil && c.want != "" || err != nil && err.Error() != c.want {
				t.Errorf("plait ends with %v, want %q", err, c.want)
			}
			expectGone(t, pids)
			for range map[bool]int{true: 2}[c.told] { // healthy and mute
				select {
				case <-ended:
				default:
					t.Error("a server was not told")
				}
			}
			if text := client.said(t); strings.Contains(text, "panic") || strings.Contains(text, "guardian did not") {
				t.Errorf("the log has a panic")
			}
		})
	}
}

// TestFaultDeafClient ends plait while its client takes nothing of what it is sent: it ends all the same.
func TestFaultDeafClient(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *faultClient){
		"stdin closes": func(_ *testing.T, c *faultClient) { c.in.Close() },
		"SIGTERM":      func(t *testing.T, c *faultClient) { t.Helper(); signalTo(t, c, syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" && name == "SIGTERM" {
				t.Skip("needs signals, which Windows does not have")
			}
			t.Parallel()
			c := startFaultPlait(t, faultConfig(t, map[string]any{"child": childEntry("child")}))
			write := func(line string) {
				if err := c.write(line); err != nil {
					t.Fatal(err)
				}
			}
			write(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"deaf","version":"1"}}}`)
			if _, err := c.out.ReadBytes('\n'); err != nil {
				t.Fatal(err)
			}
			write(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
			var pids []int
			until(t, "the child", func() bool {
				pids = nil
				for _, child := range childrenOf(c.cmd.Process.Pid) {
					var pid int
					_, _ = fmt.Sscan(child, &pid)
					pids = append(pids, pid)
				}
				return len(pids) > 1 || runtime.GOOS == "windows" // with what ends it
			})
			long := strings.Repeat("i", 100_000) // the answers repeat it
			for i := range 3 {
				write(fmt.Sprintf(`{"jsonrpc":"2.0","id":"%s-%d","method":"ping"}`, long, i))
			}
			end(t, c)
			if err := c.wait(t); err == nil || !strings.Contains(c.said(t), "does not take what it is sent") {
				t.Errorf("plait ends with %v", err)
			}
			expectGone(t, pids)
		})
	}
}

func signalTo(t *testing.T, c *faultClient, sig os.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// TestFaultTwoAtOnce starts plait twice with the same configuration, one of them only to look (T60i): its stdin ends at
// once. The other works.
func TestFaultTwoAtOnce(t *testing.T) {
	base, _ := serveFaults(t)
	config := faultConfig(t, map[string]any{"healthy": map[string]any{"url": base + "/healthy"}, "child": childEntry("child")})
	probe, c := startFaultPlait(t, config), startFaultPlait(t, config)
	probe.quit(t)
	go c.read()
	c.hello(t)
	for _, server := range []string{"healthy", "child"} {
		c.mustWork(t, server)
	}
	late := startFaultPlait(t, config)
	go late.read()
	late.hello(t)
	late.quit(t)
	c.mustWork(t, "child")
	c.quit(t)
}
