package downstream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are in memory: time passes only when everybody waits, and a client that does
// not read stops what is written to it at once.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// drip writes text byte by byte, one each pause, until that does not work any more.
func drip(w io.Writer, text string, pause time.Duration) {
	for i := range len(text) {
		if _, err := io.WriteString(w, text[i:i+1]); err != nil {
			return
		}
		time.Sleep(pause) //nolint:forbidigo // the time of synctest
	}
}

// TestAbuseSlow has clients send, or read, as slowly as they like (slow loris): how long each has.
func TestAbuseSlow(t *testing.T) {
	const head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nContent-Type: application/json\r\n"
	big := `{"jsonrpc":"2.0","id":1,"method":"echo","params":{"text":"` + strings.Repeat("x", 1000<<10) + `"}}`
	post := func(session, text string) string {
		return fmt.Sprintf("%s%s\r\nContent-Length: %d\r\n\r\n%s", head, session, len(text), text)
	}
	for _, c := range []struct {
		name   string
		client func(conn net.Conn, session string)
		status int           // 0: the connection is closed without an answer, or while there is one
		within time.Duration // until the connection is closed
	}{
		{"says nothing", func(net.Conn, string) {}, 0, unusedTime},
		{"trickles the header of the first request after a while", func(c net.Conn, _ string) {
			time.Sleep(time.Minute) //nolint:forbidigo // the time of synctest
			drip(c, head+strings.Repeat("X: y\r\n", 1000), time.Second)
		}, 400, time.Minute + headerTime},
		{"trickles the header", func(c net.Conn, _ string) { drip(c, head+strings.Repeat("X: y\r\n", 1000), time.Second) }, 400, headerTime},
		{"trickles the header of the second request", func(c net.Conn, s string) {
			_, _ = io.WriteString(c, post(s, `{"jsonrpc":"2.0","method":"n"}`))
			drip(c, head+strings.Repeat("X: y\r\n", 1000), time.Second)
		}, 202, headerTime + 4*time.Second}, // which begins with the fourth byte
		{"says nothing more", func(c net.Conn, s string) { _, _ = io.WriteString(c, post(s, call("1", "echo", ""))) }, 200, unusedTime},
		{"trickles the body", func(c net.Conn, s string) {
			_, _ = io.WriteString(c, head+s+"\r\nContent-Length: 100000\r\n\r\n")
			drip(c, big, time.Second)
		}, 408, pause + parting},
		{"trickles chunks", func(c net.Conn, s string) {
			_, _ = io.WriteString(c, head+s+"\r\nTransfer-Encoding: chunked\r\n\r\n")
			drip(c, strings.Repeat("1\r\n \r\n", 10_000), time.Second)
		}, 408, pause + parting},
		{"stops in the body", func(c net.Conn, s string) {
			_, _ = io.WriteString(c, post(s, big)[:900<<10])
		}, 408, pause + parting},
		{"stops after it was quick", func(c net.Conn, s string) {
			_, _ = io.WriteString(c, post(s, big)[:1000<<10])
			drip(c, strings.Repeat(" ", 10_000), pause-time.Second)
		}, 408, pause + (1000<<10)/slowestIntake*time.Second + parting},
		{"is slow, but not too slow", func(c net.Conn, s string) {
			text := post(s, big)
			for ; len(text) > 20<<10; text = text[20<<10:] {
				drip(c, text[:1], time.Second)
				_, _ = io.WriteString(c, text[1:20<<10])
			}
			_, _ = io.WriteString(c, text)
		}, 200, unusedTime + time.Minute},
		{"trickles a body that nobody wants", func(c net.Conn, _ string) {
			_, _ = io.WriteString(c, "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
			drip(c, big, time.Second)
		}, 404, parting},
		{"trickles a body for a foreign host", func(c net.Conn, _ string) {
			_, _ = io.WriteString(c, "POST /mcp HTTP/1.1\r\nHost: evil.example.com\r\nTransfer-Encoding: chunked\r\n\r\n")
			drip(c, strings.Repeat("1\r\n \r\n", 10_000), time.Second)
		}, 403, parting},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newPipes()
				r := startAt(t, HTTPOptions{}, l)
				session := r.session()
				conn := l.dial()
				began := time.Now()
				var client sync.WaitGroup
				client.Go(func() { c.client(conn, session) })
				status := 0
				in := bufio.NewReader(conn)
				if res, err := http.ReadResponse(in, nil); err == nil {
					status = res.StatusCode
					_, _ = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
				}
				_, _ = io.Copy(io.Discard, in)
				if took := time.Since(began); status != c.status || took > c.within+time.Second {
					t.Errorf("status %d, closed after %s; want %d, %s at most", status, took, c.status, c.within)
				}
				_ = conn.Close()
				client.Wait()
			})
		})
	}
}

// TestAbuseDeaf has clients that do not read what they asked for: they are given up, and their calls go on.
func TestAbuseDeaf(t *testing.T) {
	const head = " /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nContent-Type: application/json\r\n"
	post := func(session, text string) string {
		return fmt.Sprintf("POST%s%s\r\nContent-Length: %d\r\n\r\n%s", head, session, len(text), text)
	}
	for name, c := range map[string]struct {
		text   func(session string) string
		read   int64
		within time.Duration
	}{
		"an answer":         {func(s string) string { return post(s, call("1", "big", "")) }, 0, slowest},
		"most of an answer": {func(s string) string { return post(s, call("1", "big", "")) }, 1 << 20, 5 * slowest},
		"the stream of a call": {func(s string) string {
			return post(s, call("1", "note", ""))
		}, 0, slowest},
		"the GET stream": {func(s string) string { return "GET" + head + s + "\r\n\r\n" }, 200, heartbeat + slowest},
		"what was accepted": {func(s string) string {
			return strings.Repeat(post(s, `{"jsonrpc":"2.0","method":"n"}`), 100)
		}, 0, slowest},
		"what was refused": {func(s string) string {
			return strings.Repeat(post("X: y", call("1", "ping", "")), 100)
		}, 0, slowest},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newPipes()
				r := startAt(t, HTTPOptions{}, l)
				session := r.session()
				conn := l.dial()
				began := time.Now()
				written := make(chan struct{})
				go func() {
					defer close(written)
					_, _ = io.WriteString(conn, c.text(session))
				}()
				_, _ = io.CopyN(io.Discard, conn, c.read)
				r.vanish(t)
				if took := time.Since(began); took > c.within+time.Second {
					t.Errorf("given up after %s, want %s", took, c.within)
				}
				_ = conn.Close()
				<-written
			})
		})
	}
}

// vanish waits until the front has no connection any more.
func (r *rig) vanish(t *testing.T) {
	t.Helper()
	for range 1000 {
		if r.connections() == 0 {
			return
		}
		time.Sleep(time.Second) //nolint:forbidigo // the time of synctest
	}
	t.Fatal("the connection stays")
}

func (r *rig) connections() int {
	c := r.front.connections
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all)
}

// session opens a session whose client goes on, over no connection.
func (r *rig) session() string {
	r.t.Helper()
	s, err := r.front.open(Client{Principal: anybody, Local: true})
	if err != nil {
		r.t.Fatal(err)
	}
	s.version = latest
	if !r.front.publish(s) {
		r.t.Fatal(errors.New("closed"))
	}
	s.greet()
	return sessionHeader + ": " + s.id
}
