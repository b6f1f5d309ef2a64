package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// T60h, conformance sse-retry. mcp-go resumes only what ended cleanly. The stream of a call breaks again and
// again, cleanly and not; the answer comes in the end, and no part of it is asked for too early.
func TestResume(t *testing.T) {
	for _, end := range []struct {
		name string
		end  func(http.ResponseWriter)
	}{{"clean", func(http.ResponseWriter) {}}, {"abrupt", abort}} {
		t.Run(end.name, func(t *testing.T) {
			f := &fake{}
			bubble(t, f, func(in world) {
				t, o, e := in.t, in.o, in.ear
				var broke time.Time
				leave := func(w http.ResponseWriter, pieces ...string) {
					writeStream(w, pieces...)
					broke = time.Now()
					end.end(w)
				}
				f.on = map[string]answerer{
					"x/y": func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
						leave(w, "id: a\nretry: 1500\ndata:\n\n", "id: half\ndata: {")
					},
					http.MethodGet: func(w http.ResponseWriter, r *http.Request, _ *jsonrpc.Message) {
						waited, last := time.Since(broke), r.Header.Get("Last-Event-Id")
						want := map[string]time.Duration{"a": 1500 * time.Millisecond, "b": 1500 * time.Millisecond, "c": 20 * time.Millisecond}[last]
						if waited < want {
							t.Errorf("resumed after %s at %v, want not before %v", last, waited, want)
						}
						if r.Header.Get("Mcp-Session-Id") != "s-1" || r.Header.Get("Accept") != acceptStream {
							t.Errorf("GET has the headers %v", r.Header)
						}
						switch last {
						case "a":
							leave(w, "id: b\n", data(`{"jsonrpc":"2.0","method":"n"}`))
						case "b":
							leave(w, "id: c\nretry: 20\n\n")
						case "c":
							writeStream(w, result("2", `{}`))
						default:
							t.Errorf("Last-Event-ID = %q", last)
						}
					},
				}
				r := connectTo(t, o, e)
				r.want("2", "x/y", `{}`)
				if got := e.next(t); got != `2 {"jsonrpc":"2.0","method":"n"}` {
					t.Errorf("notification = %s", got)
				}
				if n := len(f.requests("x/y")); n != 1 {
					t.Errorf("the call was sent %d times", n)
				}
				r.close()
			})
		})
	}
}

// What a server may answer to an attempt to resume, and what becomes of the call.
func TestResumeRefused(t *testing.T) {
	ok := func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) { writeStream(w, result("2", `{}`)) }
	refuse := func(code int, header ...string) answerer {
		return func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
			if len(header) > 0 {
				w.Header().Set(header[0], header[1])
			}
			http.Error(w, "no", code)
		}
	}
	empty := func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) { writeStream(w, ": hi\n\n") }
	for _, tt := range []struct {
		name    string
		answers []answerer // the last one for good
		want    string     // how the error begins, "" when the call succeeds
		tries   int
		lasts   time.Duration // at least
	}{
		{"at the second try", []answerer{refuse(503), ok}, "", 2, 2 * time.Second},
		{"when the server says", []answerer{refuse(429, "Retry-After", "100"), ok}, "", 2, 101 * time.Second},
		{"never", []answerer{refuse(500)}, "the stream ended before the answer: resume it: the server answered 500", maxResumes, 5 * time.Second},
		{
			"unreachable",
			[]answerer{func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) { abort(w) }},
			"the stream ended before the answer: resume it: EOF", maxResumes, 5 * time.Second,
		},
		{"nothing comes", []answerer{empty}, "the stream ended before the answer: resume it: the stream brings nothing", maxResumes, 5 * time.Second},
		{"not possible", []answerer{refuse(405)}, "the stream ended before the answer: resume it: the server answered 405", 1, 0},
		{
			"no stream",
			[]answerer{func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) { status(w, 200, `{}`) }},
			"the stream ended before the answer: resume it: not an event stream", 1, 0,
		},
		{"session lost", []answerer{refuse(404)}, "the session is lost: the server answered 404", 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fake{}
			bubble(t, f, func(in world) {
				t, o, e := in.t, in.o, in.ear
				var tries atomic.Int64
				f.on = map[string]answerer{
					"x/y": func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) { writeStream(w, "id: a\ndata:\n\n") },
					http.MethodGet: func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) {
						tt.answers[min(int(tries.Add(1)), len(tt.answers))-1](w, r, m)
					},
				}
				r := connectTo(t, o, e)
				begun := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				_, err := r.Call(ctx, "2", jsonrpc.NewRequest("2", "x/y", nil))
				if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
					t.Errorf("Call() = %v, want %s", err, tt.want)
				}
				var lost *SessionLostError
				if errors.As(err, &lost) && !lost.Accepted {
					t.Error("the call may have been executed, but the error says it was not accepted")
				}
				if strings.HasPrefix(tt.want, ErrNoAnswer.Error()) && !errors.Is(err, ErrNoAnswer) {
					t.Errorf("%v is not ErrNoAnswer", err)
				}
				// net/http repeats a GET when a connection that was idle breaks
				if n := int(tries.Load()); n < tt.tries || n > tt.tries+1 || time.Since(begun) < tt.lasts {
					t.Errorf("%d tries in %v, want %d in %v", tries.Load(), time.Since(begun), tt.tries, tt.lasts)
				}
				r.close()
			})
		})
	}
}

