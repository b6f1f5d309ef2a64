package transport

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// big is what mcp-go reads as a float64: a number above 2^53, 1.0, many digits, odd order, what HTML escapes.
const big = `{"z":9007199254740993,"a":1.0,"e":1e2,"d":12345678901234567890,"h":"<>&\u2028😀"}`

// What mcp-go's wire makes of an answer, and what ours does. Each case is a way to answer one call.
func TestDefectAnswers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		mcpGo string
		on    answerer
		want  string // the answer, or
		err   string // how the error begins
	}{
		{
			"result", "byte-identical", func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) { reply(w, m.ID(), big) },
			`{"jsonrpc":"2.0","id":2,"result":` + big + `}`, "",
		}, {
			"result on a stream", "byte-identical",
			func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) { writeStream(w, result(m.ID(), big)) },
			`{"jsonrpc":"2.0","id":2,"result":` + big + `}`, "",
		}, {
			"error.data digits", "float64, keys sorted, unknown members dropped",
			func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				status(w, 200, `{"jsonrpc":"2.0","id":2,"error":{"code":-32042,"x":1,"message":"m","data":`+big+`}}`)
			},
			`{"jsonrpc":"2.0","id":2,"error":{"code":-32042,"x":1,"message":"m","data":` + big + `}}`, "",
		}, {
			"unknown members of the envelope", "dropped",
			func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				status(w, 200, `{"x":1,"jsonrpc":"2.0","result":{},"id":2,"y":2.0}`)
			},
			`{"x":1,"jsonrpc":"2.0","result":{},"id":2,"y":2.0}`, "",
		}, {
			"wrong id", "accepted",
			func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) { reply(w, "3", `{}`) },
			"", "the stream ended before the answer: the response answers another request",
		}, {
			"id of another type", "accepted",
			func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) { reply(w, `"2"`, `{}`) },
			"", "the stream ended before the answer: the response answers another request",
		}, {
			"wrong id on a stream", "the first message with an id wins",
			func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				writeStream(w, result("3", `"wrong"`), result("2", `"right"`))
			},
			`{"jsonrpc":"2.0","id":2,"result":"right"}`, "",
		}, {
			"error with id null", "response should contain RPC id",
			func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				status(w, 200, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"m"}}`)
			},
			`{"jsonrpc":"2.0","id":2,"error":{"code":-32600,"message":"m"}}`, "",
		}, {
			"error with id null on a stream", "a notification with method \"\", unexpected nil response",
			func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				writeStream(w, data(`{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"m"}}`))
			},
			`{"jsonrpc":"2.0","id":2,"error":{"code":-32600,"message":"m"}}`, "",
		}, {
			"error with id null and a status", "-",
			func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				status(w, 400, `{"jsonrpc":"2.0","error":{"code":-32000,"message":"m"},"id":null}`)
			},
			`{"jsonrpc":"2.0","error":{"code":-32000,"message":"m"},"id":2}`, "",
		}, {
			"error with a status", "a response", func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				status(w, 400, `{"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"m"}}`)
			},
			`{"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"m"}}`, "",
		}, {
			"404 for an unknown method", "session terminated", func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				status(w, 404, `{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"m"}}`)
			},
			`{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"m"}}`, "",
		}, {
			"502 with JSON", "success without error and result", func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				status(w, 502, `{"message":"Bad gateway"}`)
			},
			"", `the server answered 502 Bad Gateway: {"message":"Bad gateway"}`,
		}, {
			"403", "a JSON-RPC error -32603 with id null", func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				status(w, 403, `{"error":"insufficient_scope"}`)
			},
			"", `the server answered 403 Forbidden: {"error":"insufficient_scope"}`,
		}, {
			"batch", "decode error", func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				status(w, 200, `[{"jsonrpc":"2.0","method":"notifications/a"},7,[],{"jsonrpc":"2.0","id":2,"result":`+big+`}]`)
			},
			`{"jsonrpc":"2.0","id":2,"result":` + big + `}`, "",
		}, {
			"batch on a stream", "dropped", func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				writeStream(w, data(`[{"jsonrpc":"2.0","method":"notifications/a"},{"jsonrpc":"2.0","id":2,"result":{}}]`))
			},
			`{"jsonrpc":"2.0","id":2,"result":{}}`, "",
		}, {
			"byte order mark", "unexpected nil response", func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				writeStream(w, "\ufeff", result("2", `{}`))
			},
			`{"jsonrpc":"2.0","id":2,"result":{}}`, "",
		}, {
			"CR line ends", "unexpected nil response", func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				writeStream(w, "event: message\rid: 1\rdata: ", `{"jsonrpc":"2.0","id":2,"result":{}}`, "\r\r")
			},
			`{"jsonrpc":"2.0","id":2,"result":{}}`, "",
		}, {
			"T60h", "-", func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				writeStream(w, "id: 1\ndata: \n\n: comment\n\n", "data: {\"jsonrpc\":\"2.0\",\ndata: \"id\":2,\ndata: \"result\":{}}\n\n")
			},
			`{"jsonrpc":"2.0", "id":2, "result":{}}`, "",
		}, {
			"other events", "-", func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				writeStream(w, "event: ping\ndata: 2026\n\n", "data: no JSON\n\n", result("2", `{}`))
			},
			`{"jsonrpc":"2.0","id":2,"result":{}}`, "",
		}, {
			"HTML", "-", func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				w.Header().Set("Content-Type", "text/html")
				fmt.Fprint(w, "<h1>\nHello</h1>")
			},
			"", `unexpected content type "text/html": <h1> Hello</h1>`,
		}, {
			"garbage", "-", func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) { status(w, 200, `{"jsonrpc":"2.0",`) },
			"", "unreadable answer (limits.message is 1048576 bytes): the message is not complete",
		}, {
			"a long body", "no limit", func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
				reply(w, m.ID(), `"`+strings.Repeat("x", 1<<20)+`"`)
			},
			"", "unreadable answer (limits.message is 1048576 bytes): the message is longer than the limit",
		}, {
			"a long body with its length", "no limit", func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				w.Header().Set("Content-Length", "2000000")
				status(w, 200, `{`)
			},
			"", "unreadable answer (limits.message is 1048576 bytes): its 2000000 bytes are longer than the limit",
		}, {
			"a long event", "no limit", func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
				writeStream(w, result(m.ID(), `"`+strings.Repeat("x", 1<<20)+`"`))
			},
			"", "unreadable answer (limits.message is 1048576 bytes): the message is longer than the limit",
		}, {
			"a long event of another", "no limit", func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
				writeStream(w, result("9", `"`+strings.Repeat("x", 1<<20)+`"`), result(m.ID(), `{}`))
			},
			`{"jsonrpc":"2.0","id":2,"result":{}}`, "",
		}, {
			"abrupt end without ids", "request fails", func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				writeStream(w, "data: {")
				abort(w)
			},
			"", "the stream ended before the answer: unexpected EOF",
		}, {
			"202 without a stream", "unexpected content type", func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				w.WriteHeader(http.StatusAccepted)
			},
			"", "the stream ended before the answer: the server accepted the request and has no stream",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := connect(t, &fake{on: map[string]answerer{"x/y": tt.on}})
			got, err := r.call("2", "x/y")
			switch {
			case tt.err == "" && (err != nil || got != tt.want):
				t.Errorf("Call() = %s, %v\nwant %s\nmcp-go: %s", got, err, tt.want, tt.mcpGo)
			case tt.err != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.err)):
				t.Errorf("Call() = %s, %v\nwant the error %s\nmcp-go: %s", got, err, tt.err, tt.mcpGo)
			}
			r.want("5", "next", `{}`) // whatever it was, the session goes on
		})
	}
}

