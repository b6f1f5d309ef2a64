package main_test

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestFaultClientDoesNotRead has servers talk to a client that does not read: plait lets them wait instead of keeping
// what they say, and nothing is lost.
func TestFaultClientDoesNotRead(t *testing.T) {
	const count = 40_000 // of about 1 KiB
	base, _ := serveFaults(t)
	for name, server := range map[string]any{
		"chatty": map[string]any{"url": base + "/chatty"}, "chattychild": childEntry("chattychild"),
	} {
		t.Run(name, func(t *testing.T) {
			c := startFaultPlait(t, faultConfig(t, map[string]any{name: server}))
			for _, line := range []string{
				`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},` +
					`"clientInfo":{"name":"x","version":"1"}}}`,
				`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
				fmt.Sprintf(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"%s_work","arguments":{"count":%d},`+
					`"_meta":{"progressToken":"p"}}}`, name, count),
			} {
				if err := c.write(line); err != nil {
					t.Fatal(err)
				}
			}
			first, err := c.out.ReadBytes('\n')
			if err != nil || !bytes.Contains(first, []byte("serverInfo")) {
				t.Fatalf("initialize: %s %v", first, err)
			}
			expectStill(t, c.cmd.Process.Pid)
			for want := 1; want <= count; want++ {
				line, err := c.out.ReadBytes('\n')
				if err != nil {
					t.Fatal(err)
				}
				if bytes.Contains(line, []byte("list_changed")) {
					want--
				} else if !bytes.Contains(line, fmt.Appendf(nil, `"progress":%d,`, want)) {
					t.Fatalf("want progress %d, got %.200s", want, line)
				}
			}
			if line, err := c.out.ReadBytes('\n'); err != nil || !bytes.Contains(line, []byte("done")) {
				t.Errorf("answer %.200s, %v", line, err)
			}
			go c.read()
			c.mustWork(t, name)
			c.quit(t)
		})
	}
}

// expectStill waits until a process does not work any more and checks that it has kept little.
func expectStill(t *testing.T, pid int) {
	t.Helper()
	const rest = 200 * time.Millisecond
	much := int64(raceFactor()) * 96 << 20
	if _, ok := processorTime(pid); !ok {
		t.Log("the memory of plait is not looked at: that needs /proc")
		return
	}
	last, since := time.Duration(0), time.Now()
	until(t, "plait to rest", func() bool {
		now, _ := processorTime(pid)
		if now-last > time.Millisecond {
			last, since = now, time.Now()
		}
		return time.Since(since) > rest
	})
	if size, _ := memory(pid, peak); size > much {
		t.Errorf("plait keeps %d MiB for a client that does not read", size>>20)
	}
}

// TestFaultTooManyRequests sends ten times as many requests as plait serves at a time, to a server that does not read:
// the others are refused, and when the client has given up, plait works as before.
func TestFaultTooManyRequests(t *testing.T) {
	const requests, most = 100_000, 10_000
	base, _ := serveFaults(t)
	deaf := childEntry("deaf")
	deaf["callTimeout"] = "10m"
	c := openFaults(t, map[string]any{"deaf": deaf, "healthy": map[string]any{"url": base + "/healthy"}})
	c.mustWork(t, "healthy")
	answers := make([]<-chan faultAnswer, requests)
	for i := range answers {
		var err error
		if answers[i], err = c.send("tools/call", workParams("deaf", 0)); err != nil {
			t.Fatal(err)
		}
	}
	refused, last := 0, c.lastID
	for i := most; i < requests; i++ {
		select {
		case a := <-answers[i]:
			if a.Error == nil || !strings.Contains(a.Error.Message, "10000 requests are being served") {
				t.Fatalf("answer %d: %+v", i, a)
			}
			refused++
		case <-time.After(hung):
			t.Fatalf("no answer to request %d", i)
		}
	}
	if refused != requests-most {
		t.Errorf("%d of %d are refused", refused, requests)
	}
	for id := last - requests + 1; id <= last-requests+most; id++ {
		if err := c.write(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, id)); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "room", func() bool {
		a, err := c.work("healthy", 0)
		return err == nil && a.text() == "done"
	})
	size, ok := memory(c.cmd.Process.Pid, peak)
	t.Logf("%d MiB at the peak", size>>20)
	if ok && size > int64(raceFactor())*256<<20 {
		t.Errorf("plait has %d MiB", size>>20)
	}
	c.quit(t)
}

// raceFactor is how much more memory a program may take than without the race detector, if that is on.
func raceFactor() int {
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return 8
	}
	return 1
}

// TestFaultLeavesNoGoroutine makes a thousand calls that fail and has plait list its goroutines.
func TestFaultLeavesNoGoroutine(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs SIGQUIT, which Windows does not have")
	}
	const rounds, most = 150, 200
	base, _ := serveFaults(t)
	servers := map[string]any{"garbage": childEntry("garbage")}
	for _, name := range []string{"status500", "cutjson", "cutsse", "garbagejson", "garbagesse", "page"} {
		servers[name] = map[string]any{"url": base + "/" + name}
	}
	c := openFaults(t, servers)
	var all sync.WaitGroup
	for name := range servers {
		all.Go(func() {
			for range rounds {
				if a, err := c.work(name, 0); err != nil || a.Error == nil {
					t.Errorf("%s: %+v %v", name, a, err)
					return
				}
			}
		})
	}
	all.Wait()
	signalTo(t, c, syscall.SIGQUIT)
	<-c.eof
	_ = c.wait(t)
	n := linesWith(c.said(t), "goroutine ")
	t.Logf("%d goroutines", n)
	if n == 0 || n > most {
		t.Errorf("%d goroutines after %d calls, at most %d are due", n, rounds*len(servers), most)
	}
}
