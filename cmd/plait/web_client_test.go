package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// webClient is a client over HTTP that a test sees all of: Streamable HTTP with a GET stream, or HTTP with SSE.
type webClient struct {
	tb      testing.TB
	url     string // where messages go
	headers []string
	session string
	sse     bool

	mu      sync.Mutex
	last    int
	got     []string // requests and notifications of plait
	answers map[int]chan webAnswer
}

type webAnswer struct {
	ID     *int
	Method string
	Result json.RawMessage
	Error  *struct {
		Code    int
		Message string
		Data    json.RawMessage
	}
}

// text returns all that an answer says.
func (a webAnswer) text() string {
	text, _ := json.Marshal(a)
	return string(text)
}

const showsLinks = `{"elicitation":{"url":{}}}`

// visitWeb opens a session at a path of a listener: of SSE if that begins with /sse. Headers are "Name: value".
func visitWeb(tb testing.TB, base, path, capabilities string, headers ...string) *webClient {
	tb.Helper()
	c := &webClient{tb: tb, url: base + path, headers: headers, sse: strings.HasPrefix(path, "/sse"), answers: map[int]chan webAnswer{}}
	if c.sse {
		endpoint := make(chan string, 1)
		c.listen(c.send(http.MethodGet, ""), endpoint)
		select {
		case where := <-endpoint:
			c.url = base + where
		case <-time.After(hung):
			tb.Fatal("no endpoint")
		}
	}
	c.rpc("initialize", `{"protocolVersion":"2025-11-25","capabilities":`+capabilities+`,"clientInfo":{"name":"web","version":"1"}}`)
	c.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	if !c.sse {
		c.listen(c.send(http.MethodGet, ""), nil)
	}
	return c
}

// send sends an HTTP request; its response ends with the test.
func (c *webClient) send(method, body string) *http.Response {
	c.tb.Helper()
	req, err := http.NewRequestWithContext(c.tb.Context(), method, c.url, strings.NewReader(body))
	if err != nil {
		c.tb.Fatal(err)
	}
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Content-Type", "application/json")
	if c.session != "" {
		req.Header.Set("Mcp-Session-Id", c.session)
	}
	for _, h := range c.headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.tb.Fatal(err)
	}
	return res
}

// post sends a message and returns the status, and what is in the body if that is not one.
func (c *webClient) post(message string) (status int, said string) {
	c.tb.Helper()
	res := c.send(http.MethodPost, message)
	defer res.Body.Close()
	if res.Header.Get("Mcp-Session-Id") != "" {
		c.session = res.Header.Get("Mcp-Session-Id")
	}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		c.read(res.Body, nil)
		return res.StatusCode, ""
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.tb.Error(err)
	}
	if res.StatusCode == http.StatusOK {
		c.take(string(text))
	}
	return res.StatusCode, string(text)
}

// listen reads a stream until it ends.
func (c *webClient) listen(res *http.Response, endpoint chan<- string) {
	if res.StatusCode != http.StatusOK {
		c.tb.Fatalf("%s", res.Status)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.read(res.Body, endpoint)
	}()
	c.tb.Cleanup(func() { res.Body.Close(); <-done })
}

func (c *webClient) read(from io.Reader, endpoint chan<- string) {
	in := bufio.NewScanner(from)
	in.Buffer(nil, 8<<20)
	for in.Scan() {
		switch data, ok := strings.CutPrefix(in.Text(), "data:"); {
		case !ok || strings.TrimSpace(data) == "":
		case endpoint != nil:
			endpoint <- strings.TrimSpace(data)
			endpoint = nil
		default:
			c.take(strings.TrimSpace(data))
		}
	}
}

func (c *webClient) take(text string) {
	var a webAnswer
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		c.tb.Errorf("%v in %s", err, text)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.Method != "" || a.ID == nil {
		c.got = append(c.got, text)
		return
	}
	c.answers[*a.ID] <- a
}

// rpc makes a request and returns its answer.
func (c *webClient) rpc(method, params string) webAnswer {
	c.tb.Helper()
	answer := make(chan webAnswer, 1)
	c.mu.Lock()
	c.last++
	id := c.last
	c.answers[id] = answer
	c.mu.Unlock()
	status, said := c.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`, id, method, params))
	if status > http.StatusAccepted {
		c.tb.Fatalf("%s: %d %s", method, status, said)
	}
	select {
	case a := <-answer:
		return a
	case <-time.After(hung):
		c.tb.Fatalf("no answer to %s", method)
	}
	return webAnswer{}
}

// call calls a tool without arguments.
func (c *webClient) call(name string) webAnswer {
	c.tb.Helper()
	return c.rpc("tools/call", fmt.Sprintf(`{"name":%q,"arguments":{"text":"x"}}`, name))
}

// tools returns the names of the tools.
func (c *webClient) tools() string {
	c.tb.Helper()
	var list struct{ Tools []struct{ Name string } }
	if err := json.Unmarshal(c.rpc("tools/list", "{}").Result, &list); err != nil {
		c.tb.Fatal(err)
	}
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	return strings.Join(names, " ")
}

// heard returns how many messages of plait hold a text.
func (c *webClient) heard(text string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, message := range c.got {
		n += strings.Count(message, text)
	}
	return n
}

// command runs a command of plait to its end, beside those that run in the same home.
func command(tb testing.TB, env []string, args ...string) string {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "plait", args...)
	cmd.Env = append(append(os.Environ(), "GORACE=atexit_sleep_ms=0"), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("plait %v: %v\n%s", args, err, out)
	}
	return string(out)
}
