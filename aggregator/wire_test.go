package aggregator

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/plait-mcp/plait/aggregator/downstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// wire is a client on the other end of stdio.
type wire struct {
	t     *testing.T
	in    *io.PipeWriter
	lines chan string
	ended chan error
}

// wire serves a client over pipes until the test ends or end is called.
func (s *strand) wire() *wire {
	s.t.Helper()
	in, toPlait := io.Pipe()
	fromPlait, out := io.Pipe()
	w := &wire{t: s.t, in: toPlait, lines: make(chan string, 10_000), ended: make(chan error, 1)}
	go func() {
		w.ended <- downstream.ServeStdio(s.t.Context(), in, out, downstream.Options{
			Open:  func(to jsonrpc.Sender) jsonrpc.Handler { return s.agg.Open(to) },
			Limit: s.agg.now.Load().cfg.Limits.Message, Log: s.agg.log,
		})
		_ = out.Close()
	}()
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(w.lines)
		lines := bufio.NewReader(fromPlait)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			w.lines <- strings.TrimSuffix(line, "\n")
		}
	}()
	s.t.Cleanup(func() {
		_ = toPlait.Close()
		<-read
	})
	return w
}

// end closes plait's stdin and waits until it has ended.
func (w *wire) end() {
	w.t.Helper()
	_ = w.in.Close()
	select {
	case err := <-w.ended:
		if err != nil {
			w.t.Errorf("plait ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		w.t.Fatal("plait does not end")
	}
}

func (w *wire) send(lines ...string) {
	w.t.Helper()
	for _, line := range lines {
		if _, err := io.WriteString(w.in, line+"\n"); err != nil {
			w.t.Fatal(err)
		}
	}
}

// next returns the next line.
func (w *wire) next() string {
	w.t.Helper()
	select {
	case line, ok := <-w.lines:
		if !ok {
			w.t.Fatal("plait has closed its stdout")
		}
		return line
	case <-time.After(30 * time.Second):
		w.t.Fatal("plait says nothing")
	}
	return ""
}

// hello initializes the session.
func (w *wire) hello(version string) {
	w.t.Helper()
	w.send(`{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"protocolVersion":"` + version +
		`","capabilities":{"sampling":{},"elicitation":{}},"clientInfo":{"name":"t","version":"1"}}}`)
	if line := w.next(); !strings.Contains(line, `"protocolVersion":"`+version+`"`) {
		w.t.Fatalf("initialize: %s", line)
	}
	w.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
}

// says sends a line and compares the next one that comes.
func (w *wire) says(line, want string) {
	w.t.Helper()
	w.send(line)
	equal(w.t, line[:min(len(line), 200)], w.next(), want)
}

// childRoles are what this test binary can be instead of a test.
var childRoles = map[string]func(){
	"server": func() { serveChild(os.Stdin, "\n") },
	"noisy": func() {
		_, _ = os.Stdout.WriteString("\ufeff\r\nListening on 3000\r\n\r\n")
		serveChild(os.Stdin, "\r\n")
	},
	"crash": func() {
		m, err := jsonrpc.NewReader(os.Stdin, 1<<20).Read()
		if err == nil {
			_, _ = os.Stdout.Write(append(jsonrpc.Result(m.ID(), jsonrpc.Raw(childHello)).Bytes(), '\n'))
		}
	},
}

const childHello = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"logging":{},` +
	`"resources":{"subscribe":true}},"serverInfo":{"name":"child","version":"1"}}`

// serveChild is a server over stdio with tools that show what became of it. What it does is written to the
// file of the variable PLAIT_TEST_JOURNAL.
func serveChild(in io.Reader, end string) {
	journal, err := os.OpenFile(os.Getenv("PLAIT_TEST_JOURNAL"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		journal = os.Stderr
	}
	answer := func(t jsonrpc.Text) { _, _ = os.Stdout.Write(append(bytes.Clone(t.Bytes()), end...)) }
	for r := jsonrpc.NewReader(in, 1<<26); ; {
		m, err := r.Read()
		if err != nil {
			return
		}
		_, _ = journal.WriteString(m.Method() + " " + string(m.Params()) + "\n")
		if m.Kind() != jsonrpc.Request {
			continue
		}
		name, _ := jsonrpc.GetString(m.Params(), "name")
		switch m.Method() {
		case "initialize":
			answer(jsonrpc.Result(m.ID(), jsonrpc.Raw(childHello)))
		case "tools/list":
			answer(jsonrpc.Result(m.ID(), jsonrpc.Raw(tools("echo", "ask", "die", "wait"))))
		case "resources/list":
			answer(jsonrpc.Result(m.ID(), jsonrpc.Raw(`{"resources":[{"uri":"file:///r","name":"r"}]}`)))
		case "tools/call":
			childCall(m, name, answer)
		case "resources/subscribe", "logging/setLevel", "ping":
			answer(jsonrpc.Result(m.ID(), jsonrpc.Raw(`{}`)))
		default:
			answer(jsonrpc.Failure(m.ID(), jsonrpc.Errorf(jsonrpc.CodeMethodNotFound, "Method not found")))
		}
	}
}

func childCall(m *jsonrpc.Message, name string, answer func(jsonrpc.Text)) {
	switch name {
	case "die":
		os.Exit(3)
	case "wait": // for ever
	case "ask":
		answer(jsonrpc.NewRequest(`"q"`, "elicitation/create", jsonrpc.Raw(`{"message":"m","requestedSchema":{}}`)))
		answer(jsonrpc.Result(m.ID(), jsonrpc.Raw(`{"content":[]}`)))
	default:
		answer(jsonrpc.Result(m.ID(), jsonrpc.Raw(`{"content":[],"params":`+string(m.Params())+`}`)))
	}
}
