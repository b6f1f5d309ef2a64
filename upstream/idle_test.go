package upstream

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// diary is a server that writes down what it is asked.
type diary struct {
	mu      sync.Mutex
	entries []string
	slow    time.Duration // how long a call takes
	tools   string
}

// ServeHTTP implements http.Handler.
func (d *diary) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	slow, tools := d.slow, d.tools
	d.mu.Unlock()
	if r.Method == http.MethodPost && r.ContentLength == callLength && slow > 0 {
		time.Sleep(slow) //nolint:forbidigo // fake time
	}
	if r.Method == http.MethodDelete {
		d.note("DELETE")
		return
	}
	d.note(rpc(w, r, map[string]string{
		"tools/list": `{"tools":` + tools + `}`, "tools/call": `{"content":[]}`, "resources/subscribe": "{}",
		"resources/unsubscribe": "{}", "logging/setLevel": "{}", "completion/complete": `{"completion":{"values":[]}}`,
		"x/task": `{"task":{"taskId":"t1","status":"working","ttl":7200000}}`, "tasks/get": `{"taskId":"t1","status":"completed"}`,
		"tasks/result": `{"content":[]}`,
	}))
}

func (d *diary) note(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, what)
}

// count returns how often something was asked.
func (d *diary) count(what string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, e := range d.entries {
		if e == what {
			n++
		}
	}
	return n
}

func (b *bubble) wait(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // fake time
	synctest.Wait()
}

// must makes a call that has to work.
func (b *bubble) must(s *Session, method, params string) *jsonrpc.Message {
	b.t.Helper()
	m, err := jsonrpc.Parse(jsonrpc.NewRequest("1", method, jsonrpc.Raw(params)).Bytes())
	if err != nil {
		b.t.Fatal(err)
	}
	answer, err := s.Call(b.t.Context(), Call{Message: m})
	if err != nil || answer.Error() != nil {
		b.t.Fatalf("%s: %v %v", method, err, answer)
	}
	return answer
}

// lazily is a server that connects when it is used and is left after ten minutes.
func lazily() config.Server {
	return config.Server{
		Transport: config.HTTPOnly, Lazy: true, IdleTimeout: 10 * time.Minute,
		Ping: config.Ping{Interval: time.Minute, Timeout: time.Second},
	}
}

// A lazy server is not touched until it is used, whatever the first use is, and left again when nobody uses it.
func TestLazyConnectsWhenUsed(t *testing.T) {
	for name, use := range map[string]func(b *bubble, s *Session){
		"call":       func(b *bubble, s *Session) { b.must(s, "tools/call", "{}") },
		"completion": func(b *bubble, s *Session) { b.must(s, "completion/complete", "{}") },
		"list": func(b *bubble, s *Session) {
			s.Want(protocol.Tools)
			if err := s.Await(b.t.Context(), protocol.Tools); err != nil || len(s.List(protocol.Tools).Items) != 1 {
				b.t.Errorf("%v %v", err, s.List(protocol.Tools))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := &diary{tools: `[{"name":"a"}]`}
			inBubble(t, lazily(), d.ServeHTTP, func(b *bubble) {
				s, release := b.open()
				defer release()
				b.wait(time.Hour)
				if status := b.state(s, Idle); b.requests.Load() != 0 || status.Err != nil || status.ID != "" || s.Hello() != nil {
					b.t.Errorf("%d requests, %+v", b.requests.Load(), status)
				}
				s.SetLevel(b.t.Context(), &nobody{}, jsonrpc.Raw(`"error"`)) // is remembered, and no use
				b.state(s, Idle)
				use(b, s)
				b.state(s, Ready)
				if d.count("initialize") != 1 || d.count("logging/setLevel") != 1 {
					b.t.Errorf("the server was asked %v", d.entries)
				}
				b.wait(21 * time.Minute)
				b.state(s, Idle)
				if d.count("DELETE") != 1 {
					b.t.Error("the session was not ended in good order")
				}
				if s.Version() != "2025-11-25" || !s.Can("tools") || s.Hello() == nil {
					b.t.Error("what the server said is forgotten")
				}
				n := b.requests.Load()
				b.wait(24 * time.Hour)
				if b.requests.Load() != n {
					b.t.Error("an idle server was asked")
				}
				use(b, s)
				if name != "list" { // which is kept
					b.state(s, Ready)
					if d.count("initialize") != 2 || d.count("logging/setLevel") != 2 {
						b.t.Errorf("the server was asked %v", d.entries)
					}
				}
			})
		})
	}
}

