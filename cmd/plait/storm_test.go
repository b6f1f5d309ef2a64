package main_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stormClients is how many clients call, each through a plait serve of its own.
const stormClients = 16

// TestStorm edits a configuration at random and saves it in every way while 16 clients call without pause: no call
// to a server that was not touched fails or is carried out twice, nothing is left over, and in the end everybody has
// what a fresh start gives. PLAIT_TEST_STORM says how many edits, PLAIT_TEST_SEED repeats one.
func TestStorm(t *testing.T) {
	edits, seed := stormNumber(t, "PLAIT_TEST_STORM", 60), uint64(stormNumber(t, "PLAIT_TEST_SEED", int(time.Now().UnixNano())))
	t.Logf("PLAIT_TEST_STORM=%d PLAIT_TEST_SEED=%d", edits, seed)
	s := startStorm(t, seed)
	before := s.footprints()
	asked := s.mark.asked()
	done := make(chan struct{})
	var clients sync.WaitGroup
	for i := range stormClients {
		clients.Go(func() { s.call(t, i, done) })
	}
	begin := time.Now()
	for i := 0; i < edits && !t.Failed(); i++ {
		s.file.edit()
		s.file.save(t, s.hangUp)
		if s.file.rnd.IntN(8) == 0 {
			s.file.edit()
			s.file.save(t, s.hangUp)
			i++
		}
		s.settle(t)
	}
	took := time.Since(begin)
	close(done)
	clients.Wait()
	if n := s.mark.asked(); n != asked {
		t.Errorf("%d changes of a prefix took %d requests to the server", s.file.edits, n-asked)
	}
	s.compare(t)
	t.Logf("%d edits in %s, %d calls to servers that were not touched", s.file.edits, took.Round(time.Millisecond), len(s.keep.calls)+s.toKept())
	s.expectOnce(t)
	s.expectNothingLeft(t, before)
}