// mcp-go: the request is changed (escaped, ids by way of float64).
func TestDefectRequestsUnchanged(t *testing.T) {
	f := &fake{on: map[string]answerer{}}
	r := connect(t, f)
	for _, id := range []jsonrpc.ID{"9007199254740993", `"1"`, `"a\u0062"`, "-0", "1.0"} {
		m, err := r.Call(t.Context(), id, jsonrpc.NewRequest(id, "x/y", jsonrpc.Raw(big)))
		if err != nil || m.ID() != id {
			t.Errorf("Call(%s) = %v, %v", id, m, err)
		}
	}
	for _, params := range []string{big, `[1.0,{"b":1,"a":2}]`} {
		if err := r.Send(t.Context(), jsonrpc.NewNotification("n", jsonrpc.Raw(params))); err != nil {
			t.Errorf("Send() = %v", err)
		}
	}
	for i, got := range f.requests("x/y") {
		if !strings.HasSuffix(got.body, `"params":`+big+`}`) {
			t.Errorf("request %d arrived as %s", i, got.body)
		}
	}
	if got := f.requests("n"); len(got) != 2 || got[1].body != `{"jsonrpc":"2.0","method":"n","params":[1.0,{"b":1,"a":2}]}` {
		t.Errorf("notifications arrived as %v", got)
	}
}

