package auth_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/auth/authtest"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

// report is what a member of the fleet says, a line each.
type report struct {
	Ready  bool // the first call worked
	Calls  int
	Failed []string
}

// sail is a process that uses a server: it signs in when it has to, says so, and then calls without pause from the line
// "go" on its input to the line "stop". args are a folder, a server, the port of the callback and what opens browsers.
func sail(args []string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	log := hclog.New(&hclog.LoggerOptions{Output: os.Stderr, Level: hclog.Debug})
	kept, err := store.Open(store.Options{Dir: args[0], Credentials: config.Credentials{Store: "file"}, Log: log})
	if err != nil {
		return err
	}
	defer kept.Close()
	port, _ := strconv.Atoi(args[2])
	m := auth.NewManager(ctx, auth.Options{Store: kept, Log: log, Auth: config.Auth{Callback: config.Callback{Host: "127.0.0.1", Port: port}}})
	defer m.Close()
	server := remote("api", args[1], nil)
	c, err := m.Client(server)
	if err != nil {
		return err
	}
	defer c.Close()
	call := func() error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, args[1], strings.NewReader("{}"))
		if err != nil {
			return err
		}
		r.Header.Set("X-Process", strconv.Itoa(os.Getpid()))
		resp, err := c.HTTP.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	}
	say := json.NewEncoder(os.Stdout)
	err = call()
	if _, need := errors.AsType[*auth.LoginRequiredError](err); need {
		if err = m.SignIn(ctx, server, auth.SignInOptions{Open: func(ctx context.Context, link string) error {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, args[3]+"?pid="+strconv.Itoa(os.Getpid())+"&link="+url.QueryEscape(link), nil)
			if err != nil {
				return err
			}
			resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
			if err == nil {
				resp.Body.Close()
			}
			return err
		}}); err == nil {
			err = call()
		}
	}
	if err != nil {
		return say.Encode(report{Failed: []string{err.Error()}})
	}
	if err := say.Encode(report{Ready: true}); err != nil {
		return err
	}
	return callOn(call, say)
}

// callOn calls when it is told to.
func callOn(call func() error, say *json.Encoder) error {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- in.Text()
		}
	}()
	for line := range lines {
		if line != "go" {
			continue
		}
		sum, pause := report{}, time.NewTicker(10*time.Millisecond)
		for running := true; running; {
			select {
			case <-lines:
				running = false
			case <-pause.C:
				sum.Calls++
				if err := call(); err != nil {
					sum.Failed = append(sum.Failed, err.Error())
				}
			}
		}
		pause.Stop()
		if err := say.Encode(sum); err != nil {
			return err
		}
	}
	return nil
}

// member is a process of the fleet.
type member struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
	err *lockedBuffer
}

// fleet is several processes that share one store.
type fleet struct {
	t       *testing.T
	members []*member
	opened  chan url.Values // browsers
}

// launch starts the processes at the same time.
func launch(t *testing.T, server string) *fleet {
	t.Helper()
	f := &fleet{t: t, opened: make(chan url.Values, 2*authtest.FleetSize)}
	browser := serve(t, func(_ http.ResponseWriter, r *http.Request) { f.opened <- r.URL.Query() })
	dir, port := folder(t), freePort(t)
	for range authtest.FleetSize {
		cmd := program(t, "sail", dir, server, port, browser.URL)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		m := &member{cmd: cmd, in: in, out: json.NewDecoder(out), err: &lockedBuffer{}}
		cmd.Stderr = m.err
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		late := time.AfterFunc(3*hung, func() { _ = cmd.Process.Kill() })
		t.Cleanup(func() {
			in.Close()
			_ = cmd.Wait()
			late.Stop()
			if t.Failed() {
				t.Logf("pid %d:\n%s", cmd.Process.Pid, m.err)
			}
		})
		f.members = append(f.members, m)
	}
	return f
}