// The lists stay while a server is idle, and are read again with the next connection.
func TestIdleKeepsLists(t *testing.T) {
	d := &diary{tools: `[{"name":"a"}]`}
	inBubble(t, lazily(), d.ServeHTTP, func(b *bubble) {
		s, release := b.open()
		defer release()
		s.Want(protocol.Tools)
		b.wait(time.Hour)
		b.state(s, Idle)
		d.mu.Lock()
		d.tools = `[{"name":"a"},{"name":"b"}]`
		d.mu.Unlock()
		s.Want(protocol.Tools)
		b.state(s, Idle)
		if n := len(s.List(protocol.Tools).Items); n != 1 {
			b.t.Errorf("%d tools", n)
		}
		b.must(s, "tools/call", "{}")
		synctest.Wait()
		if n := len(s.List(protocol.Tools).Items); n != 2 || d.count("tools/list") != 2 {
			b.t.Errorf("%d tools, read %d times", n, d.count("tools/list"))
		}
	})
}

// A call in flight, a subscription and a task keep a server from being left.
func TestInUseIsNotIdle(t *testing.T) {
	for name, c := range map[string]struct {
		begin, end func(b *bubble, s *Session)
	}{
		"call": {func(b *bubble, s *Session) { b.must(s, "tools/call", "{}") }, nil},
		"subscription": {
			func(b *bubble, s *Session) { b.subscribe(s.Subscribe, protocol.Subscribe) },
			func(b *bubble, s *Session) { b.subscribe(s.Unsubscribe, protocol.Unsubscribe) },
		},
		"task": {
			func(b *bubble, s *Session) { b.must(s, "x/task", `{"task":{}}`) },
			func(b *bubble, s *Session) {
				b.must(s, "tasks/get", `{"taskId":"t1"}`)
				b.wait(30 * time.Minute)
				b.state(s, Ready) // the result is still to be fetched
				b.must(s, "tasks/result", `{"taskId":"t1"}`)
			},
		},
		"forgotten task": {
			func(b *bubble, s *Session) { b.must(s, "x/task", `{"task":{}}`) },
			func(b *bubble, s *Session) { b.wait(time.Hour) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := &diary{tools: `[]`, slow: time.Hour}
			cfg := lazily()
			cfg.CallTimeout = 2 * time.Hour
			inBubble(t, cfg, d.ServeHTTP, func(b *bubble) {
				s, release := b.open()
				defer release()
				c.begin(b, s)
				if c.end != nil {
					b.wait(65 * time.Minute)
					b.state(s, Ready)
					c.end(b, s)
				}
				if n := d.count("initialize"); n != 1 {
					b.t.Errorf("%d sessions", n)
				}
				b.wait(21 * time.Minute)
				b.state(s, Idle)
			})
		})
	}
}

func (b *bubble) subscribe(do subscribing, method string) {
	b.t.Helper()
	m, err := jsonrpc.Parse(jsonrpc.NewRequest("1", method, jsonrpc.Raw(`{"uri":"x://1"}`)).Bytes())
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := do(b.t.Context(), b.subscriber, "x://1", Call{Message: m}); err != nil {
		b.t.Fatal(err)
	}
}

// Calls that come just when a server is left fail never, and reach it once.
func TestCallsWhileTheServerIsLeft(t *testing.T) {
	d := &diary{tools: `[]`}
	cfg := lazily()
	cfg.IdleTimeout = time.Millisecond
	inBubble(t, cfg, d.ServeHTTP, func(b *bubble) {
		s, release := b.open()
		defer release()
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				for j := range 50 {
					time.Sleep(time.Duration(i*j%7) * 500 * time.Microsecond) //nolint:forbidigo // fake time
					b.must(s, "tools/call", "{}")
				}
			})
		}
		all.Wait()
		if n := d.count("tools/call"); n != 1000 {
			b.t.Errorf("1000 calls were carried out %d times", n)
		}
		b.t.Logf("%d sessions", d.count("initialize"))
	})
}

type subscribing func(context.Context, Client, string, Call) (*jsonrpc.Message, error)