// mcp-go: params become float64 with sorted keys, array params are dropped, notifications lose their order and
// their origin.
func TestDefectNotifications(t *testing.T) {
	want := []string{
		`2 {"jsonrpc":"2.0","method":"a","params":` + big + `}`,
		`2 {"method":"b","params":[1.0,2],"jsonrpc":"2.0"}`,
		`2 {"jsonrpc":"2.0","method":"c"}`,
	}
	r := connect(t, &fake{on: map[string]answerer{"x/y": func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
		for _, n := range want {
			writeStream(w, data("%s", n[2:]))
		}
		writeStream(w, result(m.ID(), `{}`))
	}}})
	r.want("2", "x/y", `{}`)
	got := make([]string, len(r.ear.notes)) // all are there when Call returns
	for i := range got {
		got[i] = <-r.ear.notes
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("notifications (-want +got):\n%s", d)
	}
}

// mcp-go: a request of the server with id 9007199254740993 is answered with …992, its params are changed, and
// whatever takes longer than 30 s is never answered at all.
func TestDefectServerRequests(t *testing.T) {
	const id = "9007199254740993"
	f := &fake{}
	bubble(t, f, func(in world) {
		t, o, e := in.t, in.o, in.ear
		answered := make(chan string, 1)
		f.on = map[string]answerer{
			"x/y": func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
				writeStream(w, data(`{"jsonrpc":"2.0","id":%s,"method":"elicitation/create","params":%s}`, id, big))
				writeStream(w, result(m.ID(), <-answered))
			},
			"response": func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
				w.WriteHeader(http.StatusAccepted)
				answered <- string(m.Text().Bytes())
			},
		}
		e.request = func(ctx context.Context, cause jsonrpc.ID, m *jsonrpc.Message) jsonrpc.Text {
			if cause != "2" || string(m.Params()) != big {
				t.Errorf("Request(%s, %s)", cause, m.Text().Bytes())
			}
			if err := sleep(ctx, time.Hour); err != nil {
				t.Errorf("the request was ended: %v", err)
			}
			return jsonrpc.Result(m.ID(), jsonrpc.Raw(`{"action":"accept"}`))
		}
		r := connectTo(t, o, e)
		m, err := r.Call(t.Context(), "2", jsonrpc.NewRequest("2", "x/y", nil))
		want := `{"jsonrpc":"2.0","id":` + id + `,"result":{"action":"accept"}}`
		if err != nil || string(m.Result()) != want {
			t.Errorf("the server got %v, %v, want %s", m, err, want)
		}
		r.close()
	})
}

