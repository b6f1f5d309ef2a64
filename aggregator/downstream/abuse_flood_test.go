package downstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

const hello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`

// ask sends a request to the front over no connection, as so many clients would that a machine has no ports for.
func (r *rig) ask(method, text string, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequestWithContext(context.Background(), method, "http://localhost/mcp", strings.NewReader(text))
	req.Header.Set("Content-Type", "application/json")
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	r.front.ServeHTTP(w, req)
	return w
}

// alive returns how many sessions have servers.
func (r *rig) alive() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, p := range r.peers {
		select {
		case <-p.closed:
		default:
			n++
		}
	}
	return n
}

// forget drops the servers that have ended, so that a test does not hold what the front has let go.
func (r *rig) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.peers[:0]
	for _, p := range r.peers {
		select {
		case <-p.closed:
		default:
			kept = append(kept, p)
		}
	}
	clear(r.peers[len(kept):])
	r.peers, r.clients = kept, nil
}

// flood is how many sessions are asked for.
const flood = 100_000

// TestAbuseSessionFlood asks for 100,000 sessions and does not go on: never are there more than the limit, who has a
// session keeps it, a new client comes in all the same, and in the end all is as it was.
func TestAbuseSessionFlood(t *testing.T) {
	const limit = 50
	synctest.Test(t, func(t *testing.T) {
		r := startAt(t, HTTPOptions{Sessions: limit}, newPipes())
		mine := r.session()
		r.ask("POST", hello)
		before := footprint()
		for i := range flood {
			if res := r.ask("POST", hello); res.Code != http.StatusOK {
				t.Fatalf("%d: %d %s", i, res.Code, res.Body)
			}
			if i%1000 == 0 {
				if n := r.alive(); n > limit {
					t.Fatalf("%d sessions, want %d at most", n, limit)
				}
				r.forget()
			}
		}
		other := sessionHeader + ": " + r.ask("POST", hello).Header().Get(sessionHeader)
		for name, session := range map[string]string{"the first": mine, "the last": other} {
			if res := r.ask("POST", call("1", "echo", "me"), session); !strings.Contains(res.Body.String(), `"for":"me"`) {
				t.Errorf("%s client gets %d %s", name, res.Code, res.Body)
			}
		}
		time.Sleep(2 * hesitation) //nolint:forbidigo // the time of synctest
		synctest.Wait()
		if n := r.alive(); n != 2 {
			t.Errorf("%d sessions are left, want the two of clients that went on", n)
		}
		r.forget()
		footprint().compare(t, before)
	})
}

// TestAbuseSessionFloodThatGoesOn has clients take all sessions there are, and use them: more are refused, and told
// when to come back.
func TestAbuseSessionFloodThatGoesOn(t *testing.T) {
	const limit = 50
	r := start(t, HTTPOptions{Sessions: limit, SSE: true})
	mine := r.session()
	refused := 0
	for range 20 * limit {
		res := r.ask("POST", hello)
		if res.Code == http.StatusOK {
			r.ask("POST", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, sessionHeader+": "+res.Header().Get(sessionHeader))
		} else if refused++; res.Code != http.StatusServiceUnavailable || res.Header().Get("Retry-After") == "" {
			t.Fatalf("%d %v", res.Code, res.Header())
		}
	}
	if res := r.send("GET", "/sse", ""); res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("SSE: %s", res.Status)
	}
	if n := r.alive(); n != limit || refused != 19*limit+1 {
		t.Errorf("%d sessions, %d refused", n, refused)
	}
	if res := r.send("POST", "/mcp", call("1", "echo", "me"), mine); !strings.Contains(body(t, res), `"for":"me"`) {
		t.Errorf("who has a session gets %s", res.Status)
	}
}

// TestAbuseSSEFlood opens many streams of the old wire that never say a word: they end as half-open sessions do.
func TestAbuseSSEFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		r := startAt(t, HTTPOptions{Sessions: 20, SSE: true}, l)
		var all sync.WaitGroup
		for range 100 {
			conn := l.dial()
			all.Go(func() {
				_, _ = io.WriteString(conn, "GET /sse HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
				_, _ = io.Copy(io.Discard, conn)
			})
		}
		synctest.Wait()
		if n := r.alive(); n != 20 {
			t.Errorf("%d sessions", n)
		}
		time.Sleep(2 * hesitation) //nolint:forbidigo // the time of synctest
		all.Wait()
		if n := r.alive(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

// from is a connection of some address.
type from struct {
	net.Conn

	ip net.IP
}

func (f *from) RemoteAddr() net.Addr { return &net.TCPAddr{IP: f.ip, Port: 1} }

// TestAbuseConnections opens many more connections than there may be: the idle ones of whoever has the most are closed.
func TestAbuseConnections(t *testing.T) {
	const limit = 30
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		r := startAt(t, HTTPOptions{Connections: limit}, l)
		var all sync.WaitGroup
		var mu sync.Mutex
		closed := map[string]int{}
		open := func(who string, ip net.IP, text string) net.Conn {
			client, server := net.Pipe()
			l.conns <- &from{server, ip}
			all.Go(func() {
				_, _ = io.WriteString(client, text)
				_, _ = io.Copy(io.Discard, client)
				mu.Lock()
				defer mu.Unlock()
				closed[who]++
			})
			synctest.Wait()
			return client
		}
		session := r.session()
		const head = " /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nContent-Type: application/json\r\n"
		stream := open("stream", net.IPv4(10, 0, 0, 1), "GET"+head+session+"\r\n\r\n")
		for range 3 {
			open("quiet", net.IPv4(10, 0, 0, 2), "")
		}
		const ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
		open("between requests", net.ParseIP("2001:db8::"), fmt.Sprint("POST", head, session, "\r\nContent-Length: ", len(ping), "\r\n\r\n", ping))
		for i := range 10 * limit { // of one network, and slow in three ways
			open("flood", net.ParseIP(fmt.Sprintf("2001:db8::%x", i+1)), []string{
				"", "POST /mcp HT", "POST" + head + session + "\r\nContent-Length: 100\r\n\r\n{",
			}[i%3])
			if n := r.connections(); n > limit {
				t.Fatalf("%d connections", n)
			}
		}
		mu.Lock()
		if closed["stream"] != 0 || closed["quiet"] != 0 || closed["between requests"] != 0 || closed["flood"] != 10*limit-(limit-5) {
			t.Errorf("closed: %v", closed)
		}
		mu.Unlock()
		_ = stream.Close()
		r.vanish(t)
		all.Wait()
	})
}

// TestAbuseBusyConnections has clients use all connections there are: more are told so, and then closed.
func TestAbuseBusyConnections(t *testing.T) {
	const limit = 10
	r := start(t, HTTPOptions{Connections: limit})
	session := r.session()
	var streams []*sse
	for i := range limit {
		s := r.events(r.send("POST", "/mcp", call(strconv.Itoa(i), "wait", ""), session))
		s.want("begun")
		streams = append(streams, s)
	}
	res := r.send("GET", "/mcp", "", session)
	text := body(t, res)
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || !res.Close || !strings.Contains(text, "raise serve.http.limits.connections") {
		t.Errorf("%s %v %s, closed: %v", res.Status, res.Header, text, res.Close)
	}
	for range limit + 2*surplus { // each is told so, or makes room for the next
		r.dial()
	}
	until(t, func() bool { return r.connections() <= limit+surplus })
	close(r.peer(0).wait)
	for i, s := range streams {
		s.want("ends", fmt.Sprintf(`"id":%d`, i))
	}
}

// TestAbuseConnectionsTLS has a client with TLS read nothing when it has to make room: nobody waits for it.
func TestAbuseConnectionsTLS(t *testing.T) {
	web := httptest.NewTLSServer(nil)
	defer web.Close()
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		secure := tls.Server(server, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: web.TLS.Certificates, SessionTicketsDisabled: true})
		go func() { _ = tls.Client(client, &tls.Config{InsecureSkipVerify: true}).Handshake() }()
		if err := secure.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		c, began := newConnections(1), time.Now()
		c.enter(t.Context(), secure)
		c.enter(t.Context(), &from{})
		if took := time.Since(began); took > 0 {
			t.Errorf("a new client waits for %v", took)
		}
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the client without room reads %v", err)
		}
	})
}

// TestAbuseMemory has clients send more at a time than there is memory for: they are refused, short messages are not, and all
// is given back.
func TestAbuseMemory(t *testing.T) {
	r := start(t, HTTPOptions{Memory: 2 << 20})
	session := r.session()
	large := `{"jsonrpc":"2.0","id":1,"method":"echo","params":{"x":"` + strings.Repeat("x", 1<<20-100) + `"}}`
	head := "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + session + "\r\nContent-Length: " + strconv.Itoa(len(large)) + "\r\n\r\n"
	first := r.dial()
	_, _ = io.WriteString(first, head+large[:len(large)-1])
	until(t, func() bool { return r.used() >= int64(len(large)) })
	for range 5 {
		res := r.send("POST", "/mcp", large, session)
		if text := body(t, res); res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || !strings.Contains(text, "raise serve.http.limits.memory") {
			t.Errorf("a long message: %s %s", res.Status, text)
		}
		if res := r.send("POST", "/mcp", call("2", "ping", ""), session); res.StatusCode != http.StatusOK {
			t.Errorf("a short message: %s", res.Status)
		}
	}
	_ = first.Close()
	until(t, func() bool { return r.used() == 0 })
	if res := r.send("POST", "/mcp", large, session); res.StatusCode != http.StatusOK {
		t.Errorf("a long message afterwards: %s", res.Status)
	}

	// Calls take memory until they are answered, also when their clients are gone.
	ctx, leave := context.WithCancel(t.Context())
	for i := range 20 {
		res, err := r.try(ctx, "POST", "/mcp", call(strconv.Itoa(100+i), "wait", strings.Repeat("x", 50<<10)), session)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		r.events(res).want("begun")
	}
	leave()
	if r.used() < 20*50<<10 {
		t.Errorf("20 calls take %d", r.used())
	}
	r.send("DELETE", "/mcp", "", session)
	until(t, func() bool { return r.used() == 0 })
}

func (r *rig) used() int64 { return r.front.memory.used.Load() }

// TestAbuseLog does everything wrong very often: of each kind there is one line at level warn, which holds no secret.
func TestAbuseLog(t *testing.T) {
	var log bytes.Buffer
	r := start(t, HTTPOptions{Sessions: 1, Log: hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Debug, Mutex: &sync.Mutex{}})})
	session := r.session()
	secret := strings.TrimPrefix(session, sessionHeader+": ")
	for i := range 200 {
		n := strconv.Itoa(i)
		r.ask("POST", hello)                                                    // too many sessions
		r.ask("POST", call(n, "ping", ""), sessionHeader+": stolen-"+n)         // no such session
		r.ask("POST", `{"method`+n, session)                                    // no message
		r.ask("POST", `{"jsonrpc":"2.0","id":`+n+`}`, session)                  // neither
		r.ask("POST", "[]", session)                                            // a batch that is none
		r.ask("GET", "", session, "Last-Event-ID: "+n)                          // no event
		r.ask("BREW", "", session)                                              // no method
		r.ask("POST", call(n, "ping", ""), session, "Mcp-Protocol-Version: "+n) // no version
		r.ask("POST", call(n, "ping", ""), session, "Origin: http://evil-"+n)
		r.ask("POST", call(n, "ping", ""), session, "Content-Type: x/"+n)
		r.ask("POST", call(n, "ping", ""), session, "Accept: x/"+n)
	}
	const kinds = 11
	if n := strings.Count(log.String(), "[WARN]"); n != kinds {
		t.Errorf("%d warnings, want %d", n, kinds)
	}
	if n := strings.Count(log.String(), "[DEBUG]"); n < kinds*199 {
		t.Errorf("%d more lines, want %d", n, kinds*199)
	}
	if strings.Contains(log.String(), secret) || strings.Contains(log.String(), "stolen") {
		t.Error("the log holds the id of a session")
	}
	for i := range 10 * maxKinds {
		r.front.told.say(fmt.Sprint("a kind of its own ", i), "x")
	}
	if n := strings.Count(log.String(), "[WARN]"); n > maxKinds+1 {
		t.Errorf("%d warnings", n)
	}
}

// weight is what this process takes.
type weight struct {
	goroutines int
	heap       uint64
}

func footprint() weight {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return weight{runtime.NumGoroutine(), m.HeapAlloc}
}

// compare expects no more goroutines than before, and no more memory but some that a runtime keeps for itself.
func (w weight) compare(t *testing.T, before weight) {
	t.Helper()
	const some = 4 << 20
	if w.goroutines > before.goroutines {
		t.Errorf("%d goroutines, %d before", w.goroutines, before.goroutines)
	}
	if w.heap > before.heap+some {
		t.Errorf("%d bytes, %d before", w.heap, before.heap)
	}
}
