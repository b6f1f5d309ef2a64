package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// Call returns when its context ends, whatever the server does, and tells it nothing.
func TestCancel(t *testing.T) {
	for _, tt := range []struct {
		name string
		on   func(w http.ResponseWriter)
	}{
		{"before the answer", func(http.ResponseWriter) {}},
		{"in a body", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			writeStream(w, `{"jsonrpc":`)
		}},
		{"on a stream", func(w http.ResponseWriter) { writeStream(w, "id: 1\ndata: {") }},
		{"accepted", func(w http.ResponseWriter) { w.WriteHeader(http.StatusAccepted) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fake{}
			bubble(t, f, func(in world) {
				t, o, e := in.t, in.o, in.ear
				wait := func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) {
					if tt.on(w); m == nil || tt.name != "accepted" {
						<-r.Context().Done()
					}
				}
				f.on = map[string]answerer{"x/y": wait, http.MethodGet: func(w http.ResponseWriter, r *http.Request, _ *jsonrpc.Message) {
					writeStream(w, ": hi\n\n")
					<-r.Context().Done()
				}}
				r := connectTo(t, o, e)
				r.listen()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				begun := time.Now()
				_, err := r.Call(ctx, "2", jsonrpc.NewRequest("2", "x/y", nil))
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Minute {
					t.Errorf("Call() = %v after %v", err, time.Since(begun))
				}
				r.want("2", "again", `{}`)
				r.close()
				if n := len(f.requests("notifications/cancelled")); n > 0 {
					t.Error("the server was told")
				}
			})
		})
	}
}

// Close ends what is pending, says goodbye, and waits.
func TestClose(t *testing.T) {
	f := &fake{}
	bubble(t, f, func(in world) {
		t, o, e := in.t, in.o, in.ear
		f.on = map[string]answerer{
			"never": func(w http.ResponseWriter, r *http.Request, _ *jsonrpc.Message) {
				writeStream(w, data(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
				<-r.Context().Done()
			},
			"drained": func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) {
				writeStream(w, result(m.ID(), `{}`))
				<-r.Context().Done()
			},
			http.MethodGet: func(w http.ResponseWriter, r *http.Request, _ *jsonrpc.Message) {
				writeStream(w, ": hi\n\n")
				<-r.Context().Done()
			},
			http.MethodDelete: func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				w.WriteHeader(http.StatusMethodNotAllowed)
			},
		}
		e.request = func(ctx context.Context, _ jsonrpc.ID, _ *jsonrpc.Message) jsonrpc.Text {
			<-ctx.Done()
			return nil
		}
		r := connectTo(t, o, e)
		r.listen()
		r.want("2", "drained", `{}`)
		ended := make(chan error)
		go func() {
			_, err := r.Call(t.Context(), "3", jsonrpc.NewRequest("3", "never", nil))
			ended <- err
		}()
		synctest.Wait()
		if _, err := r.call("3", "never"); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("a second call with one id = %v", err)
		}
		closed := make(chan error)
		go func() { closed <- r.Close(t.Context()) }()
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Errorf("the pending call = %v", err)
		}
		if err := <-closed; err != nil {
			t.Errorf("Close() = %v", err)
		}
		if err := r.Close(t.Context()); err != nil || !errors.Is(r.Err(), ErrClosed) {
			t.Errorf("Close() again = %v, Err() = %v", err, r.Err())
		}
		<-r.Done()
		if err := r.Send(t.Context(), jsonrpc.NewNotification("n", nil)); !errors.Is(err, ErrClosed) {
			t.Errorf("Send() = %v", err)
		}
		if n := len(f.requests(http.MethodDelete)); n != 1 {
			t.Errorf("%d DELETE", n)
		}
	})
}

// The end of what is under way takes no connection away from the goodbye.
func TestGoodbyeIsSaid(t *testing.T) {
	taken := make(chan struct{})
	opened := 0
	f := &fake{on: map[string]answerer{
		"initialize": func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
			opened++
			w.Header().Set("Mcp-Session-Id", strconv.Itoa(opened))
			reply(w, m.ID(), greeting)
		},
		"note": func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
			w.WriteHeader(http.StatusAccepted)
			taken <- struct{}{}
		},
	}}
	s := httptest.NewServer(f)
	defer s.Close()
	for i := range 1000 {
		o := options(t, s.URL, newEar())
		o.Log = hclog.NewNullLogger()
		conn, _, err := Open(t.Context(), o, "1", jsonrpc.Text{[]byte(initialize)})
		if err != nil {
			t.Fatal(err)
		}
		var sending sync.WaitGroup
		sending.Go(func() { _ = conn.Send(t.Context(), jsonrpc.NewNotification("note", nil)) }) // Close may be before its answer
		<-taken
		for range i % 100 {
			runtime.Gosched()
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		sending.Wait()
		o.Client.CloseIdleConnections()
	}
	ended := map[string]bool{}
	for _, r := range f.requests(http.MethodDelete) {
		ended[r.header.Get("Mcp-Session-Id")] = true
	}
	if len(ended) != opened {
		t.Errorf("%d of %d sessions were ended", len(ended), opened)
	}
}