func stormNumber(tb testing.TB, variable string, otherwise int) int {
	tb.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// storm is what TestStorm runs.
type storm struct {
	file       *stormFile
	keep, mark *stormServer
	others     []*stormServer
	clients    []*faultClient

	mu    sync.Mutex
	tools [stormClients][]string  // the tools that each client has read last
	kept  map[int]map[string]bool // the processes of kept, by client
	calls int                     // to kept
	fresh int                     // goroutines
}

func startStorm(t *testing.T, seed uint64) *storm {
	t.Helper()
	s := &storm{keep: newStormServer("keep"), mark: newStormServer("mark"), kept: map[int]map[string]bool{}}
	var paths []string
	for i := range 6 {
		s.others = append(s.others, newStormServer(fmt.Sprintf("b%d", i)))
		paths = append(paths, s.others[i].name)
	}
	base := serveStorm(t, append(s.others, s.keep, s.mark)...)
	s.file = newStormFile(t, seed, base, paths)
	for range stormClients {
		s.clients = append(s.clients, openStorm(t, s.file.path))
	}
	s.settle(t)
	return s
}

func openStorm(t *testing.T, path string) *faultClient {
	t.Helper()
	c := startPlait(t, []string{"PLAIT_LOG=info"}, "serve", "--config", path)
	go c.read()
	c.hello(t)
	return c
}

// hangUp tells all processes by a signal.
func (s *storm) hangUp() {
	for _, c := range s.clients {
		_ = c.cmd.Process.Signal(syscall.SIGHUP)
	}
}

// settle waits until every client sees the last edit.
func (s *storm) settle(t *testing.T) {
	t.Helper()
	want := s.file.marker() + "work"
	for i, c := range s.clients {
		until(t, "the tool "+want, func() bool {
			tools := s.list(t, c)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.tools[i] = tools
			return slices.Contains(tools, want)
		})
	}
}

func (s *storm) list(t *testing.T, c *faultClient) []string {
	t.Helper()
	a, err := c.request("tools/list", "{}")
	if err != nil || a.Error != nil {
		t.Fatalf("tools/list: %+v %v", a.Error, err)
	}
	var names []string
	for _, tool := range a.Result.Tools {
		names = append(names, tool.Name)
	}
	return names
}

// call calls, without pause, the servers that are not touched, which have to answer, and others, which may not.
func (s *storm) call(t *testing.T, client int, done <-chan struct{}) {
	t.Helper()
	c := s.clients[client]
	for n := 0; ; n++ {
		select {
		case <-done:
			return
		default:
		}
		id := fmt.Sprintf("%d-%d", client, n)
		if got, err := s.work(c, "keep_work", id); err != nil || got[1] != "1" {
			t.Errorf("keep: %v %v", got, err)
			return
		}
		got, err := s.work(c, "kept_work", id)
		if err != nil || got[1] != "1" {
			t.Errorf("kept: %v %v", got, err)
			return
		}
		s.mu.Lock()
		if s.kept[client] == nil {
			s.kept[client] = map[string]bool{}
		}
		s.kept[client][got[2]] = true
		s.calls++
		tools := s.tools[client]
		s.mu.Unlock()
		name := tools[rand.IntN(len(tools))]
		if strings.HasPrefix(name, "m") || strings.HasPrefix(name, "k") {
			continue
		}
		if got, err := s.work(c, name, "x"+id); err == nil && got[1] != "1" {
			t.Errorf("%s: carried out again: %v", name, got)
		}
	}
}

// work calls a tool and returns the words of the answer: the id, how often it was carried out, and by which process.
func (s *storm) work(c *faultClient, tool, id string) ([]string, error) {
	a, err := c.request("tools/call", fmt.Sprintf(`{"name":%q,"arguments":{"id":%q}}`, tool, id))
	if err != nil {
		return nil, err
	}
	if a.Error != nil {
		return nil, fmt.Errorf("%+v", *a.Error)
	}
	words := strings.Fields(a.text())
	if len(words) != 3 || words[0] != id {
		return nil, fmt.Errorf("answer %q to %s", a.text(), id)
	}
	return words, nil
}

func (s *storm) toKept() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// compare starts plait anew and compares what its client gets with what the others have.
func (s *storm) compare(t *testing.T) {
	t.Helper()
	fresh := openStorm(t, s.file.path)
	for _, method := range []string{"tools/list", "resources/list"} {
		for i, c := range s.clients {
			var got, want string
			bound := time.Now().Add(hung)
			for got, want = raw(t, c, method), raw(t, fresh, method); got != want && time.Now().Before(bound); {
				<-time.After(50 * time.Millisecond)
				got, want = raw(t, c, method), raw(t, fresh, method)
			}
			if got != want {
				t.Errorf("client %d, %s:\n got %s\nwant %s, as after a fresh start\n%s", i, method, got, want, s.file.text())
			}
		}
	}
	fresh.quit(t)
}

// raw makes a request and returns the text of the result.
func raw(t *testing.T, c *faultClient, method string) string {
	t.Helper()
	a, err := c.request(method, "{}")
	if err != nil || a.Error != nil {
		t.Fatalf("%s: %+v %v", method, a.Error, err)
	}
	var answer struct{ Result json.RawMessage }
	if err := json.Unmarshal(a.line, &answer); err != nil {
		t.Fatal(err)
	}
	return string(answer.Result)
}

// expectOnce checks that no call was carried out more than once, and no child was started anew that was not touched.
func (s *storm) expectOnce(t *testing.T) {
	t.Helper()
	for _, server := range append(s.others, s.keep) {
		server.mu.Lock()
		for id, n := range server.calls {
			if n != 1 {
				t.Errorf("call %s to %s was carried out %d times", id, server.name, n)
			}
		}
		server.mu.Unlock()
	}
	for client, pids := range s.kept {
		if len(pids) != 1 {
			t.Errorf("client %d: the child that was not touched was started %d times", client, len(pids))
		}
	}
}

func (s *storm) footprints() []footprint {
	var all []footprint
	for _, c := range s.clients {
		all = append(all, footprintOf(c.cmd.Process.Pid))
	}
	return all
}

// expectNothingLeft goes back to the first version of the file and compares what the processes hold.
func (s *storm) expectNothingLeft(t *testing.T, before []footprint) {
	t.Helper()
	s.file.edits++
	s.file.servers = nil
	if err := s.file.inPlace(s.file.text()); err != nil {
		t.Fatal(err)
	}
	s.settle(t)
	if runtime.GOOS != "windows" {
		c := openStorm(t, s.file.path)
		s.list(t, c)
		s.fresh = goroutines(t, c)
		t.Logf("%d goroutines after a fresh start", s.fresh)
	}
	for i, c := range s.clients {
		before[i].expectNoMore(t, c.cmd.Process.Pid)
		if runtime.GOOS == "windows" {
			c.quit(t)
			continue
		}
		if n, most := goroutines(t, c), s.fresh+10; n > most {
			t.Errorf("client %d: %d goroutines, after a fresh start there are %d", i, n, s.fresh)
		}
	}
}

// goroutines ends a process and returns how many goroutines it had.
func goroutines(t *testing.T, c *faultClient) int {
	t.Helper()
	signalTo(t, c, syscall.SIGQUIT)
	<-c.eof
	_ = c.wait(t)
	n := 0
	for line := range strings.Lines(c.said(t)) {
		if strings.HasPrefix(line, "goroutine ") {
			n++
		}
	}
	return n
}
