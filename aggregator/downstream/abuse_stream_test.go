package downstream

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestAbuseEvents comes back for events with ids that were not given for that: of another session, of another wire, from the
// future, beyond what is kept.
func TestAbuseEvents(t *testing.T) {
	r := start(t, HTTPOptions{SSE: true, Replay: 64 << 10})
	mine, other := r.hello(latest), r.hello(latest)
	for i := range 3 { // streams 1 to 3 of the other session, and its stream 0
		s := r.events(r.send("POST", "/mcp", call(strconv.Itoa(i), "note", "secret"), other))
		s.want("secret 0", "secret 1", "secret 2", `"for":"secret"`)
	}
	s := r.events(r.send("POST", "/mcp", call("1", "note", "mine"), mine))
	last := s.want("mine 0", "mine 1", "mine 2", `"for":"mine"`)
	body(t, r.send("POST", "/mcp", call("2", "echo", ""), mine)) // stream 2, which nobody can come back to
	for id, want := range map[string]string{
		"1-0":                       "mine 0", // stream 1 of my own session
		last.id:                     "204",    // nothing comes after the answer
		"2-0":                       "204",    // forgotten
		"3-0":                       "400",    // of the other
		"3-1":                       "400",
		"0-1":                       "400", // nothing was there yet
		"1-5":                       "400", // from the future
		"1-99999":                   "400",
		"1-01":                      "400", // not as we write it
		"+1-0":                      "400",
		"1-0-9":                     "mine 0", // before the first event
		"1-0-01":                    "400",
		"1-0-0-0":                   "400",
		"1":                         "400",
		"-":                         "400",
		"0x1-0":                     "400",
		"１-０":                       "400", // digits of another script
		"1-0\t1-0":                  "400",
		"1-1e0":                     "400",
		"1-9223372036854775807":     "400",
		"9223372036854775808-0":     "400",
		strings.Repeat("9", 60_000): "400",
	} {
		res := r.send("GET", "/mcp", "", mine, "Last-Event-ID: "+id)
		switch want {
		case "204", "400":
			if !strings.HasPrefix(res.Status, want) {
				t.Errorf("%.40q: %s", id, res.Status)
			}
		default:
			r.events(res).want(want)
		}
	}
	if res := r.send("GET", "/sse", "", "Last-Event-ID: 1-0"); res.StatusCode == http.StatusOK {
		if g, _ := r.events(res).next(); g.event != "endpoint" {
			t.Errorf("SSE begins with %+v", g)
		}
	}
}

// TestAbuseResumeCrowd has very many come back for one stream at once: the newest gets it, and the others end.
func TestAbuseResumeCrowd(t *testing.T) {
	r := start(t, HTTPOptions{})
	session := r.hello(latest)
	s := r.events(r.send("POST", "/mcp", call("1", "wait", "x"), session))
	begun := s.want("begun")
	const crowd = 100
	lost, won := make(chan struct{}, crowd), make(chan struct{}, crowd)
	var all sync.WaitGroup
	for range crowd {
		all.Go(func() {
			res, err := r.try(t.Context(), "GET", "/mcp", "", session, "Last-Event-ID: "+begun.id)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			text, _ := io.ReadAll(res.Body)
			if strings.Contains(string(text), `"for":"x"`) {
				won <- struct{}{}
			} else {
				lost <- struct{}{}
			}
		})
	}
	for range crowd - 1 {
		<-lost
	}
	s.over()
	close(r.peer(0).wait)
	all.Wait()
	if len(won) != 1 {
		t.Errorf("%d got the answer", len(won))
	}
}

// TestAbuseEnds ends sessions while they are used, and twice.
func TestAbuseEnds(t *testing.T) {
	r := start(t, HTTPOptions{})
	session := r.hello(latest)
	s := r.events(r.send("POST", "/mcp", call("1", "wait", ""), session))
	begun := s.want("begun")
	listening := r.events(r.send("GET", "/mcp", "", session))
	if g, ok := listening.next(); !ok || g.id == "" {
		t.Fatalf("%+v", g)
	}
	again := r.events(r.send("GET", "/mcp", "", session)) // the newest wins
	listening.over()
	var all sync.WaitGroup
	statuses := make(chan int, 20)
	for range cap(statuses) {
		all.Go(func() {
			if res, err := r.try(t.Context(), "DELETE", "/mcp", "", session); err == nil {
				_ = res.Body.Close()
				statuses <- res.StatusCode
			}
		})
	}
	all.Wait()
	close(statuses)
	count := map[int]int{}
	for status := range statuses {
		count[status]++
	}
	if count[http.StatusNoContent] != 1 || count[http.StatusNotFound] != cap(statuses)-1 {
		t.Errorf("DELETE: %v", count)
	}
	s.over()
	for g, ok := again.next(); ok; g, ok = again.next() {
		if g.data != "" {
			t.Errorf("%+v after the end", g)
		}
	}
	for name, res := range map[string]*http.Response{
		"POST":   r.send("POST", "/mcp", call("2", "ping", ""), session),
		"GET":    r.send("GET", "/mcp", "", session),
		"resume": r.send("GET", "/mcp", "", session, "Last-Event-ID: "+begun.id),
		"hello":  r.send("POST", "/mcp", hello, session),
	} {
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("%s after DELETE: %s", name, res.Status)
		}
	}
}

// TestAbuseHalfClosed has a client close one side of its connection, or all, before and while it is answered: nothing is
// cancelled, and it can come back.
func TestAbuseHalfClosed(t *testing.T) {
	for name, half := range map[string]func(c io.Closer) error{
		"nothing more to send": func(c io.Closer) error { return c.(interface{ CloseWrite() error }).CloseWrite() },
		"nothing more is read": func(c io.Closer) error { return c.(interface{ CloseRead() error }).CloseRead() },
		"all":                  io.Closer.Close,
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, HTTPOptions{})
			session := r.hello(latest)
			text := call("1", "wait", "x")
			conn := r.dial()
			_, _ = fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nContent-Type: application/json\r\n%s\r\nContent-Length: %d\r\n\r\n%s",
				session, len(text), text)
			<-r.peer(0).begun
			in := bufio.NewReader(conn)
			for { // it knows how to come back
				line, err := in.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasPrefix(line, "id: 1-1") {
					break
				}
			}
			if err := half(conn); err != nil {
				t.Fatal(err)
			}
			close(r.peer(0).wait)
			s := r.events(r.send("GET", "/mcp", "", session, "Last-Event-ID: 1-1"))
			s.want("ends", `"for":"x"`)
			s.over()
		})
	}
	t.Run("a body that ends early", func(t *testing.T) {
		r := start(t, HTTPOptions{})
		session := r.hello(latest)
		for range 20 {
			conn := r.dial()
			_, _ = fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%s\r\nContent-Length: 1000\r\n\r\n%s", session, call("1", "wait", ""))
			_ = conn.CloseWrite()
			if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
				if _ = res.Body.Close(); res.StatusCode != http.StatusBadRequest {
					t.Error(res.Status)
				}
			}
		}
		if n := len(r.peer(0).begun); n != 0 {
			t.Errorf("%d calls of bodies that were cut", n)
		}
	})
}
