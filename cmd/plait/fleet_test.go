//go:build unix

package main_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/server"

	"github.com/plait-mcp/plait/auth/authtest"
)

// armada is processes of plait of one user, each with a client, before one server behind an authorization server.
type armada struct {
	t       *testing.T
	as      *authtest.Guarded
	members []*faultClient
	tabs    string // where the browser writes, a line each: who opened it, and at what

	mu     sync.Mutex
	tokens map[string]map[string]bool // that the server got, and in which sessions
	calls  int
}

// launch starts the processes at the same time.
func launch(t *testing.T, settings ...string) *armada {
	t.Helper()
	dir := t.TempDir()
	f := &armada{t: t, tabs: filepath.Join(dir, "tabs"), tokens: map[string]map[string]bool{}}
	next := server.NewStreamableHTTPServer(newStory())
	f.as = authtest.Guard(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		token := r.Header.Get("Authorization")
		if f.tokens[token] == nil {
			f.tokens[token] = map[string]bool{}
		}
		if session := r.Header.Get("Mcp-Session-Id"); session != "" {
			f.tokens[token][session] = true
		}
		f.mu.Unlock()
		next.ServeHTTP(w, r)
	}), settings...)
	browser := filepath.Join(dir, "browser")
	if err := os.WriteFile(browser, []byte("#!/bin/sh\necho \"$PPID $1\" >> \"$FLEET_TABS\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	env := append(homeIn(filepath.Join(dir, "home")), "BROWSER="+browser, "FLEET_TABS="+f.tabs, "CI=", "PLAIT_LOG=debug")
	port := strconv.Itoa(freePort(t))
	for range authtest.FleetSize {
		c := startPlait(t, env, "connect", f.as.URL, port)
		go c.read()
		f.members = append(f.members, c)
	}
	for _, c := range f.members {
		c.hello(t)
	}
	return f
}

// opened returns what the browser was opened at, and by which processes.
func (f *armada) opened() (pids, links []string) {
	f.t.Helper()
	text, err := os.ReadFile(f.tabs)
	if err != nil && !os.IsNotExist(err) {
		f.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		pid, link, _ := strings.Cut(strings.TrimSpace(line), " ")
		pids, links = append(pids, pid), append(links, link)
	}
	return pids, links
}

// tab waits for the one browser that is opened.
func (f *armada) tab() (pid, link string) {
	f.t.Helper()
	until(f.t, "a browser", func() bool {
		pids, _ := f.opened()
		return len(pids) > 0
	})
	pids, links := f.opened()
	return pids[0], links[0]
}

// kill kills the process that opened the browser.
func (f *armada) kill(pid string) {
	f.t.Helper()
	for i, c := range f.members {
		if strconv.Itoa(c.cmd.Process.Pid) == pid {
			_ = c.cmd.Process.Kill()
			_ = c.cmd.Wait()
			f.members = append(f.members[:i:i], f.members[i+1:]...)
			return
		}
	}
	f.t.Fatalf("process %s is not of the fleet", pid)
}

// visit does what the person does who looks at the browser.
func (f *armada) visit(link string) {
	f.t.Helper()
	until(f.t, "a process that answers the browser", func() bool { // the next one, when the first was killed
		r, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, link, nil)
		if err != nil {
			f.t.Fatal(err)
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Do(r)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	authtest.Visit(f.t, link+"/go")
}

// said calls the tool of the server and returns what it says.
func said(c *faultClient) (string, error) {
	a, err := c.request("tools/call", `{"name":"echo","arguments":{"text":"hello"}}`)
	if err == nil && a.Error != nil {
		err = fmt.Errorf("%d %s", a.Error.Code, a.Error.Message)
	}
	return a.text(), err
}

// ready waits until all have their server.
func (f *armada) ready() {
	f.t.Helper()
	for _, c := range f.members {
		until(f.t, "a call that works", func() bool {
			got, err := said(c)
			return err == nil && got == "hello"
		})
	}
}

// call has all clients call without pause until what it returns is called. No call may fail.
func (f *armada) call() (stop func()) {
	done := make(chan struct{})
	var all sync.WaitGroup
	for _, c := range f.members {
		all.Go(func() {
			pause := time.NewTicker(20 * time.Millisecond)
			defer pause.Stop()
			for {
				select {
				case <-done:
					return
				case <-pause.C:
				}
				got, err := said(c)
				f.mu.Lock()
				f.calls++
				f.mu.Unlock()
				if err != nil || got != "hello" {
					f.t.Errorf("pid %d: %q %v", c.cmd.Process.Pid, got, err)
					return
				}
			}
		})
	}
	return func() {
		close(done)
		all.Wait()
	}
}

// came returns how many tokens the server got until now of every member.
func (f *armada) came() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, sessions := range f.tokens {
		if len(sessions) == len(f.members) {
			n++
		}
	}
	return n
}

// TestFleet has a dozen processes of plait come to one server at the same time: cold, with the leader killed while the
// person signs in, and with all tokens expired at once.
func TestFleet(t *testing.T) {
	f := launch(t, "AS_TTL=3600")
	pid, link := f.tab()
	until(t, "all to wait for the sign-in", func() bool { return f.as.Refused() >= 2*authtest.FleetSize }) // initialize, and the look at the challenge
	f.kill(pid)
	f.visit(link)
	f.ready()
	if pids, _ := f.opened(); len(pids) != 1 {
		t.Errorf("browsers were opened by %q", pids)
	}
	if stats := f.as.Stats(t); stats.Register != 1 || stats.Token != 1 || stats.Authorize != 1 {
		t.Errorf("cold: %+v", stats)
	}
	stop := f.call()
	for n := range 3 {
		until(t, "everybody to have the next token", func() bool { return f.came() == n+1 })
		f.as.RefuseKnown()
	}
	until(t, "everybody to have the last token", func() bool { return f.came() == 4 })
	stop()
	if stats := f.as.Stats(t); stats.Token != 4 || stats.Reuse != 0 || stats.Register != 1 {
		t.Errorf("expired three times: %+v", stats)
	}
	for _, c := range f.members {
		c.quit(t)
	}
}

// TestFleetShortTokens has the fleet call without pause with tokens that live for two seconds.
func TestFleetShortTokens(t *testing.T) {
	f := launch(t, "AS_TTL=2")
	_, link := f.tab()
	f.visit(link)
	f.ready()
	before, begin := f.as.Stats(t).Token, time.Now()
	stop := f.call()
	select {
	case <-time.After(authtest.FleetTime(t, 20*time.Second)):
	case <-t.Context().Done():
	}
	stop()
	took, stats := time.Since(begin), f.as.Stats(t)
	t.Logf("%d calls, %d renewals in %s", f.calls, stats.Token-before, took.Round(time.Millisecond))
	if n := stats.Token - before; n < 2 || n > int(took/time.Second)+2 || stats.Reuse != 0 || stats.Register != 1 || stats.Authorize != 1 {
		t.Errorf("%+v, %d renewals in %s", stats, n, took)
	}
	if pids, _ := f.opened(); len(pids) != 1 {
		t.Errorf("browsers were opened by %q", pids)
	}
	for _, c := range f.members {
		c.quit(t)
	}
}
