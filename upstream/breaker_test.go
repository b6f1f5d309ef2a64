package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// ceiling is how many requests a dead server may cost in a day.
const ceiling = 300

func answers(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
	}
}

// deadServers are servers that are of no use, each in its own way.
var deadServers = map[string]http.HandlerFunc{
	"refuses": nil,
	"silent": func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not see that the client hangs up
		<-r.Context().Done()
	},
	"hangs up":             func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	"500":                  answers(500),
	"502":                  answers(502),
	"400":                  answers(400),
	"404":                  answers(404),
	"401":                  answers(401, "Www-Authenticate", "Bearer"),
	"403":                  answers(403),
	"429":                  answers(429),
	"429 for a second":     answers(429, "Retry-After", "1"),
	"503 for a second":     answers(503, "Retry-After", "1"),
	"500 for a second":     answers(500, "Retry-After", "1"),
	"redirects in circles": answers(302, "Location", "/mcp"),
	"page": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<p>please log in")
	},
	"garbage": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, "}{")
	},
	"error": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"no database"}}`)
	},
	"other version": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Mcp-Session-Id", "1")
		fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"1999-01-01","capabilities":{}}}`)
	},
	"dies after the handshake": func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Mcp-Session-Id") != "" {
			panic(http.ErrAbortHandler)
		}
		rpc(w, r, nil)
	},
	"forgets after the handshake": func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Mcp-Session-Id") != "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		rpc(w, r, nil)
	},
	"forgets after the second request": func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Mcp-Session-Id") == "" || r.Header.Get("Content-Length") == "54" {
			rpc(w, r, nil)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	},
}

// A dead server costs little in a day, however many clients there are and however often they call.
func TestDeadServerCostsLittle(t *testing.T) {
	for name, handler := range deadServers {
		for _, clients := range []int{1, 10} {
			t.Run(fmt.Sprintf("%s, clients %d", name, clients), func(t *testing.T) {
				t.Parallel()
				cfg := config.Server{Transport: config.HTTPFirst, ServerStream: true, Ping: config.Ping{Interval: time.Minute, Timeout: 10 * time.Second}}
				inBubble(t, cfg, handler, func(b *bubble) {
					b.callAllDay(clients)
					if n := b.requests.Load(); n >= ceiling || n == 0 {
						t.Errorf("%d requests in a day, want less than %d", n, ceiling)
					} else {
						t.Logf("%d requests", n)
					}
				})
			})
		}
	}
}

// callAllDay has clients call the server again and again, for 24 hours.
func (b *bubble) callAllDay(clients int) {
	ctx, cancel := context.WithTimeout(b.t.Context(), 24*time.Hour)
	defer cancel()
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			s, release := b.open()
			defer release()
			for ctx.Err() == nil {
				s.Want(protocol.Tools)
				_, _ = b.call(ctx, s, protocol.ToolsCall)
				rest(ctx, time.Duration(3*clients*clients)*time.Second)
			}
		})
	}
	all.Wait()
}

// rest waits, and less when ctx ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// A server that dies after an hour is found dead and then costs as little.
func TestServerThatDiesCostsLittle(t *testing.T) {
	for _, c := range []struct {
		name  string
		ping  time.Duration
		calls bool
		get   bool
	}{
		{"nobody asks, with a stream", 0, false, true},
		{"pings", time.Minute, false, false},
		{"pings with a stream", time.Minute, false, true},
		{"calls", 0, true, false},
		{"calls and pings with a stream", time.Minute, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			handler := func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet && c.get {
					w.Header().Set("Content-Type", "text/event-stream")
					_ = http.NewResponseController(w).Flush()
					<-r.Context().Done()
					return
				}
				rpc(w, r, map[string]string{"tools/list": `{"tools":[]}`, "tools/call": `{"content":[]}`})
			}
			cfg := config.Server{Transport: config.HTTPFirst, ServerStream: c.get, Ping: config.Ping{Interval: c.ping, Timeout: 10 * time.Second}}
			inBubble(t, cfg, handler, func(b *bubble) {
				s, release := b.open()
				defer release()
				s.Want(protocol.Tools)
				time.Sleep(time.Hour) //nolint:forbidigo // fake time
				b.dead.Store(true)
				b.requests.Store(0)
				b.pipes.Cut()
				if c.calls {
					b.callAllDay(1)
				} else {
					time.Sleep(24 * time.Hour) //nolint:forbidigo // fake time
				}
				if n := b.requests.Load(); n >= ceiling {
					t.Errorf("%d requests in a day, want less than %d", n, ceiling)
				} else {
					t.Logf("%d requests", n)
				}
				b.dead.Store(false)
				s.Retry()
				synctest.Wait()
				if _, err := b.call(b.t.Context(), s, protocol.ToolsCall); err != nil {
					t.Errorf("the server is there again: %v", err)
				}
			})
		})
	}
}

// A child that ends at once is started seldom: the policy alone decides, the process is not needed.
func TestChildThatEndsAtOnceIsStartedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth()
		starts := 0
		for end := time.Now().Add(24 * time.Hour); time.Now().Before(end); time.Sleep(time.Second) { //nolint:forbidigo // fake time
			h.hurry()
			if h.enter().allowed {
				starts++
				h.failed(errors.New("exit status 1"), 1, nil)
			}
		}
		if starts >= ceiling || starts < 50 {
			t.Errorf("%d starts", starts)
		}
	})
}
