package transport

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// childRoles are what this test binary can be instead of a test.
var childRoles = map[string]func(){
	"server":   func() { serveChild(os.Stdin) },
	"noisy":    noisyChild,
	"deaf":     waitForever,
	"stubborn": stubbornChild,
	"closer":   func() { os.Stdout.Close(); waitForever() },
	"plait":    plaitChild,
}

// waitForever ignores the end of stdin.
func waitForever() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	<-c
}

// stubbornChild ignores whatever can be ignored.
func stubbornChild() {
	signal.Ignore(syscall.SIGTERM, os.Interrupt)
	serveChild(os.Stdin)
	waitForever()
}

// noisyChild is a server that prints what is no message, and ends its lines like Windows (T07).
func noisyChild() {
	fmt.Fprint(os.Stdout, "\ufeff\r\nListening on 3000\r\n\r\n\n   \n{broken\n[1,2\n")
	r, w := io.Pipe()
	go func() {
		in := bufio.NewReader(os.Stdin)
		for {
			line, err := in.ReadBytes('\n')
			if err != nil {
				w.Close()
				return
			}
			fmt.Fprint(os.Stdout, "\x1b[32mgot a line\x1b[0m\r\n")
			w.Write(line)
		}
	}()
	serveChild(r)
}

// serveChild answers requests by their method until in ends.
func serveChild(in io.Reader) {
	s := &childServer{answers: make(chan json.RawMessage, 1)}
	for lines := bufio.NewReaderSize(in, 1<<20); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var m childMessage
		if err := json.Unmarshal(line, &m); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(101)
		}
		if m.Method == "" {
			s.answers <- bytes.TrimSpace(line)
			continue
		}
		if m.Method == "counted" {
			s.result(m, s.counted)
		}
		if m.Method == "count" { // in the order of arrival
			var p struct{ I int }
			if json.Unmarshal(m.Params, &p) == nil && p.I == s.counted {
				s.counted++
			}
			continue
		}
		if do := childMethods[m.Method]; do != nil {
			go do(s, m)
		}
	}
}

type childMessage struct {
	ID     json.RawMessage
	Method string
	Params json.RawMessage
}

type childServer struct {
	mu      sync.Mutex
	answers chan json.RawMessage // what the client answered, whole
	counted int                  // how many counts came in order
}

func (s *childServer) send(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(os.Stdout, format+"\n", args...)
}

func (s *childServer) result(m childMessage, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	s.send(`{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, b)
}

var childMethods = map[string]func(*childServer, childMessage){
	"echo": func(s *childServer, m childMessage) {
		s.send(`{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, m.Params)
	},
	// ask sends the params as they are, which is a request, and returns the answer.
	"ask": func(s *childServer, m childMessage) {
		s.send("%s", m.Params)
		s.result(m, <-s.answers)
	},
	// say sends each of the params as it is and then answers.
	"say": func(s *childServer, m childMessage) {
		var lines []json.RawMessage
		if err := json.Unmarshal(m.Params, &lines); err != nil {
			panic(err)
		}
		for _, line := range lines {
			s.send("%s", line)
		}
		s.result(m, len(lines))
	},
	"never":   func(*childServer, childMessage) {},
	"environ": func(s *childServer, m childMessage) { s.result(m, os.Environ()) },
	"args":    func(s *childServer, m childMessage) { s.result(m, os.Args[1:]) },
	"cwd": func(s *childServer, m childMessage) {
		dir, _ := os.Getwd()
		s.result(m, dir)
	},
	"pid": func(s *childServer, m childMessage) { s.result(m, os.Getpid()) },
	"crash": func(*childServer, childMessage) {
		for i := range 30 {
			fmt.Fprintf(os.Stderr, "\x1b[31mline %d\x1b[0m\r\n", i)
		}
		os.Exit(3)
	},
	// flood writes as many bytes as params says to stderr, in lines of many lengths and at last in one long line.
	"flood": func(s *childServer, m childMessage) {
		n, _ := strconv.Atoi(string(m.Params))
		line := bytes.Repeat([]byte("x"), 5000)
		for i := 0; n > 0; i++ {
			w, _ := os.Stderr.Write(append(line[:i%len(line):i%len(line)], '\n'))
			n -= w
		}
		for range 1000 {
			os.Stderr.Write(line)
		}
		s.result(m, "done")
	},
	// long answers with a line of params bytes and then sends a notification.
	"long": func(s *childServer, m childMessage) {
		n, _ := strconv.Atoi(string(m.Params))
		s.mu.Lock()
		out := bufio.NewWriter(os.Stdout)
		fmt.Fprintf(out, `{"jsonrpc":"2.0","id":%s,"result":"`, m.ID)
		for chunk := strings.Repeat("y", 1<<16); n > 0; n -= len(chunk) {
			out.WriteString(chunk)
		}
		out.WriteString("\"}\n" + `{"jsonrpc":"2.0","method":"after"}` + "\n")
		out.Flush()
		s.mu.Unlock()
	},
	// spawn starts this program in the role params, with the same pipes and in the same group, and returns its
	// process id once it runs.
	"spawn": func(s *childServer, m childMessage) {
		var role string
		_ = json.Unmarshal(m.Params, &role)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childRole+"="+role)
		cmd.Stdin, _, _ = os.Pipe()
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		s.result(m, cmd.Process.Pid)
	},
	// leave exits and lets go of whatever was spawned.
	"leave": func(*childServer, childMessage) { os.Exit(0) },
}

