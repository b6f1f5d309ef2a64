package transport

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

func TestStdioRoundTrip(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 1)
	c := openChild(t, Options{Server: childOf("server"), Handler: &childHandler{
		request: func(_ context.Context, m *jsonrpc.Message) jsonrpc.Text {
			asked <- string(m.Text().Bytes())
			return jsonrpc.Result(m.ID(), jsonrpc.Raw(`{"b":1e400, "a":12345678901234567890}`))
		},
	}})
	for _, id := range []jsonrpc.ID{"1", `"1"`, "9007199254740993", "-0.5e+10", `"ä\n"`} {
		params := `{"big":9007199254740993,"x":[1.0,1e2,"\u0041"], "ü":null}`
		m := callChild(t, c, id, "echo", params)
		want := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, id, params)
		if got := string(m.Text().Bytes()); got != want {
			t.Errorf("answer %s\nwant   %s", got, want)
		}
	}
	request := `{"jsonrpc":"2.0","id":9007199254740993,"method":"sampling/createMessage","params":{"n":9007199254740993},"x":0.10}`
	got := string(callChild(t, c, "2", "ask", request).Result())
	if d := cmp.Diff(request, <-asked); d != "" {
		t.Errorf("request of the server (-want +got):\n%s", d)
	}
	want := `{"jsonrpc":"2.0","id":9007199254740993,"result":{"b":1e400,"a":12345678901234567890}}`
	if got != want { // the child has compacted it
		t.Errorf("the server got %s, want %s", got, want)
	}
}

func TestStdioLongMessages(t *testing.T) {
	t.Parallel()
	c := openChild(t, Options{Server: childOf("server")})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			params := `"` + strings.Repeat(string(rune('a'+i)), 1<<(10+i*2)) + `"` // up to 16 MiB
			m, err := c.Call(boundedContext(t), jsonrpc.Int(int64(i)), jsonrpc.NewRequest(jsonrpc.Int(int64(i)), "echo", jsonrpc.Raw(params)))
			if err != nil {
				t.Error(err)
			} else if string(m.Result()) != params {
				t.Errorf("message %d came back otherwise", i)
			}
		})
	}
	all.Wait()
}

// T07, the stdio half: all real messages are handled and the noise is logged, once loudly.
func TestT07StdioFraming(t *testing.T) {
	t.Parallel()
	var log logBuffer
	c := openChild(t, Options{Server: childOf("noisy"), Log: log.logger(hclog.Debug)})
	for i := range 5 {
		id := jsonrpc.Int(int64(i))
		if m := callChild(t, c, id, "echo", `{"a":1}`); m.ID() != id {
			t.Errorf("answer to %s, want %s", m.ID(), id)
		}
	}
	text := log.String()
	if n := strings.Count(text, "[WARN]"); n != 1 {
		t.Errorf("%d warnings, want 1:\n%s", n, text)
	}
	for _, want := range []string{"Listening on 3000", "{broken", "got a line"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not logged:\n%s", want, text)
		}
	}
}

// An answer that nobody waits for, also one to a call that was given up, is dropped.
func TestStdioUnknownAnswer(t *testing.T) {
	t.Parallel()
	var log logBuffer
	c := openChild(t, Options{Server: childOf("server"), Log: log.logger(hclog.Debug)})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := c.Call(ctx, "5", jsonrpc.NewRequest("5", "never", nil))
		failed <- err
	}()
	callChild(t, c, "1", "echo", "{}")
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	callChild(t, c, "1", "say", `[{"jsonrpc":"2.0","id":5,"result":{}},{"jsonrpc":"2.0","id":"1","error":{"code":1,"message":""}}]`)
	if text := log.String(); strings.Count(text, "answer nobody waits for") != 2 {
		t.Errorf("not logged twice:\n%s", text)
	}
}

// Notifications are handled in order and before the answer that follows them.
func TestStdioNotificationsInOrder(t *testing.T) {
	t.Parallel()
	const n = 2000
	var got []int
	c := openChild(t, Options{Server: childOf("server"), Handler: &childHandler{notification: func(m *jsonrpc.Message) {
		var i int
		fmt.Sscanf(string(m.Params()), `{"i":%d}`, &i)
		got = append(got, i) // the race detector sees that Call returns afterwards
	}}})
	lines := make([]string, n)
	want := make([]int, n)
	for i := range n {
		lines[i], want[i] = fmt.Sprintf(`{"jsonrpc":"2.0","method":"n","params":{"i":%d}}`, i), i
	}
	callChild(t, c, "1", "say", "["+strings.Join(lines, ",")+"]")
	if !slices.Equal(got, want) {
		t.Errorf("got %d notifications, want %d in order", len(got), n)
	}
}

