package main_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/plait-mcp/plait/cmd/internal/cli"
)

// loadPlait is the program load-plait: plait, and an address that says how many goroutines it has.
func loadPlait() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "load-plait:", err)
		return 1
	}
	fmt.Fprintf(os.Stderr, "goroutines=http://%s/\n", l.Addr())
	counter := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, runtime.NumGoroutine())
	})}
	go func() { _ = counter.Serve(l) }()
	return cli.Main(os.Args[1:], cli.OS())
}

// countOf asks a load-plait for the number of its goroutines.
func countOf(tb testing.TB, url string) (n int) {
	tb.Helper()
	resp, err := http.Get(url)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := fmt.Fscanln(resp.Body, &n); err != nil {
		tb.Fatal(err)
	}
	return n
}

// TestListenerHoldsNothing has clients open sessions, with their streams, make calls and leave: then plait has no more
// goroutines, and no more files, than before.
func TestListenerHoldsNothing(t *testing.T) {
	t.Parallel()
	short(t)
	const clients, calls = 20, 100
	r := &rig{dir: t.TempDir()}
	t.Cleanup(r.reap)
	l := &load{via: plait, server: serveLoad(t, r) + "?stream=1"}
	file := filepath.Join(r.dir, "plait")
	if err := writeConfig(file+".yaml", []string{l.server}); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := startProcess(file+".log", append(testEnv(t), "PLAIT_TEST_PROGRAM=load-plait"),
		self, "serve", "--http", "127.0.0.1:0", "--config", file+".yaml")
	if err != nil {
		t.Fatal(err)
	}
	r.processes = append(r.processes, p)
	var counter string
	until(t, "the listener", func() bool {
		text, _ := os.ReadFile(file + ".log")
		at, found := listening.FindSubmatch(text), regexp.MustCompile(`goroutines=(\S+)`).FindSubmatch(text)
		if at == nil || found == nil {
			return false
		}
		l.url, l.pid, counter = string(at[1])+"/mcp", p.pid(), string(found[1])
		return true
	})
	l.begin(t, 1)
	l.end(t)
	most, open := countOf(t, counter), files(l.pid)

	l.begin(t, clients)
	l.each(t, clients, (*loadClient).listen)
	l.each(t, clients, func(c *loadClient) error {
		for range calls {
			if err := c.call(); err != nil {
				return err
			}
		}
		return nil
	})
	if now := countOf(t, counter); now < most+clients {
		t.Errorf("%d goroutines with %d sessions, %d before", now, clients, most)
	}
	l.end(t)
	until(t, "the end of goroutines and files", func() bool {
		return countOf(t, counter) <= most && files(l.pid) <= open
	})
	if text, _ := os.ReadFile(file + ".log"); strings.Contains(string(text), "[WARN]") || strings.Contains(string(text), "[ERROR]") {
		t.Errorf("the log:\n%s", text)
	}
}
