package aggregator

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// The status tells of every client and server, whether a client is there or not.
func TestStatus(t *testing.T) {
	a, b := with(t, "t", echo), with(t, "u", echo)
	var refused atomic.Bool
	refused.Store(true)
	b.Intercept = func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) bool {
		if refused.Load() {
			w.WriteHeader(http.StatusUnauthorized)
		}
		return refused.Load()
	}
	s := plait(t, "mcpServers: {a: {url: $a}, b: {url: $b}, c: {url: 'ftp://x'}}", a, b)
	rest := cmp.Options{
		cmpopts.IgnoreFields(upstream.Status{}, "Since", "Latency", "ID", "Err", "Retry", "Next"),
		cmpopts.IgnoreFields(Status{}, "Since"),
		cmpopts.IgnoreFields(ClientStatus{}, "Since"),
	}
	of := func(server string, state upstream.State, version, prefix string, tools int) ServerStatus {
		return ServerStatus{
			Status: upstream.Status{Server: server, State: state, Version: version}, Prefix: prefix, Tools: tools, ToolsAll: tools,
		}
	}
	check := func(what string, want ...ClientStatus) {
		t.Helper()
		if d := cmp.Diff(want, s.agg.Status().Clients, rest); d != "" {
			t.Errorf("%s (-want +got):\n%s", what, d)
		}
	}
	idle := []ServerStatus{
		of("a", upstream.Idle, "", "a_", 0), of("b", upstream.Idle, "", "b_", 0), of("c", upstream.Misconfigured, "", "c_", 0),
	}
	check("without a client", ClientStatus{Servers: idle})
	c := s.open()
	c.listed()
	now := []ServerStatus{
		of("a", upstream.Ready, latest, "a_", 1), of("b", upstream.Parked, "", "b_", 0), of("c", upstream.Misconfigured, "", "c_", 0),
	}
	check("with a client", ClientStatus{Name: "t", Version: latest, Servers: now})
	s.agg.Open(c)
	check("with another that has said nothing", ClientStatus{Name: "t", Version: latest, Servers: now})
	for _, server := range s.agg.Status().Clients[0].Servers {
		if since := time.Since(server.Since); since < 0 || since > time.Minute {
			t.Errorf("%s: since %s", server.Server, server.Since)
		}
	}
	refused.Store(false)
	s.agg.Retry()
	eventually(t, "the parked server is tried", func() bool {
		return s.agg.Status().Clients[0].Servers[1].State == upstream.Ready
	})
	s.apply("mcpServers: {a: {url: $a}}", a)
	if got := s.agg.Status(); got.Generation != 2 || len(got.Clients[0].Servers) != 1 {
		t.Errorf("after a change: %+v", got)
	}
}
