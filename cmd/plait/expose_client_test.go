package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// exposeClient is a client of plait expose that shows what goes over the wire.
type exposeClient struct {
	url     string
	session string
	token   string

	answers func(request wireMessage) string // to requests of the server; nil when there are none
	other   []wireMessage                    // that came before the last answer
}

// wireMessage is a message as it came.
type wireMessage struct {
	ID     json.RawMessage
	Method string
	Result json.RawMessage
	Error  *struct {
		Code    int
		Message string
		Data    json.RawMessage
	}

	text string
}

// expose starts plait expose with a child and flags in front of the command.
func expose(tb testing.TB, env, flags []string, child ...string) (url string, p *faultClient) {
	tb.Helper()
	args := append(append([]string{"expose", "-p", "0"}, flags...), "--", "child")
	base, p := listen(tb, env, append(args, child...)...)
	return base + "/mcp", p
}

// greets opens a session and has it go on.
func greets(tb testing.TB, url string) *exposeClient {
	tb.Helper()
	c := &exposeClient{url: url}
	if a := c.hello(tb); a.Error != nil {
		tb.Fatalf("initialize: %+v", a.Error)
	}
	c.tell(tb, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return c
}

const exposeHello = `{"protocolVersion":"2025-11-25","capabilities":{"sampling":{},"elicitation":{},"roots":{}},"clientInfo":{"name":"raw","version":"1"}}`

func (c *exposeClient) hello(tb testing.TB) wireMessage {
	tb.Helper()
	return c.ask(tb, "initialize", exposeHello)
}

// do sends a request of HTTP.
func (c *exposeClient) do(ctx context.Context, method, body string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if c.session != "" {
		r.Header.Set("Mcp-Session-Id", c.session)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	return http.DefaultClient.Do(r)
}

// status sends a request of HTTP and returns what came of it.
func (c *exposeClient) status(tb testing.TB, method, body string) (status int, header http.Header, text string) {
	tb.Helper()
	res, err := c.do(tb.Context(), method, body)
	if err != nil {
		tb.Fatal(err)
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return res.StatusCode, res.Header, string(all)
}

// tell sends a notification or an answer.
func (c *exposeClient) tell(tb testing.TB, text string) {
	tb.Helper()
	if status, _, answer := c.status(tb, "POST", text); status != http.StatusAccepted {
		tb.Fatalf("%s: %d %s", text, status, answer)
	}
}

// leave ends the session.
func (c *exposeClient) leave(tb testing.TB) {
	tb.Helper()
	if status, _, text := c.status(tb, "DELETE", ""); status != http.StatusNoContent && status != http.StatusNotFound {
		tb.Errorf("DELETE: %d %s", status, text)
	}
}

// ask sends a request and returns the answer.
func (c *exposeClient) ask(tb testing.TB, method, params string) wireMessage {
	tb.Helper()
	a, err := c.try(tb, method, params)
	if err != nil {
		tb.Fatalf("%s: %v", method, err)
	}
	return a
}

// try is ask and returns why there is no answer.
func (c *exposeClient) try(tb testing.TB, method, params string) (wireMessage, error) {
	tb.Helper()
	res, err := c.do(tb.Context(), "POST", fmt.Sprintf(`{"jsonrpc":"2.0","id":"ünique","method":%q,"params":%s}`, method, params))
	if err != nil {
		return wireMessage{}, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		return wireMessage{}, fmt.Errorf("%s %s", res.Status, text)
	}
	if id := res.Header.Get("Mcp-Session-Id"); id != "" {
		c.session = id
	}
	c.other = nil
	for m, err := range messagesOf(res) {
		switch {
		case err != nil:
			return m, err
		case m.Method == "":
			return m, nil
		case m.ID != nil && c.answers != nil:
			c.tell(tb, c.answers(m))
		}
		c.other = append(c.other, m)
	}
	return wireMessage{}, errors.New("the stream ended before the answer")
}

// messagesOf yields the messages of a response, which may be events.
func messagesOf(res *http.Response) func(yield func(wireMessage, error) bool) {
	read := func(text []byte) (m wireMessage, err error) {
		err = json.Unmarshal(text, &m)
		m.text = string(text)
		return m, err
	}
	return func(yield func(wireMessage, error) bool) {
		if res.Header.Get("Content-Type") == "application/json" {
			text, err := io.ReadAll(res.Body)
			if err != nil {
				yield(wireMessage{}, err)
				return
			}
			yield(read(text))
			return
		}
		for lines := bufio.NewReader(res.Body); ; {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				return
			}
			data, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("data: "))
			if ok && len(data) > 0 && !yield(read(data)) {
				return
			}
		}
	}
}

// process returns the processes of the session's child, and its variable.
func (c *exposeClient) process(tb testing.TB, variable string) (pids []int, value string) {
	tb.Helper()
	var got struct {
		Pids  []int
		Value string
	}
	a := c.ask(tb, "x/process", fmt.Sprintf(`{"name":%q}`, variable))
	if err := json.Unmarshal(a.Result, &got); err != nil || len(got.Pids) == 0 {
		tb.Fatalf("process: %s %v", a.text, err)
	}
	return got.Pids, got.Value
}

// fails expects an answer that names the child and holds words.
func fails(tb testing.TB, a wireMessage, words ...string) {
	tb.Helper()
	if a.Error == nil {
		tb.Errorf("the answer is %s, want an error", a.text)
		return
	}
	for _, word := range append(words, `server "child"`) {
		if !strings.Contains(a.Error.Message, word) {
			tb.Errorf("the error is %q, want %q in it", a.Error.Message, word)
		}
	}
}
