package downstream

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestAccess tells of each request what a log may have, and counts it.
func TestAccess(t *testing.T) {
	const canary = "CANARY0123456789"
	told := make(chan Access, 100)
	r := start(t, HTTPOptions{Access: func(a Access) { told <- a }, SSE: true, Bearer: canary})
	next := func() Access {
		select {
		case a := <-told:
			if text := fmt.Sprintf("%+v", a); strings.Contains(text, canary) {
				t.Errorf("it is told what nobody may know: %s", text)
			}
			return a
		case <-time.After(hung):
			t.Fatal("nothing was told")
			return Access{}
		}
	}
	token := "Authorization: Bearer " + canary
	session := r.hello("2025-11-25", token)
	first := next()
	if len(first.Session) != 8 || strings.Contains(session, first.Session) || !strings.HasPrefix(first.Remote, "127.0.0.1:") {
		t.Errorf("told of initialize: %+v", first)
	}
	secret := `{"jsonrpc":"2.0","id":1,"method":"echo","params":{"text":"` + canary + `"}}`
	for _, test := range []struct {
		method, path, body string
		headers            []string
		want               Access
	}{
		{"POST", "/mcp?token=" + canary, secret, []string{token, session}, Access{Method: "POST", Path: "/mcp", Status: 200, Session: first.Session, RPC: []string{"echo"}}},
		{"POST", "/mcp", `{"jsonrpc":"2.0","method":"told"}`, []string{token, session}, Access{Method: "POST", Path: "/mcp", Status: 202, Session: first.Session, RPC: []string{"told"}}},
		{"POST", "/mcp", `{"jsonrpc":"2.0","id":9,"result":{"a":"` + canary + `"}}`, []string{token, session}, Access{Method: "POST", Path: "/mcp", Status: 202, Session: first.Session}},
		{
			"POST", "/mcp", `[` + strings.Repeat(`{"jsonrpc":"2.0","method":"b"},`, 20) + secret + `]`,
			[]string{token, session},
			Access{Method: "POST", Path: "/mcp", Status: 200, Session: first.Session, RPC: strings.Split("bbbbbbbb", "")},
		},
		{"POST", "/mcp", `{"jsonrpc":"2.0","method":"` + strings.Repeat("m", 5000) + `"}`, []string{token, session}, Access{Method: "POST", Path: "/mcp", Status: 202, Session: first.Session, RPC: []string{strings.Repeat("m", 200) + "..."}}},
		{"POST", "/mcp", `{"nothing":"` + canary + `"}`, []string{token, session}, Access{Method: "POST", Path: "/mcp", Status: 400}},
		{"POST", "/mcp", secret, []string{token, "Mcp-Session-Id: " + canary}, Access{Method: "POST", Path: "/mcp", Status: 404, RPC: []string{"echo"}}},
		{"POST", "/mcp", secret, []string{"Authorization: Bearer wrong" + canary}, Access{Method: "POST", Path: "/mcp", Status: 401}},
		{"POST", "/mcp", secret, []string{token, "Origin: https://" + canary + ".example"}, Access{Method: "POST", Path: "/mcp", Status: 403}},
		{"POST", "/message?sessionId=" + canary, secret, []string{token}, Access{Method: "POST", Path: "/message", Status: 404}},
		{"DELETE", "/mcp", "", []string{token, session}, Access{Method: "DELETE", Path: "/mcp", Status: 204, Session: first.Session}},
	} {
		res := r.send(test.method, test.path, test.body, test.headers...)
		n, _ := io.Copy(io.Discard, res.Body)
		got := next()
		test.want.Out = n
		if test.want.Status != 401 && test.want.Status != 403 {
			test.want.In = int64(len(test.body))
		}
		if test.path == "/message?sessionId="+canary {
			test.want.In = 0
		}
		if d := cmp.Diff(test.want, got, cmpopts.IgnoreFields(Access{}, "Took", "Remote")); d != "" {
			t.Errorf("%s %s (-want +got):\n%s", test.method, test.path, d)
		}
	}
	want := map[int]uint64{200: 3, 202: 3, 204: 1, 400: 1, 401: 1, 403: 1, 404: 2}
	if stats := r.front.Stats(); stats.Sessions != 0 || stats.Opened != 1 || !cmp.Equal(stats.Answered, want) || stats.In == 0 || stats.Out == 0 {
		t.Errorf("counted %+v", stats)
	}
}

// TestOps guards what says how plait is: Host and Origin for all, the token for the metrics.
func TestOps(t *testing.T) {
	ops := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ops "+r.URL.Path) })
	open, closed := start(t, HTTPOptions{Ops: ops}), start(t, HTTPOptions{Ops: ops, Bearer: "secret"})
	none := start(t, HTTPOptions{})
	for _, test := range []struct {
		rig     *rig
		path    string
		headers []string
		want    int
	}{
		{open, "/healthz", nil, 200},
		{open, "/readyz", nil, 200},
		{open, "/metrics", nil, 200},
		{closed, "/healthz", nil, 200},
		{closed, "/readyz", nil, 200},
		{closed, "/metrics", nil, 401},
		{closed, "/metrics", []string{"Authorization: Bearer secret"}, 200},
		{closed, "/healthz/../metrics", nil, 404},
		{closed, "//metrics", nil, 404},
		{closed, "/healthz/", nil, 404},
		{open, "/healthz", []string{"Host: rebound.example"}, 403},
		{open, "/readyz", []string{"Host: rebound.example"}, 403},
		{open, "/metrics", []string{"Host: rebound.example"}, 403},
		{open, "/metrics", []string{"Origin: https://rebound.example"}, 403},
		{none, "/healthz", nil, 404},
		{none, "/metrics", nil, 404},
	} {
		res := test.rig.send("GET", test.path, "", test.headers...)
		text := body(t, res)
		if res.StatusCode != test.want || test.want == 200 && text != "ops "+test.path {
			t.Errorf("%s %v: %s %q, want %d", test.path, test.headers, res.Status, text, test.want)
		}
	}
}
