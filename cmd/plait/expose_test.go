package main_test

import (
	"net/http"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestExposeStart has children that do not get as far as initialize: the client is told why, and has no session.
func TestExposeStart(t *testing.T) {
	t.Parallel()
	short(t)
	url, p := expose(t, nil, nil, "exits")
	for range 7 { // nobody waits longer because others have failed
		c := &exposeClient{url: url}
		fails(t, c.hello(t), "exit status 3", "these are my last words", "try its command in a terminal")
		if c.session != "" {
			t.Errorf("there is a session")
		}
	}
	if said := p.said(t); !strings.Contains(said, " server=child line=") || !strings.Contains(said, "these are my last words") {
		t.Errorf("the log has no stderr of the child:\n%s", said)
	}
	url, _ = expose(t, nil, nil, "refuses")
	c := &exposeClient{url: url}
	if a := c.hello(t); a.Error == nil || a.Error.Code != -32042 || a.Error.Message != "not today" || string(a.Error.Data) != `{"until":"Monday"}` {
		t.Errorf("the answer is %s", a.text)
	}
	gone := startPlait(t, nil, "expose", "-p", "0", "--", "no-such-program")
	if err := gone.wait(t); err == nil || gone.cmd.ProcessState.ExitCode() != 2 || !strings.Contains(gone.said(t), `command "no-such-program"`) {
		t.Errorf("plait ends with %v and says %q", err, gone.said(t))
	}
}

// TestExposeCrash has children end by themselves: the error names the child, and the session goes on with another one.
func TestExposeCrash(t *testing.T) {
	t.Parallel()
	short(t)
	url, _ := expose(t, nil, nil)
	bystander := greets(t, url)
	others, _ := bystander.process(t, "")
	t.Run("during a call", func(t *testing.T) {
		c := greets(t, url)
		before, _ := c.process(t, "")
		fails(t, c.ask(t, "x/crash", "{}"), "exit status 3", "these are my last words", "plait starts it anew")
		after, _ := c.process(t, "")
		if before[0] == after[0] || runs(before[0]) {
			t.Errorf("process %d, and then %d", before, after)
		}
	})
	t.Run("while nobody calls", func(t *testing.T) {
		c := greets(t, url)
		before, _ := c.process(t, "")
		stream, err := c.do(t.Context(), "GET", "")
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Body.Close()
		c.ask(t, "x/die", "{}")
		for m, err := range messagesOf(stream) { // another child may have other tools
			if err != nil || m.Method != "notifications/tools/list_changed" {
				t.Errorf("the client is told %s %v", m.text, err)
			}
			break
		}
		if after, _ := c.process(t, ""); before[0] == after[0] {
			t.Errorf("process %d is still there", before)
		}
	})
	t.Run("all the time", func(t *testing.T) {
		c := greets(t, url)
		for range 6 { // from then on it is not started for every call
			fails(t, c.ask(t, "x/crash", "{}"), "these are my last words")
		}
		greets(t, url).process(t, "")
	})
	if still, _ := bystander.process(t, ""); still[0] != others[0] {
		t.Errorf("the child of another client is %d, and was %d", still, others)
	}
}

// TestExposeStubborn has a child, and a child of that, which heed neither the end of stdin nor SIGTERM.
func TestExposeStubborn(t *testing.T) {
	t.Parallel()
	short(t)
	url, p := expose(t, nil, nil, "stubborn")
	c := greets(t, url)
	pids, _ := c.process(t, "")
	c.leave(t)
	expectGone(t, pids)
	if said := p.said(t); runtime.GOOS != "windows" && !strings.Contains(said, "child ignores SIGTERM and is killed: server=child") {
		t.Errorf("the log does not name the child:\n%s", said)
	}
	if a, err := c.try(t, "x/line", "{}"); err == nil {
		t.Errorf("a session that was deleted answers %s", a.text)
	}
}

// TestExposeMany opens 200 sessions, has half of them deleted and leaves the others alone: no child is left.
func TestExposeMany(t *testing.T) {
	t.Parallel()
	short(t)
	const many, kept = 200, 4 // kept are connections
	url, p := expose(t, []string{"GOTRACEBACK=all"}, []string{"--max-children", "200", "--idle", "5s"})
	first := greets(t, url)
	gone, _ := first.process(t, "")
	first.leave(t)
	expectGone(t, gone)
	childless := func() bool { return len(childrenOf(p.cmd.Process.Pid)) <= 1 } // the guardian stays
	until(t, "the end of the first child", childless)
	before := footprintOf(p.cmd.Process.Pid)
	goroutines := func() int64 { return (&load{url: url}).metrics(t)["go_goroutines"] }
	few := goroutines()
	var mu sync.Mutex
	var all sync.WaitGroup
	var pids []int
	jobs := make(chan int)
	for range 8 {
		all.Go(func() {
			for i := range jobs {
				c := greets(t, url)
				own, _ := c.process(t, "")
				if i%2 == 0 {
					c.leave(t)
				}
				mu.Lock()
				pids = append(pids, own...)
				mu.Unlock()
			}
		})
	}
	for i := range many {
		jobs <- i
	}
	close(jobs)
	all.Wait()
	if t.Failed() {
		return
	}
	expectGone(t, pids)
	until(t, "the end of all children", childless)
	before.expectNoMore(t, p.cmd.Process.Pid)
	until(t, "the end of what worked for them", func() bool { return goroutines() <= few+kept })
	if runtime.GOOS == "windows" { // which cannot ask for the stacks
		return
	}
	signalTo(t, p, syscall.SIGQUIT)
	_ = p.wait(t)
	_, stacks, ok := strings.Cut(p.said(t), "SIGQUIT")
	for _, work := range []string{"upstream.(*Session)", "aggregator.(*Session)", "transport.(*stdioConn)", "downstream.(*session)"} {
		if !ok || strings.Contains(stacks, work) {
			t.Errorf("a goroutine is left in %s", work)
		}
	}
}

// TestExposeLifetime has a session that is used come of age: its child ends, and the client may begin another.
func TestExposeLifetime(t *testing.T) {
	t.Parallel()
	short(t)
	url, _ := expose(t, nil, []string{"--lifetime", "5s"})
	c := greets(t, url)
	pids, _ := c.process(t, "")
	stream, err := c.do(t.Context(), "GET", "")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	expectGone(t, pids)
	if status, _, text := c.status(t, "POST", `{"jsonrpc":"2.0","id":1,"method":"x/line"}`); status != http.StatusNotFound || !strings.Contains(text, "send initialize") {
		t.Errorf("%d %s", status, text)
	}
	greets(t, url).process(t, "")
}

// TestExposeLimit has one client more than there may be children.
func TestExposeLimit(t *testing.T) {
	t.Parallel()
	short(t)
	url, _ := expose(t, nil, []string{"--max-children", "2"})
	one, other := greets(t, url), greets(t, url)
	late := &exposeClient{url: url}
	status, header, text := late.status(t, "POST", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":`+exposeHello+`}`)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || !strings.Contains(text, "all 2 children") || !strings.Contains(text, "--max-children") {
		t.Errorf("%d %v %s", status, header, text)
	}
	other.process(t, "")
	one.leave(t)
	until(t, "room", func() bool {
		_, err := late.try(t, "initialize", exposeHello)
		return err == nil
	})
	late.process(t, "")
}

// TestExposeEnd ends plait in every way while calls are in flight: those that end soon are answered where plait can, and
// no child is left.
func TestExposeEnd(t *testing.T) {
	t.Parallel()
	short(t)
	if runtime.GOOS == "windows" {
		t.Skip("needs signals, which Windows does not have")
	}
	for _, tt := range []struct {
		signal syscall.Signal
		drains bool
	}{{syscall.SIGINT, true}, {syscall.SIGTERM, true}, {syscall.SIGKILL, false}} {
		t.Run(tt.signal.String(), func(t *testing.T) {
			t.Parallel()
			url, p := expose(t, nil, nil, "stubborn")
			slow, idle := greets(t, url), greets(t, url)
			pids, _ := slow.process(t, "")
			more, _ := idle.process(t, "")
			var calls sync.WaitGroup
			calls.Go(func() {
				a, err := slow.try(t, "x/slow", "{}")
				if answered := err == nil && string(a.Result) == `{"slow":true}`; answered != tt.drains {
					t.Errorf("answered: %s %v", a.text, err)
				}
			})
			until(t, "the call", func() bool { return strings.Contains(p.said(t), "x/slow") })
			signalTo(t, p, tt.signal)
			calls.Wait()
			if err := p.wait(t); err == nil != tt.drains {
				t.Errorf("plait ends with %v", err)
			}
			expectGone(t, append(pids, more...))
		})
	}
}