// plaitChild is a program like plait: it has a child and a grandchild, prints their process ids and that of its
// guardian, and waits to be killed.
func plaitChild() {
	g := NewGuardian(nil)
	s := childOf("stubborn")
	conn, err := openStdio(context.Background(), Options{Server: s, Handler: &childHandler{}, Limit: 1 << 20, Guardian: g})
	if err != nil {
		panic(err)
	}
	for i, method := range []string{"pid", "spawn"} {
		id := jsonrpc.Int(int64(i))
		m, err := conn.Call(context.Background(), id, jsonrpc.NewRequest(id, method, jsonrpc.Raw(`"stubborn"`)))
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(os.Stdout, string(m.Result()))
	}
	fmt.Fprintln(os.Stdout, guardianPID(g))
	waitForever()
}

// childOf returns a server that is this test binary in a role.
func childOf(role string) *config.Server {
	return &config.Server{
		Name: role, Type: config.Stdio, Command: os.Args[0],
		Env: map[string]config.Secret{
			childRole: config.Secret(role), "GOMAXPROCS": "2",
			"GORACE": "atexit_sleep_ms=0", // the race detector waits a second at the end
		},
	}
}

// childHandler is a Handler whose functions may be nil.
type childHandler struct {
	request      func(context.Context, *jsonrpc.Message) jsonrpc.Text
	notification func(*jsonrpc.Message)
}

func (h *childHandler) Request(ctx context.Context, _ jsonrpc.ID, m *jsonrpc.Message) jsonrpc.Text {
	if h.request == nil {
		return jsonrpc.Failure(m.ID(), jsonrpc.Errorf(jsonrpc.CodeMethodNotFound, "no %s", m.Method()))
	}
	return h.request(ctx, m)
}

func (h *childHandler) Notification(_ jsonrpc.ID, m *jsonrpc.Message) {
	if h.notification != nil {
		h.notification(m)
	}
}

// hungAfter is when a test gives up waiting; nothing is measured with it.
const hungAfter = time.Minute

func boundedContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hungAfter)
	t.Cleanup(cancel)
	return ctx
}

// openChild opens a Conn and closes it, in a hurry, when the test ends.
func openChild(t *testing.T, o Options) *stdioConn {
	t.Helper()
	if o.Handler == nil {
		o.Handler = &childHandler{}
	}
	if o.Limit == 0 {
		o.Limit = 64 << 20
	}
	conn, err := openStdio(boundedContext(t), o)
	if err != nil {
		t.Fatalf("openStdio: %v", err)
	}
	t.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		if err := conn.Close(now); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return conn.(*stdioConn)
}

// callChild calls and wants an answer; params nil are left out.
func callChild(t *testing.T, c Conn, id jsonrpc.ID, method, params string) *jsonrpc.Message {
	t.Helper()
	m, err := c.Call(boundedContext(t), id, jsonrpc.NewRequest(id, method, jsonrpc.Raw(params)))
	if err != nil {
		t.Fatalf("Call(%s): %v", method, err)
	}
	return m
}

func callInto(t *testing.T, c Conn, method, params string, v any) {
	t.Helper()
	if err := json.Unmarshal(callChild(t, c, "77", method, params).Result(), v); err != nil {
		t.Fatal(err)
	}
}

// awaitEvent fails the test when c is not closed in time.
func awaitEvent(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(hungAfter):
		t.Fatalf("%s did not happen", what)
	}
}

// logBuffer is a log that a test can read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) logger(level hclog.Level) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Output: l, Level: level})
}

// callNever calls for an answer that the child does not send and returns the error once there is one. The call is
// on its way when callNever returns.
func callNever(t *testing.T, c *stdioConn, id jsonrpc.ID) <-chan error {
	t.Helper()
	failed := make(chan error, 1)
	before := c.calls.Len()
	go func() {
		_, err := c.Call(boundedContext(t), id, jsonrpc.NewRequest(id, "never", nil))
		failed <- err
	}()
	eventually(t, "the call", func() bool { return c.calls.Len() > before })
	return failed
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.After(hungAfter)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%s did not happen", what)
		}
	}
}