// mcp-go: any 4xx to initialize is ErrLegacySSEServer, and Retry-After and WWW-Authenticate are lost.
func TestDefectRefusedInitialize(t *testing.T) {
	for _, tt := range []struct {
		code   int
		header http.Header
		wait   time.Duration
	}{
		{http.StatusTooManyRequests, http.Header{"Retry-After": {"17"}}, 17 * time.Second},
		{http.StatusServiceUnavailable, http.Header{"Retry-After": {"Sat, 01 Jan 2000 01:00:00 GMT"}}, time.Hour},
		{http.StatusForbidden, http.Header{"Www-Authenticate": {`Bearer error="insufficient_scope"`, "Basic"}}, 0},
		{http.StatusUnauthorized, http.Header{"Www-Authenticate": {`Bearer error="insufficient_scope"`, "Basic"}}, 0},
	} {
		f := &fake{on: map[string]answerer{"initialize": func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
			maps.Copy(w.Header(), tt.header)
			http.Error(w, strings.Repeat("é", 1000), tt.code)
		}}}
		bubble(t, f, func(in world) {
			t, o := in.t, in.o
			o.Server.Transport = "http-first"
			_, _, err := Open(t.Context(), o, "1", jsonrpc.Text{[]byte(initialize)})
			var status *StatusError
			if !errors.As(err, &status) {
				t.Fatalf("Open() = %v, want a StatusError", err)
			}
			if status.Code != tt.code || status.Challenge != strings.Join(tt.header["Www-Authenticate"], ", ") {
				t.Errorf("Open() = %+v", status)
			}
			if len(status.Body) > maxExcerpt || len(status.Body) < maxExcerpt-8 {
				t.Errorf("the excerpt has %d bytes", len(status.Body))
			}
			if d := tt.wait - status.RetryAfter; d < 0 || d > time.Minute {
				t.Errorf("RetryAfter = %v, want %v", status.RetryAfter, tt.wait)
			}
			if len(f.requests(http.MethodGet)) > 0 {
				t.Error("the other wire was tried")
			}
		})
	}
}

// mcp-go: DELETE goes out without the configured headers; no header names the version before the GET stream.
func TestDefectHeaders(t *testing.T) {
	f := &fake{on: map[string]answerer{}}
	r := connect(t, f)
	r.listen()
	r.want("2", "tools/list", `{}`)
	r.close()
	for _, method := range []string{"notifications/initialized", "tools/list", http.MethodGet, http.MethodDelete} {
		all := f.requests(method)
		if len(all) != 1 {
			if method == http.MethodGet {
				continue // Close was quicker
			}
			t.Fatalf("%d requests %s", len(all), method)
		}
		h := all[0].header
		if h.Get("Mcp-Session-Id") != "s-1" || h.Get("Mcp-Protocol-Version") != "2025-06-18" {
			t.Errorf("%s has the headers %v", method, h)
		}
	}
	h := f.requests("initialize")[0].header
	if h.Get("Accept") != acceptBoth || h.Get("Content-Type") != "application/json" || h.Get("Mcp-Protocol-Version") != "" {
		t.Errorf("initialize has the headers %v", h)
	}
}

// mcp-go: three goroutines a call; the connection of a stream is dropped with it.
func TestDefectConnectionsReused(t *testing.T) {
	f := &fake{on: map[string]answerer{"x/y": func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
		writeStream(w, result(m.ID(), `{}`))
	}}}
	bubble(t, f, func(in world) {
		t, o, e := in.t, in.o, in.ear
		var dials int
		transport, ok := o.Client.Transport.(*http.Transport)
		if !ok {
			t.Fatal("no transport")
		}
		dial := transport.DialContext
		transport.DialContext = func(ctx context.Context, network, addr string) (c net.Conn, err error) {
			dials++
			return dial(ctx, network, addr)
		}
		r := connectTo(t, o, e)
		for id := range int64(20) {
			r.want(jsonrpc.Int(id), []string{"x/y", "json", "notifications/a"}[id%2], `{}`)
			if err := r.Send(t.Context(), jsonrpc.NewNotification("n", nil)); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		if dials > 2 {
			t.Errorf("%d connections, want at most 2", dials)
		}
		r.close()
	})
}

// mcp-go: answers on the listening stream are ignored, so a 202 is no use.
func TestDefectAnswerOnTheListeningStream(t *testing.T) {
	listening := make(chan jsonrpc.ID)
	f := &fake{on: map[string]answerer{
		http.MethodGet: func(w http.ResponseWriter, r *http.Request, _ *jsonrpc.Message) {
			writeStream(w, ": hi\n\n")
			for {
				select {
				case id := <-listening:
					writeStream(w, result(id, `"late"`))
				case <-r.Context().Done():
					return
				}
			}
		},
		"accepted": func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
			w.WriteHeader(http.StatusAccepted)
			go func() { listening <- m.ID() }()
		},
		"overtaken": func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) {
			writeStream(w, ": hi\n\n")
			listening <- m.ID()
			<-r.Context().Done()
		},
	}}
	r := connect(t, f)
	r.listen()
	r.want("2", "accepted", `"late"`)
	r.want("3", "overtaken", `"late"`)
}

