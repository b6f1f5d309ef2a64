package transport

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// That the child has exited is seen at once, and said with its status and last words (mcp-go: only Close waits for
// it, calls hang; ferro-labs/ai-gateway#353 and #360, mcp-go#498).
func TestStdioExitIsObserved(t *testing.T) {
	t.Parallel()
	var log logBuffer
	c := openChild(t, Options{Server: childOf("server"), Log: log.logger(hclog.Debug)})
	pending := callNever(t, c, "1")
	_, err := c.Call(boundedContext(t), "2", jsonrpc.NewRequest("2", "crash", nil))
	errs := []error{err, <-pending}
	awaitEvent(t, "Done", c.Done())
	errs = append(errs, c.Err(), c.Send(t.Context(), jsonrpc.NewNotification("n", nil)))
	_, err = c.Call(t.Context(), "3", jsonrpc.NewRequest("3", "echo", nil))
	if !Unsent(err) || Unsent(errs[0]) || Unsent(errs[1]) {
		t.Errorf("unsent: %v, %v, %v; want only the call after the end to be", Unsent(errs[0]), Unsent(errs[1]), Unsent(err))
	}
	if err := c.Close(boundedContext(t)); err != nil {
		t.Errorf("Close: %v", err)
	}
	for i, err := range append(errs, err, c.Err()) {
		var exit *ExitError
		if !errors.As(err, &exit) {
			t.Fatalf("error %d: %v, want an ExitError", i, err)
		}
		if exit.Status != "exit status 3" {
			t.Errorf("error %d: status %q", i, exit.Status)
		}
		if !strings.HasPrefix(exit.Stderr, "line 10\n") || !strings.HasSuffix(exit.Stderr, "\nline 29") {
			t.Errorf("error %d: stderr %q, want the last 20 lines", i, exit.Stderr)
		}
	}
	if text := log.String(); !strings.Contains(text, `line="line 0"`) || !strings.Contains(text, "server=server") {
		t.Errorf("stderr is not in the log:\n%s", text)
	}
}

// A child that closes a pipe but lives is as lost as one that exits.
func TestStdioClosedStdout(t *testing.T) {
	t.Parallel()
	c := openChild(t, Options{Server: childOf("closer")})
	_, err := c.Call(boundedContext(t), "1", jsonrpc.NewRequest("1", "echo", nil))
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Status != "closed its stdout" {
		t.Errorf("error %v", err)
	}
	awaitEvent(t, "the end of the child", c.finished)
}

// A child that stops reading blocks nobody: what does not fit waits as long as its context says (mcp-go: the first
// call holds a lock for ever, and every other waits for that).
func TestStdioChildThatStopsReadingBlocksNobody(t *testing.T) {
	t.Parallel()
	c := openChild(t, Options{Server: childOf("deaf")})
	const calls = 100
	params := jsonrpc.Raw(`"` + strings.Repeat("x", 1<<20) + `"`)
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error)
	for i := range calls {
		go func() {
			id := jsonrpc.Int(int64(i))
			_, err := c.Call(ctx, id, jsonrpc.NewRequest(id, "echo", params))
			errs <- err
		}()
	}
	eventually(t, "that all calls wait", func() bool { return c.calls.Len() == calls })
	eventually(t, "a full queue", func() bool { return !c.out.room.TryAcquire(outboxRoom / 2) })
	cancel()
	for range calls {
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want %v", err, context.Canceled)
		}
	}
	if n := c.calls.Len(); n != 0 {
		t.Errorf("%d calls are left", n)
	}
	if err := c.Send(ctx, jsonrpc.NewNotification("n", nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("Send: %v", err)
	}
	now, stop := context.WithCancel(t.Context())
	stop()
	if err := c.Close(now); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := c.Send(t.Context(), jsonrpc.NewNotification("n", nil)); !errors.Is(err, ErrClosed) {
		t.Errorf("Send after Close: %v", err)
	}
}

// What waits because the child reads slowly arrives whole and in order.
func TestStdioOutboxKeepsOrder(t *testing.T) {
	t.Parallel()
	const n = 3000
	c := openChild(t, Options{Server: childOf("server")})
	filler := strings.Repeat("x", 500)
	for i := range n {
		if err := c.Send(boundedContext(t), jsonrpc.NewRequest("1", "count", jsonrpc.Raw(fmt.Sprintf(`{"i":%d,"x":%q}`, i, filler)))); err != nil {
			t.Fatal(err)
		}
	}
	var last int
	callInto(t, c, "counted", "{}", &last)
	if last != n {
		t.Errorf("%d of %d in order", last, n)
	}
}

// allocated returns how many bytes f has this process allocate.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// A child may write what it likes to stderr: it neither waits nor costs memory (mcp-go#956), only some lines of log
// for each second that it takes.
func TestStdioStderrFlood(t *testing.T) {
	var log logBuffer
	for level, perLine := range map[hclog.Level]int{hclog.Info: 0, hclog.Debug: 8 << 10} {
		c := openChild(t, Options{Server: childOf("server"), Log: log.logger(level)})
		begin := time.Now()
		got := allocated(func() { callChild(t, c, "1", "flood", "104857600") })
		lines := stderrRate * int(time.Since(begin)/time.Second+2)
		if got > 8<<20+lines*perLine {
			t.Errorf("%s: %d bytes allocated", level, got)
		}
		if n := strings.Count(log.String(), "stderr: line="); n > lines {
			t.Errorf("%s: %d lines in the log, want at most %d", level, n, lines)
		}
		if tail := c.stderr.tail(); len(tail) > stderrTail || tail == "" {
			t.Errorf("%s: %d bytes kept of stderr", level, len(tail))
		}
	}
}

// A line of 200 MB is passed over with bounded memory; its call fails and says why, the next ones work (mcp-go reads
// a line of any length into memory).
func TestStdioLineBeyondLimit(t *testing.T) {
	after := make(chan struct{}, 1)
	c := openChild(t, Options{Server: childOf("server"), Limit: 64 << 20, Handler: &childHandler{
		notification: func(*jsonrpc.Message) { after <- struct{}{} },
	}})
	got := allocated(func() {
		_, err := c.Call(boundedContext(t), "1", jsonrpc.NewRequest("1", "long", jsonrpc.Raw("200000000")))
		var bad *jsonrpc.MalformedError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), "limits.message is 67108864 bytes") ||
			!strings.Contains(err.Error(), "longer than the limit") {
			t.Errorf("error %v", err)
		}
	})
	if got > 100<<20 {
		t.Errorf("%d bytes allocated", got)
	}
	awaitEvent(t, "the notification after it", after)
	callChild(t, c, "1", "echo", "{}")
}

// Close leaves a child that heeds the end of its stdin the time to exit by itself.
func TestStdioCloseIsGentle(t *testing.T) {
	t.Parallel()
	c := openChild(t, Options{Server: childOf("server")})
	callChild(t, c, "0", "echo", "{}") // it runs
	pending := callNever(t, c, "1")
	begin := time.Now()
	if err := c.Close(boundedContext(t)); err != nil {
		t.Error(err)
	}
	took := time.Since(begin)
	if err := <-pending; !errors.Is(err, ErrClosed) {
		t.Errorf("pending call: %v", err)
	}
	if !errors.Is(c.Err(), ErrClosed) {
		t.Errorf("Err: %v", c.Err())
	}
	if got := describe(c.child.cmd.ProcessState); got != "exit status 0" && took < stdinGrace {
		t.Errorf("the child ended with %s after %s", got, took)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Errorf("second Close: %v", err)
	}
}
