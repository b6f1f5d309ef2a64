package main_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// faultClient is a client of a real plait serve that has many calls in flight.
type faultClient struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	end io.Closer // of stdout
	out *bufio.Reader
	log string        // the file of stderr
	eof chan struct{} // closed when stdout has ended

	mu      sync.Mutex
	lastID  int
	waiting map[int]chan faultAnswer
}

type faultAnswer struct {
	ID     int
	Method string
	Result struct {
		Content []struct{ Text string }
		Tools   []struct{ Name string }
	}
	Error *faultError
	line  []byte // as it came
}

type faultError struct {
	Code    int
	Message string
	Data    struct{ Server, State string }
}

var errNoMore = errors.New("plait says no more")

func (a faultAnswer) text() string {
	if len(a.Result.Content) != 1 {
		return ""
	}
	return a.Result.Content[0].Text
}

// faultConfig writes a configuration of these servers, each an entry of mcpServers.
func faultConfig(tb testing.TB, servers map[string]any) string {
	tb.Helper()
	text, err := json.Marshal(map[string]any{
		"mcpServers": servers, "limits": map[string]any{"message": "8MiB"}, "startup": map[string]any{"wait": "20s"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(tb.TempDir(), "plait.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}

// childEntry is a stdio server with a fault.
func childEntry(fault string) map[string]any {
	return map[string]any{
		"command": os.Args[0], "args": []string{fault}, "connectTimeout": "30s", "callTimeout": "45s",
		"env": map[string]string{"PLAIT_TEST_PROGRAM": "fault-child", "FAULT_TOKEN": "hunter2-hunter2", "GORACE": "atexit_sleep_ms=0"},
	}
}

// startFaultPlait starts plait serve and says nothing to it yet.
func startFaultPlait(tb testing.TB, config string) *faultClient {
	tb.Helper()
	return startPlait(tb, []string{"PLAIT_LOG=debug"}, "serve", "--config", config)
}

// startPlait starts plait with these arguments and further variables, in a home of its own.
func startPlait(tb testing.TB, env []string, args ...string) *faultClient {
	tb.Helper()
	c := &faultClient{waiting: map[int]chan faultAnswer{}, eof: make(chan struct{})}
	c.cmd = exec.Command("plait", args...)
	home := tb.TempDir()
	c.cmd.Env = append(append(append(os.Environ(), homeIn(home)...), "GORACE=atexit_sleep_ms=0"), env...)
	stdout, outErr := c.cmd.StdoutPipe()
	in, inErr := c.cmd.StdinPipe()
	c.log = filepath.Join(home, "plait.log")
	log, logErr := os.Create(c.log)
	if err := errors.Join(outErr, inErr, logErr); err != nil {
		tb.Fatal(err)
	}
	defer log.Close()
	c.in, c.end, c.out, c.cmd.Stderr = in, stdout, bufio.NewReaderSize(stdout, 64<<10), log
	if err := c.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = c.cmd.Process.Kill() // it has ended unless the test failed
		_ = c.cmd.Wait()
		if text, err := os.ReadFile(c.log); err == nil && tb.Failed() {
			tb.Logf("the end of the log of plait:\n%s", text[max(0, len(text)-8000):])
		}
	})
	return c
}

// openFaults starts plait serve with these servers and opens a session.
func openFaults(tb testing.TB, servers map[string]any) *faultClient {
	tb.Helper()
	c := startFaultPlait(tb, faultConfig(tb, servers))
	go c.read()
	c.hello(tb)
	return c
}

func (c *faultClient) hello(tb testing.TB) {
	tb.Helper()
	a, err := c.request("initialize", `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"faults","version":"1"}}`)
	if err != nil || a.Error != nil {
		tb.Fatalf("initialize: %v %v", a.Error, err)
	}
	if err := c.write(`{"jsonrpc":"2.0","method":"notifications/initialized"}`); err != nil {
		tb.Fatal(err)
	}
}

// read hands the answers of plait to who waits for them until its stdout ends.
func (c *faultClient) read() {
	defer close(c.eof)
	for {
		line, err := c.out.ReadBytes('\n')
		if err != nil {
			return
		}
		var a faultAnswer
		if json.Unmarshal(line, &a) != nil || a.Method != "" {
			continue
		}
		a.line = line
		c.mu.Lock()
		to := c.waiting[a.ID]
		delete(c.waiting, a.ID)
		c.mu.Unlock()
		if to != nil {
			to <- a
		}
	}
}

func (c *faultClient) write(line string) error {
	_, err := io.WriteString(c.in, line+"\n")
	return err
}

// send sends a request and returns where its answer will arrive.
func (c *faultClient) send(method, params string) (<-chan faultAnswer, error) {
	to := make(chan faultAnswer, 1)
	c.mu.Lock()
	c.lastID++
	id := c.lastID
	c.waiting[id] = to
	c.mu.Unlock() // plait may not read before it is read
	return to, c.write(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`, id, method, params))
}

// request sends a request and waits for its answer.
func (c *faultClient) request(method, params string) (faultAnswer, error) {
	answer, err := c.send(method, params)
	if err != nil {
		return faultAnswer{}, err
	}
	select {
	case a := <-answer:
		return a, nil
	case <-c.eof:
		return faultAnswer{}, errNoMore
	case <-time.After(hung):
		return faultAnswer{}, fmt.Errorf("no answer to %s %s", method, params)
	}
}

// work calls the tool of a server, which may answer with so many megabytes.
func (c *faultClient) work(server string, mb int) (faultAnswer, error) {
	return c.request("tools/call", workParams(server, mb))
}

func workParams(server string, mb int) string {
	return fmt.Sprintf(`{"name":"%s_work","arguments":{"mb":%d}}`, server, mb)
}

// mustWork calls the tool of a server that has to answer, and returns what it said.
func (c *faultClient) mustWork(tb testing.TB, server string) string {
	tb.Helper()
	a, err := c.work(server, 0)
	if err != nil || a.Error != nil {
		tb.Fatalf("%s: %+v %v", server, a.Error, err)
	}
	return a.text()
}

// wait waits for the end of plait and returns how it ended.
func (c *faultClient) wait(tb testing.TB) error {
	tb.Helper()
	hanging := time.AfterFunc(hung, func() {
		tb.Error("plait does not end")
		_ = c.cmd.Process.Kill()
	})
	defer hanging.Stop()
	return c.cmd.Wait()
}

// quit closes stdin and expects a good end.
func (c *faultClient) quit(tb testing.TB) {
	tb.Helper()
	if err := c.in.Close(); err != nil {
		tb.Error(err)
	}
	if err := c.wait(tb); err != nil {
		tb.Errorf("plait ends with %v", err)
	}
}

func (c *faultClient) said(tb testing.TB) string {
	tb.Helper()
	text, err := os.ReadFile(c.log)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// until waits for something that nobody tells, and fails when it does not come.
func until(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	bound := time.After(hung)
	for !done() {
		select {
		case <-ticker.C:
		case <-bound:
			tb.Fatalf("still waiting for %s", what)
		}
	}
}

// lines returns how many lines of text hold the words.
func linesWith(text, words string) int {
	n := 0
	for line := range strings.Lines(text) {
		if strings.Contains(line, words) {
			n++
		}
	}
	return n
}