// freePort returns a port that nobody listens at, and that no system gives out by itself.
func freePort(t *testing.T) string {
	t.Helper()
	for range 1000 {
		port := strconv.Itoa(12_000 + rand.IntN(20_000))
		if l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:"+port); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// hear reads a report of each process, and returns the sum of their calls.
func (f *fleet) hear() int {
	f.t.Helper()
	calls := 0
	for _, m := range f.members {
		var r report
		if err := m.out.Decode(&r); err != nil || len(r.Failed) > 0 {
			f.t.Errorf("pid %d: %d of %d calls failed: %.500q, %v", m.cmd.Process.Pid, len(r.Failed), r.Calls, r.Failed, err)
		}
		calls += r.Calls
	}
	return calls
}

// tell writes a line to all processes.
func (f *fleet) tell(line string) {
	f.t.Helper()
	for _, m := range f.members {
		if _, err := io.WriteString(m.in, line+"\n"); err != nil {
			f.t.Error(err)
		}
	}
}

// tab waits for the browser that is opened.
func (f *fleet) tab() url.Values {
	f.t.Helper()
	select {
	case q := <-f.opened:
		return q
	case <-newTimer(f.t):
		f.t.Fatal("no browser was opened")
		return nil
	}
}

// joined waits until all processes wait for the sign-in.
func (f *fleet) joined(as *authtest.Guarded) {
	f.t.Helper()
	for begin := time.Now(); as.Refused() < 2*len(f.members); { // the call, and the look at the challenge
		if time.Since(begin) > hung {
			f.t.Fatalf("%d requests were refused", as.Refused())
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-f.t.Context().Done():
		}
	}
}

// kill kills the process that opened the browser.
func (f *fleet) kill(pid string) {
	f.t.Helper()
	for i, m := range f.members {
		if strconv.Itoa(m.cmd.Process.Pid) == pid {
			_ = m.cmd.Process.Kill()
			_ = m.cmd.Wait()
			f.members = append(f.members[:i:i], f.members[i+1:]...)
			return
		}
	}
	f.t.Fatalf("no process %s", pid)
}

// visit does what the person does.
func (f *fleet) visit(link string) {
	f.t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		f.t.Fatal(err)
	}
	until(f.t, "a process that answers the browser", func() bool { // the next one, when the first was killed
		conn, err := (&net.Dialer{}).DialContext(f.t.Context(), "tcp", u.Host)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	authtest.Visit(f.t, link+"/go")
}

// TestFleet has a dozen processes come to one server at the same time: cold, with a leader that is killed while the
// person signs in, and with all tokens expired at once.
func TestFleet(t *testing.T) {
	var mu sync.Mutex
	var tokens []string                       // as they came
	processes := map[string]map[string]bool{} // that came with a token
	as := authtest.Guard(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		token := r.Header.Get("Authorization")
		if processes[token] == nil {
			tokens, processes[token] = append(tokens, token), map[string]bool{}
		}
		processes[token][r.Header.Get("X-Process")] = true
	}), "AS_TTL=3600")
	f := launch(t, as.URL)
	tab := f.tab()
	f.joined(as)
	f.kill(tab.Get("pid"))
	f.visit(tab.Get("link"))
	f.hear()
	if stats := as.Stats(t); stats.Register != 1 || stats.Token != 1 || stats.Authorize != 1 || len(f.opened) != 0 {
		t.Errorf("cold: %+v and %d more browsers", stats, len(f.opened))
	}
	f.tell("go")
	everywhere := func(n int) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(tokens) == n && len(processes[tokens[n-1]]) >= len(f.members)
		}
	}
	for n := range 3 { // no process may have two of its tokens refused: then its call fails
		until(t, "another token everywhere", everywhere(n+1))
		as.RefuseKnown()
	}
	until(t, "another token everywhere", everywhere(4))
	f.tell("stop")
	calls := f.hear()
	if stats := as.Stats(t); stats.Token != 4 || stats.Reuse != 0 || calls < len(f.members) {
		t.Errorf("expired three times: %+v after %d calls", stats, calls)
	}
}

// TestFleetShortTokens has the processes call without pause with tokens that live for two seconds.
func TestFleetShortTokens(t *testing.T) {
	as := authtest.Guard(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), "AS_TTL=2")
	f := launch(t, as.URL)
	f.visit(f.tab().Get("link"))
	f.hear()
	begin, before := time.Now(), as.Stats(t).Token
	f.tell("go")
	select {
	case <-time.After(authtest.FleetTime(t, 10*time.Second)):
	case <-t.Context().Done():
	}
	f.tell("stop")
	calls := f.hear()
	stats := as.Stats(t)
	took, renewals := time.Since(begin), stats.Token-before
	t.Logf("%d calls, %d renewals in %s, %d refused", calls, renewals, took.Round(time.Millisecond), as.Refused())
	if most := int(took/time.Second) + 2; renewals > most || renewals < 2 || stats.Reuse != 0 || stats.Register != 1 || len(f.opened) != 0 {
		t.Errorf("stats = %+v, %d more browsers; want at most %d renewals", stats, len(f.opened), most)
	}
}

// until waits until something is so.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for begin := time.Now(); !is(); {
		if time.Since(begin) > hung {
			t.Fatal("waited in vain for " + what)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
}
