package downstream

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// hugeAnswer is how long the answer to "huge" is: no kernel takes it for a client that does not read.
const hugeAnswer = 6 << 20

// write sends a request over a connection of its own that nobody reads.
func (r *rig) write(method, path, header, text string) *net.TCPConn {
	r.t.Helper()
	conn := r.dial()
	r.deaf = append(r.deaf, conn)
	head := method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nAccept: application/json, text/event-stream\r\n" + header + "\r\n"
	if text != "" {
		head += "Content-Length: " + strconv.Itoa(len(text)) + "\r\nContent-Type: application/json\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"+text); err != nil {
		r.t.Fatal(err)
	}
	return conn
}

// calm waits until "huge" was called so often and its answers are where they wait for their clients.
func (r *rig) calm(calls int) {
	r.t.Helper()
	until(r.t, func() bool {
		for _, s := range r.front.all() {
			s.mu.Lock()
			open := len(s.causes)
			s.mu.Unlock()
			if open > 0 || !s.exchange.idle() {
				return false
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		n := 0
		for _, p := range r.peers {
			p.mu.Lock()
			n += p.huge
			p.mu.Unlock()
		}
		return n >= calls && r.front.waiting.queued.Load() == 0
	})
}

// crowd is ways in which clients ask for what they do not read; shared is a session.
var crowd = map[string]func(r *rig, shared string, i int){
	"answers": func(r *rig, _ string, _ int) {
		r.write("POST", "/mcp", r.session(), call("1", "huge", ""))
	},
	"streams of calls": func(r *rig, _ string, _ int) {
		r.write("POST", "/mcp", r.session(), call("1", "huge", "stream"))
	},
	"streams of one session": func(r *rig, shared string, i int) {
		r.write("POST", "/mcp", shared, call(strconv.Itoa(i), "huge", "stream"))
	},
	"streams that others took over": func(r *rig, _ string, i int) {
		s := r.session()
		r.write("POST", "/mcp", s, call("1", "huge", "stream"))
		r.calm(i + 1)
		r.write("GET", "/mcp", s+"\r\nLast-Event-ID: 1-0", "")
	},
	"answers of sessions that they ended": func(r *rig, _ string, i int) {
		s := r.session()
		r.write("POST", "/mcp", s, call("1", "huge", ""))
		r.calm(i + 1)
		r.ask("DELETE", "", s)
	},
	"HTTP with SSE": func(r *rig, _ string, _ int) {
		conn := r.write("GET", "/sse", "X: y", "")
		where := make([]byte, 4<<10)
		n := 0
		for !bytes.Contains(where[:n], []byte("sessionId=")) || !bytes.HasSuffix(where[:n], []byte("\n\n\r\n")) {
			more, err := conn.Read(where[n:])
			if err != nil {
				r.t.Fatal(err)
			}
			n += more
		}
		_, where, _ = bytes.Cut(where[:n], []byte("data: "))
		where, _, _ = bytes.Cut(where, []byte("\n"))
		r.write("POST", string(where), "X: y", call("1", "huge", ""))
	},
	"GET streams": func(r *rig, _ string, _ int) {
		for range 8 {
			s := r.session()
			r.write("GET", "/mcp", s, "")
			r.ask("POST", call("1", "huge", "stray"), s)
		}
	},
	"no streams": func(r *rig, _ string, _ int) {
		for range 8 {
			r.ask("POST", call("1", "huge", "stray"), r.session())
		}
	},
}

// TestAbuseDeafCrowd has many clients ask for long messages, all of which wait for them, for they read nothing: the memory for
// that is bounded, and who reads gets all that he asks for.
func TestAbuseDeafCrowd(t *testing.T) {
	const limit = 20 << 20
	for name, ask := range crowd {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			before := footprint()
			r := start(t, HTTPOptions{Memory: limit, SSE: true, Log: hclog.New(&hclog.LoggerOptions{Output: &log, Mutex: &sync.Mutex{}})})
			mine, shared := r.session(), r.session()
			for i := range 6 {
				ask(r, shared, i)
				r.calm(i + 1)
			}
			held := int64(footprint().heap) - int64(before.heap)
			t.Logf("%d MiB", held>>20)
			if held > limit+4<<20 {
				t.Errorf("%d bytes are held, want %d at most", held, limit)
			}
			for i := range 2 {
				id := strconv.Itoa(100 + i)
				if got := body(t, r.send("POST", "/mcp", call(id, "huge", "mine"), mine)); len(got) < hugeAnswer {
					t.Fatalf("an answer of %d bytes: %.200s", len(got), got)
				}
				s := r.events(r.send("POST", "/mcp", call(id, "huge", "stream"), mine))
				if answer := s.want("comes", `"result"`); len(answer.data) < hugeAnswer {
					t.Fatalf("an event of %d bytes", len(answer.data))
				}
			}
			if n := strings.Count(log.String(), "[WARN]"); n > 3 { // a client is cut, away, or gets an error
				t.Errorf("log:\n%s", log.String())
			}
			r.empty()
		})
	}
}

