package main_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

const abuseHello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"flood","version":"1"}}}`

// TestAbuse has a crowd do to a real plait all at once what it is there to bear: a client that was there before is served all the
// while, another one comes in, and then plait holds no more than it did before.
func TestAbuse(t *testing.T) {
	t.Parallel()
	short(t)
	file := jsonFile(t, map[string]any{
		"mcpServers": map[string]any{"story": map[string]any{"url": serveRemote(t, nil).mcp(), "prefix": ""}},
		"limits":     map[string]any{"message": "1MiB"},
		"serve": map[string]any{"http": map[string]any{
			"listen": "127.0.0.1:0", "limits": map[string]any{"sessions": 50, "connections": 200, "memory": "4MiB", "idle": "15s"},
		}},
	})
	base, p := listen(t, nil, "serve", "--config", file, "--stdio=false")
	good := overHTTP(t, base+"/mcp")
	echoes(t, good, "before")
	files := openFiles(p.cmd.Process.Pid)

	crowd := &crowd{t: t, base: base, address: strings.TrimPrefix(base, "http://")}
	crowd.http.Transport = &http.Transport{MaxIdleConnsPerHost: 10}
	var all sync.WaitGroup
	all.Go(func() { crowd.sessions(1000) })
	all.Go(func() { crowd.idle(600) })
	all.Go(func() { crowd.large(50) })
	all.Go(func() { crowd.mistakes(100) })
	gone := make(chan struct{})
	go func() {
		all.Wait()
		close(gone)
	}()
	for i, here := 0, true; here; i++ { // an idle session would end
		echoes(t, good, fmt.Sprint("meanwhile ", i))
		select {
		case <-gone:
			here = false
		case <-time.After(50 * time.Millisecond):
		}
	}
	echoes(t, overHTTP(t, base+"/mcp"), "a new client")
	if n := openFiles(p.cmd.Process.Pid); n > files+200+3*50 { // each session has some to its server
		t.Errorf("%d open files during the flood, %d before", n, files)
	}
	crowd.leave()
	until(t, "what is left of it to end", func() bool {
		echoes(t, good, "after")
		return openFiles(p.cmd.Process.Pid) <= files+8 // with the new client
	})

	text := p.said(t)
	if n := strings.Count(text, "[WARN]"); n > 15 {
		t.Errorf("%d warnings:\n%s", n, text)
	}
	if n := strings.Count(text, "\n"); n > 60 {
		t.Errorf("%d lines of log", n)
	}
}

// openFiles returns how many files and sockets a process has open, 0 where nothing tells.
func openFiles(pid int) int {
	if runtime.GOOS != "linux" {
		return 0
	}
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0
	}
	return len(all)
}

// crowd is clients that mean no good.
type crowd struct {
	t       *testing.T
	base    string
	address string
	http    http.Client

	mu    sync.Mutex
	conns []net.Conn
}

func (c *crowd) post(path, text string, headers ...string) (status int) {
	req, err := http.NewRequestWithContext(context.WithoutCancel(c.t.Context()), http.MethodPost, c.base+path, strings.NewReader(text))
	if err != nil {
		c.t.Error(err)
		return 0
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := c.http.Do(req)
	if err != nil {
		return 0 // its connection made room for another
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// sessions asks for sessions and does not go on.
func (c *crowd) sessions(n int) {
	opened := 0
	for range n {
		switch status := c.post("/mcp", abuseHello); status {
		case http.StatusOK:
			opened++
		case 0, http.StatusServiceUnavailable:
		default:
			c.t.Errorf("initialize: %d", status)
		}
	}
	if opened < 40 {
		c.t.Errorf("%d sessions were opened", opened)
	}
}

// idle opens connections that say nothing, or a part.
func (c *crowd) idle(n int) {
	for i := range n {
		conn, err := new(net.Dialer).DialContext(c.t.Context(), "tcp", c.address)
		if err != nil {
			continue // it is full
		}
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(conn, []string{"", "POST /mcp HTTP/1.1\r\nHost: loc", "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"}[i%3])
		c.keep(conn)
	}
}

// large sends long bodies that do not end.
func (c *crowd) large(n int) {
	text := "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat(" ", 900_000)
	for range n {
		conn, err := new(net.Dialer).DialContext(c.t.Context(), "tcp", c.address)
		if err != nil {
			continue
		}
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(conn, text)
		c.keep(conn)
	}
}

// mistakes sends what is refused.
func (c *crowd) mistakes(n int) {
	for i := range n {
		for name, got := range map[string][2]int{
			"guess":  {http.StatusNotFound, c.post("/mcp", abuseHello, "Mcp-Session-Id", fmt.Sprint("guess", i))},
			"origin": {http.StatusForbidden, c.post("/mcp", abuseHello, "Origin", fmt.Sprintf("https://evil-%d.example.com", i))},
			"path":   {http.StatusNotFound, c.post(fmt.Sprint("/", i), abuseHello)},
			"deep":   {http.StatusBadRequest, c.post("/mcp", strings.Repeat("[", 10_000))},
			"bomb":   {http.StatusUnsupportedMediaType, c.post("/mcp", abuseHello, "Content-Encoding", "gzip")},
		} {
			if got[1] != 0 && got[1] != http.StatusServiceUnavailable && got[1] != got[0] {
				c.t.Errorf("%s: %d, want %d", name, got[1], got[0])
			}
		}
	}
}

func (c *crowd) keep(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conn)
}

func (c *crowd) leave() {
	c.http.CloseIdleConnections()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
}
