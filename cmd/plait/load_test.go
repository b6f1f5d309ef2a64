package main_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	loadSessions = 500
	loadInFlight = 64
	// loadSlice is how long one way is under load until the other has its turn.
	loadSlice = 5 * time.Second
	// loadRest is how long it takes after some work until the connections for it are closed.
	loadRest = 6 * time.Second
	// loadSweep is how long it takes until the endpoint has looked whether anybody is left.
	loadSweep = 16 * time.Second
)

// BenchmarkListener has 500 clients, each with a session and a connection of its own, make calls for a minute, 64 of
// them at a time: through plait, and in turns through a bare pipe from HTTP to HTTP. No call may fail. It reports calls
// a second and processor time a call, and what an idle session takes; then all leave, which has to leave nothing behind.
// PLAIT_BENCH_LOAD is another time than a minute.
func BenchmarkListener(b *testing.B) {
	r := &rig{dir: b.TempDir()}
	r.floor = r.build(b, "floor", "./testdata/floor")
	if r.plait = os.Getenv("PLAIT_BENCH_BINARY"); r.plait == "" {
		r.plait = r.build(b, "plait", ".")
	}
	b.Cleanup(r.reap)
	minute := time.Minute
	if text := os.Getenv("PLAIT_BENCH_LOAD"); text != "" {
		var err error
		if minute, err = time.ParseDuration(text); err != nil {
			b.Fatal(err)
		}
	}
	for _, streams := range []string{"no", "yes"} {
		b.Run("streams="+streams, func(b *testing.B) {
			query := ""
			if streams == "yes" {
				query = "?stream=1"
			}
			pipe, between := newLoad(b, r, floor, query), newLoad(b, r, plait, query)
			for _, l := range []*load{pipe, between} {
				l.begin(b, loadSessions)
				if streams == "yes" {
					l.each(b, loadSessions, (*loadClient).listen)
				}
				l.rest(b, &l.idle)
			}
			for i := range int(max(minute/loadSlice, 1)) {
				first, second := pipe, between
				if i%2 == 1 {
					first, second = between, pipe
				}
				first.slice(b, min(minute, loadSlice))
				second.slice(b, min(minute, loadSlice))
			}
			for _, l := range []*load{pipe, between} {
				l.rest(b, &l.after)
				l.end(b)
				<-time.After(loadSweep)
				l.rest(b, &l.left)
				l.report(b)
			}
			between.compare(b)
			b.ReportMetric(0, wall)
			b.ReportMetric(between.rate()/pipe.rate(), "throughput-ratio")
			b.ReportMetric(between.perCall()/pipe.perCall(), "cpu-ratio")
			b.ReportMetric(between.perSession(), "B/session")
			r.reap()
		})
	}
}

// serveLoad starts a load-server and returns its URL.
func serveLoad(tb testing.TB, r *rig) string {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	p, err := startProcess(filepath.Join(r.dir, "server.log"), append(os.Environ(), "PLAIT_TEST_PROGRAM=load-server"), self)
	if err != nil {
		tb.Fatal(err)
	}
	r.processes = append(r.processes, p)
	line, err := p.readLine()
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(string(line))
}

// holding is what a process holds: memory and files, and goroutines and bytes on the heap as plait tells.
type holding struct{ rss, files, goroutines, heap int64 }

// load is one way to the server, and what was measured of it.
type load struct {
	via, url, server string
	pid              int
	clients          []*loadClient

	base, idle, after, left holding
	calls                   int
	took, cpu               time.Duration
}

// newLoad starts plait or the pipe before a server of its own and warms it up.
func newLoad(tb testing.TB, r *rig, via, query string) *load {
	tb.Helper()
	server := serveLoad(tb, r) + query
	file := filepath.Join(r.dir, via)
	args := []string{r.floor, "web", server}
	if via == plait {
		args = []string{r.plait, "serve", "--http", "127.0.0.1:0", "--config", file + ".yaml"}
		if err := writeConfig(file+".yaml", []string{server}); err != nil {
			tb.Fatal(err)
		}
	}
	p, err := startProcess(file+".log", append(os.Environ(), homeIn(tb.TempDir())...), args...)
	if err != nil {
		tb.Fatal(err)
	}
	r.processes = append(r.processes, p)
	l := &load{via: via, server: server, pid: p.pid()}
	if via == plait {
		until(tb, "the listener", func() bool {
			text, _ := os.ReadFile(file + ".log")
			if found := listening.FindSubmatch(text); found != nil {
				l.url = string(found[1]) + "/mcp"
			}
			return l.url != ""
		})
	} else {
		line, err := p.readLine()
		if err != nil {
			tb.Fatal(err)
		}
		l.url = strings.TrimSpace(string(line))
	}
	l.begin(tb, 1)
	l.each(tb, 1, (*loadClient).call)
	l.end(tb)
	l.rest(tb, &l.base)
	return l
}