// empty has all clients leave, and all sessions end: no memory is taken then.
func (r *rig) empty() {
	r.t.Helper()
	for _, conn := range r.deaf {
		_ = conn.Close()
	}
	for _, s := range r.front.all() {
		r.front.drop(s)
	}
	w := r.front.waiting
	until(r.t, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.sessions) == 0 && w.used.Load() == 0
	})
}

// TestNoRoomForAnAnswer has a client take a long answer slowly while there is no room for another one: he gets it
// whole, the other call fails with a reason, and short ones are answered. When he takes no more he loses it, and there is room.
func TestNoRoomForAnAnswer(t *testing.T) {
	lost := regexp.MustCompile(`\[\{"jsonrpc":"2.0","id":2,"error":\{.*no room for the answer.*\},\{"jsonrpc":"2.0","id":4,"error":\{.*no room for the answer.*\}\]`)
	for name, reads := range map[string]bool{"reads": true, "stops": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newPipes()
				r := startAt(t, HTTPOptions{Memory: 8 << 20}, l)
				r.http.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
					return l.dial(), nil
				}}
				session := r.hello("2025-03-26")
				slow := l.dial()
				defer slow.Close()
				text := call("1", "big", "slow")
				_, _ = fmt.Fprintf(slow, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%s\r\nContent-Length: %d\r\n\r\n%s", session, len(text), text)
				res, err := http.ReadResponse(bufio.NewReader(slow), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				var taken int64
				var client sync.WaitGroup
				client.Go(func() {
					for err == nil && reads {
						<-time.After(stalled / 4)
						var n int64
						n, err = io.CopyN(io.Discard, res.Body, chunk)
						taken += n
					}
				})
				got := body(t, r.send("POST", "/mcp", "["+call("2", "big", "late")+","+call("4", "echo", "with it")+"]", session))
				short := body(t, r.send("POST", "/mcp", call("3", "echo", "short"), session))
				if full := strings.Contains(got, `"for":"late"`); full == reads || reads && !lost.MatchString(got) {
					t.Errorf("the others: %.300s", got)
				}
				if !strings.Contains(short, `"for":"short"`) {
					t.Errorf("a short call: %s", short)
				}
				client.Wait()
				synctest.Wait()
				rest, err := io.Copy(io.Discard, res.Body)
				if whole := err == nil && taken+rest == res.ContentLength; whole != reads {
					t.Errorf("the slow client got %d of %d bytes, %v", taken+rest, res.ContentLength, err)
				}
			})
		})
	}
}

// TestNoRoomBehindAnAnswer has answers wait behind one that the client does not read: all make room for another client.
func TestNoRoomBehindAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		r := startAt(t, HTTPOptions{Memory: 16 << 20, SSE: true}, l)
		r.http.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
			return l.dial(), nil
		}}
		deaf := r.events(r.send("GET", "/sse", ""))
		where := deaf.want("sessionId=")
		for i := range 3 {
			r.send("POST", where.data, call(strconv.Itoa(i), "big", ""))
		}
		synctest.Wait()
		if used := r.front.waiting.used.Load(); used < 9<<20 {
			t.Errorf("%d bytes wait", used)
		}
		got := body(t, r.send("POST", "/mcp", call("9", "big", "late"), r.session()))
		if !strings.Contains(got, `"for":"late"`) {
			t.Errorf("the other client: %.300s", got)
		}
		r.empty()
	})
}