// An answer that comes on the stream of another call goes to who waits for it.
func TestAnswerOnAnotherStream(t *testing.T) {
	first := make(chan struct{})
	f := &fake{on: map[string]answerer{
		"first": func(w http.ResponseWriter, r *http.Request, _ *jsonrpc.Message) {
			writeStream(w, ": hi\n\n")
			close(first)
			<-r.Context().Done()
		},
		"second": func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
			status(w, 200, `[{"jsonrpc":"2.0","id":2,"result":"a"},{"jsonrpc":"2.0","id":3,"result":"b"}]`)
		},
	}}
	r := connect(t, f)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.want("2", "first", `"a"`)
	}()
	receive(t, first, "the first call")
	r.want("3", "second", `"b"`)
	receive(t, done, "the first answer")
}

// T60f, the half of the wire: whoever calls learns that the request was not taken and may be sent again.
func TestT60fSessionLost(t *testing.T) {
	for _, tt := range []struct {
		name string
		code int
		body string
		lost bool
	}{
		{"the rule", 404, "", true},
		{"TypeScript SDK", 404, `{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}`, true},
		{"TypeScript SDK after a restart", 400, `{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: Server not initialized"},"id":null}`, true},
		{"TypeScript examples", 400, `{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":null}`, true},
		{"Python SDK", 400, `{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Session not found"}}`, true},
		{"mcp-go", 404, "Session terminated\n", true},
		{"Rust SDK", 401, "Unauthorized: Session not found", true},
		{"a method", 404, `{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"Method not found"}}`, false},
		{"a tool that speaks of sessions", 400, `{"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"browser session not found"}}`, false},
		{"a bad request", 400, "no", false},
		{"a login", 401, "session expired", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fake{on: map[string]answerer{"x/y": func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				status(w, tt.code, tt.body)
			}}}
			r := connect(t, f)
			_, err := r.call("2", "x/y")
			var lost *SessionLostError
			if got := errors.As(err, &lost); got != tt.lost {
				t.Fatalf("Call() = %v, want lost = %v", err, tt.lost)
			}
			if !tt.lost {
				return
			}
			if lost.Accepted {
				t.Errorf("Call() = %+v, want a request that may be sent again", lost)
			}
			receive(t, r.Done(), "the end of the Conn")
			if !errors.As(r.Err(), &lost) {
				t.Errorf("Err() = %v", r.Err())
			}
			if _, err := r.call("3", "z"); !errors.As(err, &lost) || lost.Accepted || len(f.requests("z")) > 0 {
				t.Errorf("a call on a lost session = %v", err)
			}
			r.close()
			if n := len(f.requests(http.MethodDelete)); n > 0 {
				t.Errorf("%d DELETE of a session that is lost", n)
			}
			if _, err := r.call("4", "z"); !errors.Is(err, ErrClosed) {
				t.Errorf("a call after Close = %v", err)
			}
		})
	}
}

// T60g: a server need not have sessions. Its 404 then says nothing about one.
func TestT60gWithoutSession(t *testing.T) {
	f := &fake{on: map[string]answerer{
		"initialize": func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) { reply(w, m.ID(), greeting) },
		"x/y":        func(w http.ResponseWriter, r *http.Request, _ *jsonrpc.Message) { http.NotFound(w, r) },
	}}
	r := connect(t, f)
	r.listen()
	_, err := r.call("2", "x/y")
	var status *StatusError
	if !errors.As(err, &status) || status.Code != http.StatusNotFound {
		t.Errorf("Call() = %v, want a StatusError", err)
	}
	r.want("3", "z", `{}`)
	r.close()
	if h := f.requests("z")[0].header; slices.Contains(h.Values("Mcp-Session-Id"), "") || len(f.requests(http.MethodDelete)) > 0 {
		t.Errorf("headers = %v, %d DELETE", h, len(f.requests(http.MethodDelete)))
	}
}