// begin opens sessions.
func (l *load) begin(tb testing.TB, n int) {
	tb.Helper()
	l.clients = make([]*loadClient, n)
	for i := range l.clients {
		l.clients[i] = &loadClient{number: i}
	}
	l.each(tb, n, func(c *loadClient) error { return c.dial(l.url) })
}

// each has every client do something, 16 of them at a time, n times in all.
func (l *load) each(tb testing.TB, n int, do func(*loadClient) error) {
	tb.Helper()
	var all sync.WaitGroup
	errs := make([]error, 16)
	for w := range errs {
		all.Go(func() {
			for i := w; i < n && errs[w] == nil; i += len(errs) {
				errs[w] = do(l.clients[i%len(l.clients)])
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		tb.Fatalf("via %s: %v", l.via, err)
	}
}

// rest waits until the process has come to rest and looks at what it holds.
func (l *load) rest(tb testing.TB, f *holding) {
	tb.Helper()
	<-time.After(loadRest)
	f.rss, _ = memory(l.pid, resident)
	f.files = files(l.pid)
	if l.via == plait {
		told := l.metrics(tb)
		f.goroutines, f.heap = told["go_goroutines"], told["go_memstats_alloc_bytes"]
	}
}

// metrics returns what plait tells of itself.
func (l *load) metrics(tb testing.TB) map[string]int64 {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, strings.TrimSuffix(l.url, "/mcp")+"/metrics", nil)
	if err != nil {
		tb.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	told := map[string]int64{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, text, _ := strings.Cut(lines.Text(), " ")
		if number, err := strconv.ParseFloat(text, 64); err == nil {
			told[name] = int64(number)
		}
	}
	return told
}

// files returns how many files a process has open. It knows only Linux.
func files(pid int) int64 {
	open, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return int64(len(open))
}

// slice has so many calls in flight for a while; the clients take turns.
func (l *load) slice(tb testing.TB, span time.Duration) {
	tb.Helper()
	cpu, _ := settledTime(l.pid)
	start := time.Now()
	end := start.Add(span)
	var all sync.WaitGroup
	errs, calls := make([]error, loadInFlight), make([]int, loadInFlight)
	for w := range errs {
		all.Go(func() {
			for i := w; errs[w] == nil && time.Now().Before(end); i += loadInFlight {
				if i >= len(l.clients) {
					i = w
				}
				errs[w] = l.clients[i].call()
				calls[w]++
			}
		})
	}
	all.Wait()
	l.took += time.Since(start)
	now, _ := settledTime(l.pid)
	l.cpu += now - cpu
	for _, n := range calls {
		l.calls += n
	}
	if err := errors.Join(errs...); err != nil {
		tb.Fatalf("via %s: %v", l.via, err)
	}
}

// end has all clients leave and waits until the server knows no session any more.
func (l *load) end(tb testing.TB) {
	tb.Helper()
	l.each(tb, len(l.clients), (*loadClient).leave)
	address, _, _ := strings.Cut(l.server, "/mcp")
	until(tb, "the end of the sessions", func() bool {
		resp, err := http.Get(address + "/sessions")
		if err != nil {
			tb.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return err == nil && string(text) == "0"
	})
}

func (l *load) rate() float64       { return float64(l.calls) / l.took.Seconds() }
func (l *load) perCall() float64    { return nanoseconds(l.cpu) / float64(l.calls) }
func (l *load) perSession() float64 { return float64(l.idle.rss-l.base.rss) / loadSessions }

func (l *load) report(b *testing.B) {
	b.Helper()
	const kib = 1 << 10
	b.Logf("via %-5s: %7d calls, %6.0f a second, %5.1f µs of the processor each; an idle session takes %5.1f KiB; resident "+
		"%d KiB at first, %d idle, %d after the load, %d when all had left; files %d, %d, %d, %d; goroutines %d, %d, %d, %d; "+
		"heap %d, %d, %d, %d KiB", l.via, l.calls, l.rate(),
		l.perCall()/1e3, l.perSession()/kib, l.base.rss/kib, l.idle.rss/kib, l.after.rss/kib, l.left.rss/kib,
		l.base.files, l.idle.files, l.after.files, l.left.files,
		l.base.goroutines, l.idle.goroutines, l.after.goroutines, l.left.goroutines,
		l.base.heap/kib, l.idle.heap/kib, l.after.heap/kib, l.left.heap/kib)
}

// compare fails when more is left than there was at first. Go keeps half a KiB for each goroutine that there ever was at a
// time, which is why the heap may have grown by some.
func (l *load) compare(b *testing.B) {
	b.Helper()
	const few, some = 4, 4 << 20
	if l.left.files > l.base.files || l.left.goroutines > l.base.goroutines+few || l.left.heap > l.base.heap+some {
		b.Errorf("all have left, but plait holds more than at first: %+v, then %+v", l.base, l.left)
	}
}
