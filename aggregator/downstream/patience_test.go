package downstream

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestPatience has a client use one connection for long: a call takes its time, and whatever is said on the connection
// after minutes of silence is answered.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		r := startAt(t, HTTPOptions{}, l)
		dials := 0
		r.http.Transport = &http.Transport{MaxConnsPerHost: 1, ExpectContinueTimeout: hung, DialContext: func(context.Context, string, string) (net.Conn, error) {
			dials++
			return l.dial(), nil
		}}
		session := r.hello("2025-06-18")
		time.AfterFunc(10*time.Minute, func() { close(r.peer(0).wait) })
		if got := body(t, r.send("POST", "/mcp", call("1", "wait", "long"), session)); !strings.Contains(got, `"for":"long"`) {
			t.Errorf("after 10 minutes the call is answered with %q", got)
		}
		for _, c := range []struct {
			method, body, header string
			status               int
		}{
			{"POST", `{"jsonrpc":"2.0","method":"n"}`, "X: y", 202},
			{"OPTIONS", "", "X: y", 204},
			{"POST", call("2", "echo", "again"), "Expect: 100-continue", 200},
			{"PUT", "", "X: y", 405},
			{"DELETE", "", "X: y", 204},
		} {
			time.Sleep(unusedTime - time.Second) //nolint:forbidigo // the time of synctest
			res, err := r.try(t.Context(), c.method, "/mcp", c.body, session, c.header)
			if err != nil {
				t.Errorf("%s: %v", c.method, err)
				continue
			}
			if got := body(t, res); res.StatusCode != c.status {
				t.Errorf("%s: %s %s, want %d", c.method, res.Status, got, c.status)
			}
		}
		if dials != 1 {
			t.Errorf("%d connections", dials)
		}
	})
}

// TestSpareConnection has a client use a connection that it opened for later, as net/http does.
func TestSpareConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		r := startAt(t, HTTPOptions{}, l)
		spare := l.dial()
		time.Sleep(unusedTime - time.Second) //nolint:forbidigo // the time of synctest
		r.http.Transport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return spare, nil }}
		r.hello("2025-11-25")
	})
}