// A server that takes no goodbye, or a handler that does not end, holds Close for a few seconds only.
func TestCloseIsBounded(t *testing.T) {
	f := &fake{}
	bubble(t, f, func(in world) {
		t, o, e := in.t, in.o, in.ear
		f.on = map[string]answerer{http.MethodDelete: func(_ http.ResponseWriter, r *http.Request, _ *jsonrpc.Message) {
			<-r.Context().Done()
		}}
		r := connectTo(t, o, e)
		begun := time.Now()
		_ = r.Close(t.Context())
		if d := time.Since(begun); d != closeTimeout {
			t.Errorf("Close() took %v", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = r.Close(ctx)
	})
}

// A call is sent again only when nothing of it was sent before.
func TestNeverTwice(t *testing.T) {
	f := &fake{}
	bubble(t, f, func(in world) {
		t, o, e := in.t, in.o, in.ear
		calls := 0
		f.on = map[string]answerer{"x/y": func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
			calls++
			abort(w) // on a connection that was used before
		}}
		r := connectTo(t, o, e)
		for id := range int64(5) {
			r.want(jsonrpc.Int(10+id), "z", `{}`)
			if _, err := r.call(jsonrpc.Int(id), "x/y"); err == nil {
				t.Error("Call() = nil")
			}
		}
		if calls != 5 {
			t.Errorf("5 calls were executed %d times", calls)
		}
		r.close()
	})
}

func TestUnreachable(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	for _, transport := range []config.Transport{config.HTTPFirst, config.SSEFirst, config.HTTPOnly, config.SSEOnly} {
		for _, at := range []struct{ url, want string }{
			{"http://" + address + "/mcp?key=secret", "connection refused"},
			{"http://nowhere.invalid/mcp?key=secret", "nowhere.invalid"},
		} {
			o := options(t, at.url, newEar())
			o.Server.Transport = transport
			_, _, err := Open(t.Context(), o, "1", jsonrpc.Text{[]byte(initialize)})
			var outer *url.Error
			if err == nil || !strings.Contains(err.Error(), at.want) || strings.Contains(err.Error(), "secret") || errors.As(err, &outer) {
				t.Errorf("Open(%s) = %v, want %s and no secret", at.url, err, at.want)
			}
		}
	}
}

// An answer of initialize that is an error leaves the Conn to the caller.
func TestInitializeError(t *testing.T) {
	tries := 0
	f := &fake{on: map[string]answerer{"initialize": func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
		if tries++; tries == 1 {
			status(w, 200, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"m","data":{"supported":["x"]}}}`, m.ID()))
			return
		}
		reply(w, m.ID(), greeting)
	}}}
	s := httptest.NewServer(f)
	defer s.Close()
	conn, answer, err := Open(t.Context(), options(t, s.URL, newEar()), "1", jsonrpc.Text{[]byte(initialize)})
	if err != nil || answer.Error() == nil || answer.Error().Code != -32602 {
		t.Fatalf("Open() = %v, %v", answer, err)
	}
	if m, err := conn.Call(t.Context(), "1", jsonrpc.Text{[]byte(initialize)}); err != nil || m.Error() != nil {
		t.Errorf("initialize again = %v, %v", m, err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Errorf("Close() = %v", err)
	}
}

// Many calls at once, each with notifications of its own: nothing is lost, mixed up or late.
func TestManyAtOnce(t *testing.T) {
	const calls, notes = 64, 20
	f := &fake{on: map[string]answerer{"x/y": func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
		for i := range notes {
			writeStream(w, data(`{"jsonrpc":"2.0","method":"n","params":{"of":%s,"n":%d}}`, m.ID(), i))
		}
		writeStream(w, result(m.ID(), string(m.ID())))
	}}}
	s := httptest.NewServer(f)
	defer s.Close()
	counts := make([]int, calls)
	h := &counter{t: t, counts: counts}
	conn, _, err := Open(t.Context(), options(t, s.URL, nil).with(h), "1", jsonrpc.Text{[]byte(initialize)})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range calls {
		all.Go(func() {
			id := jsonrpc.Int(int64(i))
			m, err := conn.Call(t.Context(), id, jsonrpc.NewRequest(id, "x/y", nil))
			if err != nil || string(m.Result()) != string(id) || counts[i] != notes {
				t.Errorf("Call(%s) = %v, %v after %d notifications", id, m, err, counts[i])
			}
		})
	}
	all.Wait()
	if err := conn.Close(t.Context()); err != nil {
		t.Errorf("Close() = %v", err)
	}
}

func (o Options) with(h Handler) Options {
	o.Handler = h
	return o
}

// counter checks the order of the notifications of each call. It has no lock: each call has its own counter.
type counter struct {
	t      *testing.T
	counts []int
}

func (c *counter) Request(context.Context, jsonrpc.ID, *jsonrpc.Message) jsonrpc.Text { return nil }

func (c *counter) Notification(cause jsonrpc.ID, m *jsonrpc.Message) {
	var i int
	_, _ = fmt.Sscan(string(cause), &i)
	if want := fmt.Sprintf(`{"of":%s,"n":%d}`, cause, c.counts[i]); string(m.Params()) != want {
		c.t.Errorf("notification of %s = %s, want %s", cause, m.Params(), want)
	}
	c.counts[i]++
}