// A call whose context ends while its stream waits to be resumed is over.
func TestResumeCancelled(t *testing.T) {
	f := &fake{}
	bubble(t, f, func(in world) {
		t, o, e := in.t, in.o, in.ear
		f.on = map[string]answerer{
			"x/y": func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				writeStream(w, "id: a\nretry: 60000\ndata:\n\n")
			},
		}
		r := connectTo(t, o, e)
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := r.Call(ctx, "2", jsonrpc.NewRequest("2", "x/y", nil)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Call() = %v", err)
		}
		if d := time.Since(begun); d != 10*time.Second {
			t.Errorf("Call() took %v", d)
		}
		r.close()
	})
}

// mcp-go: the listening stream opens before initialized, never names the last event, reconnects each second
// for ever, and is lost with its notifications.
func TestDefectListening(t *testing.T) {
	f := &fake{}
	bubble(t, f, func(in world) {
		t, o, e := in.t, in.o, in.ear
		type visit struct {
			after time.Duration // since the one before ended
			last  string
		}
		visits := make(chan visit, 100)
		n, ended := 0, time.Now()
		f.on = map[string]answerer{http.MethodGet: func(w http.ResponseWriter, r *http.Request, _ *jsonrpc.Message) {
			if len(f.requests("notifications/initialized")) == 0 || r.Header.Get("Mcp-Protocol-Version") != "2025-06-18" {
				t.Errorf("GET before initialized, headers %v", r.Header)
			}
			visits <- visit{time.Since(ended), r.Header.Get("Last-Event-Id")}
			defer func() { ended = time.Now() }()
			switch n++; n {
			case 1: // brings something, and breaks
				writeStream(w, "id: a\nretry: 3000\n", data(`{"jsonrpc":"2.0","method":"n","params":[1.0]}`), "id: b\ndata: {")
				abort(w)
			case 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16: // down
				http.Error(w, "down", http.StatusBadGateway)
			case 17: // works, and ends
				writeStream(w, "id: c\n\n")
			case 18:
				w.Header().Set("Retry-After", "200")
				http.Error(w, "busy", http.StatusTooManyRequests)
			case 19: // the old one is not over for the server
				http.Error(w, "conflict", http.StatusConflict)
			case 20:
				writeStream(w, data(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
				<-r.Context().Done()
			default:
				t.Errorf("visit %d", n)
			}
		}}
		answered := make(chan string, 1)
		f.on["response"] = func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
			w.WriteHeader(http.StatusAccepted)
			answered <- string(m.Text().Bytes())
		}
		e.request = func(_ context.Context, cause jsonrpc.ID, m *jsonrpc.Message) jsonrpc.Text {
			if cause != "" {
				t.Errorf("cause = %s", cause)
			}
			return jsonrpc.Result(m.ID(), jsonrpc.Raw("{}"))
		}
		r := connectTo(t, o, e)
		r.listen()
		if got := <-answered; got != `{"jsonrpc":"2.0","id":1,"result":{}}` {
			t.Errorf("ping was answered with %s", got)
		}
		if got := e.next(t); got != ` {"jsonrpc":"2.0","method":"n","params":[1.0]}` {
			t.Errorf("notification = %q", got)
		}
		r.close()
		close(visits)
		i, long := 0, false
		for v := range visits {
			i++
			last := map[bool]string{i > 1: "a", i > 17: "c"}[true]
			if i == 1 {
				last = ""
			}
			if v.last != last {
				t.Errorf("visit %d has Last-Event-ID %q, want %q", i, v.last, last)
			}
			least, most := 3*time.Second, 6*time.Minute
			switch i {
			case 1:
				least = 0
			case 2, 18: // after a stream that worked
				most = 3 * time.Second
			case 19:
				least = 200 * time.Second
			}
			if v.after < least || v.after > most {
				t.Errorf("visit %d after %v, want %v to %v", i, v.after, least, most)
			}
			long = long || v.after > 10*time.Second
		}
		if !long {
			t.Error("the pauses do not grow")
		}
	})
}

// A server without a stream of its own says so; the session goes on. One that does not know the session has
// lost it.
func TestListeningRefused(t *testing.T) {
	for _, tt := range []struct {
		code int
		body string
		lost bool
	}{
		{http.StatusMethodNotAllowed, "", false},
		{http.StatusNotImplemented, "", false},
		{http.StatusForbidden, "", false},
		{http.StatusBadRequest, "no GET", false},
		{http.StatusConflict, "", false},
		{http.StatusOK, "<html>", false},
		{http.StatusNotFound, "", true},
		{http.StatusBadRequest, "No valid session ID", true},
	} {
		t.Run(fmt.Sprint(tt.code, tt.body), func(t *testing.T) {
			f := &fake{}
			bubble(t, f, func(in world) {
				t, o, e := in.t, in.o, in.ear
				f.on = map[string]answerer{
					http.MethodGet: func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
						w.WriteHeader(tt.code)
						_, _ = w.Write([]byte(tt.body))
					},
					"accepted": func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) { w.WriteHeader(http.StatusAccepted) },
				}
				r := connectTo(t, o, e)
				r.listen()
				_, err := r.call("2", "accepted") // is ended when it turns out that nothing will bring the answer
				if !errors.Is(err, ErrNoAnswer) && !isLost(err) {
					t.Errorf("Call() = %v", err)
				}
				_ = sleep(t.Context(), time.Hour)
				if n := len(f.requests(http.MethodGet)); n != 1 {
					t.Errorf("%d GET", n)
				}
				if got := isLost(r.Err()); got != tt.lost {
					t.Errorf("Err() = %v, want lost = %v", r.Err(), tt.lost)
				}
				if !tt.lost {
					r.want("3", "z", `{}`)
				}
				r.close()
			})
		})
	}
}

// A call that was accepted while the session dies is not to be sent again.
func TestSessionLostWhileAccepted(t *testing.T) {
	f := &fake{}
	bubble(t, f, func(in world) {
		t, o, e := in.t, in.o, in.ear
		down := make(chan struct{})
		n := 0
		f.on = map[string]answerer{
			http.MethodGet: func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				if n++; n > 1 {
					http.Error(w, "", http.StatusNotFound)
					return
				}
				writeStream(w, ": hi\n\n")
				<-down
			},
			"accepted": func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) { w.WriteHeader(http.StatusAccepted) },
		}
		r := connectTo(t, o, e)
		r.listen()
		synctest.Wait()
		time.AfterFunc(time.Minute, func() { close(down) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := r.Call(ctx, "2", jsonrpc.NewRequest("2", "accepted", nil))
		var lost *SessionLostError
		if !errors.As(err, &lost) || !lost.Accepted {
			t.Errorf("Call() = %v, want a lost session that accepted the call", err)
		}
		r.close()
	})
}
