package aggregator

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// TestCause has many calls in flight that each make the server ask, and looks whether every question says of which
// call it comes.
func TestCause(t *testing.T) {
	c := plait(t, two, asking(t), asking(t)).open()
	c.answers(func(*jsonrpc.Message) string { return `{"action":"decline"}` })
	c.result("tools/list", "")
	const calls = 40
	var all sync.WaitGroup
	for i := range calls {
		all.Go(func() {
			c.callAs(t.Context(), strconv.Itoa(1000+i), "tools/call", fmt.Sprintf(
				`{"name":"%s_t","_meta":{"id":%d},"arguments":{"method":"elicitation/create","params":{"message":"for %d"}}}`, string("ab"[i%2]), i+1, 1000+i))
		})
	}
	all.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	questions := 0
	for i, m := range c.got {
		if m.Kind() != jsonrpc.Request {
			continue
		}
		questions++
		text, _ := jsonrpc.GetString(m.Params(), "message")
		if want := fmt.Sprintf("for %s", c.of[i]); text != "[a] "+want && text != "[b] "+want {
			t.Errorf("the question %q belongs to call %q", text, c.of[i])
		}
	}
	if questions != calls {
		t.Errorf("%d questions, want %d", questions, calls)
	}
}
