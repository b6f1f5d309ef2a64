package main_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The ways from the client to a server.
const (
	direct = "direct" // HTTP by the client itself
	floor  = "floor"  // testdata/floor, the least that can stand between
	plait  = "plait"  // plait serve
)

// benchServers is how many servers a rig runs beside the dead one.
const benchServers = 100

// rig is what the benchmarks run on: the programs, built, and the servers, running.
type rig struct {
	dir, floor, plait string
	urls              []string
	dead              string         // URL of a server that accepts and never answers
	home              string         // of the processes; "": each has its own, with no snapshots in it
	processes         []*processPeer // all that start has started
}

// newRig lets the servers run until tb ends. With PLAIT_BENCH_BINARY that program is measured
// in place of the plait of this folder.
func newRig(tb testing.TB, withPlait bool) *rig {
	tb.Helper()
	r := &rig{dir: tb.TempDir()}
	r.floor = r.build(tb, "floor", "./testdata/floor")
	if withPlait {
		if r.plait = os.Getenv("PLAIT_BENCH_BINARY"); r.plait == "" {
			r.plait = r.build(tb, "plait", ".")
		}
	}
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	servers, err := startProcess(filepath.Join(r.dir, "servers.log"),
		append(os.Environ(), "PLAIT_TEST_PROGRAM=bench-server"), self, strconv.Itoa(benchServers))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := servers.close(); err != nil {
			tb.Error(err)
		}
	})
	lines := bufio.NewScanner(servers.out)
	for range benchServers + 1 {
		if !lines.Scan() {
			tb.Fatalf("bench-server printed only %q", r.urls)
		}
		r.urls = append(r.urls, lines.Text())
	}
	r.dead, r.urls = r.urls[benchServers], r.urls[:benchServers]
	return r
}

func (r *rig) build(tb testing.TB, name, folder string) string {
	tb.Helper()
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	file := filepath.Join(r.dir, name)
	build := exec.CommandContext(tb.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", file, folder)
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("build %s: %v\n%s", folder, err, out)
	}
	return file
}

// servers returns the URLs of n servers with that many tools each.
func (r *rig) servers(n, tools int) []string {
	urls := make([]string, n)
	for i := range urls {
		urls[i] = fmt.Sprintf("%s?tools=%d", r.urls[i], tools)
	}
	return urls
}

// start starts floor or plait between the client and the servers, and says nothing to it yet.
func (r *rig) start(via string, urls []string) (*processPeer, error) {
	file := filepath.Join(r.dir, via)
	args := append([]string{r.floor}, urls...)
	if via == plait {
		args = []string{r.plait, "serve", "--config", file + ".yaml"}
		if err := writeConfig(file+".yaml", urls); err != nil {
			return nil, err
		}
	}
	home := r.home
	if home == "" {
		var err error
		if home, err = os.MkdirTemp(r.dir, "home"); err != nil {
			return nil, err
		}
	}
	p, err := startProcess(file+".log", append(os.Environ(), homeIn(home)...), args...)
	if err == nil {
		r.processes = append(r.processes, p)
	}
	return p, err
}

// reap kills what a failed measurement has left running.
func (r *rig) reap() {
	for _, p := range r.processes {
		p.kill()
	}
	r.processes = nil
}

func writeConfig(file string, urls []string) error {
	var config strings.Builder
	config.WriteString("mcpServers:\n")
	for i, url := range urls {
		fmt.Fprintf(&config, "  s%d:\n    url: %q\n", i+1, url)
		if len(urls) == 1 {
			config.WriteString("    prefix: \"\"\n")
		}
	}
	return os.WriteFile(file, []byte(config.String()), 0o600)
}

// open opens a session with one server, which direct does without a process.
func (r *rig) open(via, url string) (p benchPeer, pid int, err error) {
	if via == direct {
		p = newDirectPeer(url)
	} else {
		process, err := r.start(via, []string{url})
		if err != nil {
			return nil, 0, err
		}
		p, pid = process, process.pid()
	}
	return p, pid, hello(p)
}

// tools is the batch of one tools/list that must bring want tools.
func tools(id, want int) batch {
	b := request(id, "tools/list")
	b.see = func(line []byte) error {
		got := strings.Count(string(line), `"inputSchema"`)
		if method, _ := idOf(line); method < 0 || got == want {
			return nil
		}
		return fmt.Errorf("list of %d tools, want %d", got, want)
	}
	return b
}

// listDirect opens all servers at once and lists the tools of each.
func listDirect(urls []string, perServer int) error {
	errs := make(chan error, len(urls))
	var wg sync.WaitGroup
	for _, url := range urls {
		wg.Go(func() {
			p := newDirectPeer(url)
			defer p.close()
			err := hello(p)
			if err == nil {
				_, err = p.exchange(tools(1, perServer))
			}
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