// A handler that takes its time over a request delays no answer (mcp-go: a slow handler stops the reader). That a
// notification comes before the answer behind it is wanted, so there its handler must not take time.
func TestStdioSlowHandlerDelaysNoAnswer(t *testing.T) {
	t.Parallel()
	busy, release := make(chan struct{}), make(chan struct{})
	c := openChild(t, Options{Server: childOf("server"), Handler: &childHandler{
		request: func(_ context.Context, m *jsonrpc.Message) jsonrpc.Text {
			close(busy)
			<-release
			return jsonrpc.Result(m.ID(), jsonrpc.Raw("{}"))
		},
	}})
	asked := make(chan error)
	go func() {
		_, err := c.Call(boundedContext(t), "1", jsonrpc.NewRequest("1", "ask", jsonrpc.Raw(`{"jsonrpc":"2.0","id":1,"method":"x"}`)))
		asked <- err
	}()
	awaitEvent(t, "the request", busy)
	callChild(t, c, "2", "echo", "{}")
	close(release)
	if err := <-asked; err != nil {
		t.Error(err)
	}
}

// A server that asks without end has a bounded number of requests answered at a time, and the rest refused.
func TestStdioTooManyRequests(t *testing.T) {
	t.Parallel()
	var started sync.WaitGroup
	started.Add(maxServing)
	c := openChild(t, Options{Server: childOf("server"), Handler: &childHandler{
		request: func(ctx context.Context, _ *jsonrpc.Message) jsonrpc.Text {
			started.Done()
			<-ctx.Done()
			return nil
		},
	}})
	lines := make([]string, maxServing)
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"jsonrpc":"2.0","id":"s%d","method":"x"}`, i)
	}
	callChild(t, c, "1", "say", "["+strings.Join(lines, ",")+"]")
	started.Wait()
	m := callChild(t, c, "2", "ask", `{"jsonrpc":"2.0","id":"more","method":"x"}`)
	if got := string(m.Result()); !strings.Contains(got, `"id":"more","error":{"code":-32603,"message":"more than 1024 requests`) {
		t.Errorf("the server got %s", got)
	}
}

// A request that cannot be read is refused, so that the server does not wait for it.
func TestStdioMalformedRequest(t *testing.T) {
	t.Parallel()
	c := openChild(t, Options{Server: childOf("server")})
	m := callChild(t, c, "1", "ask", `{"jsonrpc":"2.0","id":7,"method":"x","params":3}`)
	want := `{"jsonrpc":"2.0","id":7,"error":{"code":-32600,"message":"params must be an object or an array"}}`
	if got := string(m.Result()); got != want {
		t.Errorf("the server got %s, want %s", got, want)
	}
}

// An answer that cannot be read fails its call.
func TestStdioMalformedAnswer(t *testing.T) {
	t.Parallel()
	c := openChild(t, Options{Server: childOf("server")})
	failed := callNever(t, c, "1")
	callChild(t, c, "2", "say", `[{"jsonrpc":"2.0","id":1,"result":{},"error":{}}]`)
	err := <-failed
	var bad *jsonrpc.MalformedError
	if !errors.As(err, &bad) || bad.ID != "1" {
		t.Errorf("error %v, want one that says what is wrong with the answer", err)
	}
}

// Arrays of messages exist in one version.
func TestStdioBatch(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]int{protocol.V20250326: 2, protocol.V20250618: 0} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			got := 0
			c := openChild(t, Options{Server: childOf("server"), Handler: &childHandler{
				notification: func(*jsonrpc.Message) { got++ },
			}})
			c.Listen(version)
			callChild(t, c, "1", "say", `[[{"jsonrpc":"2.0","method":"a"},{"jsonrpc":"2.0","method":"b"},{"bad":1}]]`)
			if got != want {
				t.Errorf("%d notifications, want %d", got, want)
			}
		})
	}
}

// The context of the opening has no hold on the child (mcp-go kills it when that context ends; coder/coder#24035).
func TestStdioConnectContextDoesNotKillChild(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	conn, err := openStdio(ctx, Options{Server: childOf("server"), Limit: 1 << 20, Handler: &childHandler{
		request: func(ctx context.Context, m *jsonrpc.Message) jsonrpc.Text {
			served <- ctx.Err()
			return jsonrpc.Result(m.ID(), jsonrpc.Raw("{}"))
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	callChild(t, conn, "1", "ask", `{"jsonrpc":"2.0","id":1,"method":"x"}`)
	if err := <-served; err != nil {
		t.Errorf("the handler's context: %v", err)
	}
	if err := conn.Close(boundedContext(t)); err != nil {
		t.Error(err)
	}
	if _, err := openStdio(ctx, Options{Server: childOf("server")}); !errors.Is(err, context.Canceled) {
		t.Errorf("opening with an ended context: %v", err)
	}
}
