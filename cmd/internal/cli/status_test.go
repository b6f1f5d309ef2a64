package cli

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/cmd/internal/control"
)

func TestStatusSaysWhatToDo(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	s := control.Status{
		PID: 7, Version: "v1", Config: "/home/me/plait.yaml", Profile: "work", Started: *ago(50 * time.Hour), Generation: 3, Since: *ago(time.Minute),
		Reload: &control.Outcome{At: *ago(5 * time.Second), Cause: "file", Problems: []control.Problem{
			{File: "/home/me/plait.yaml", Line: 2, Column: 5, Path: "mcpServers.a.urll", Problem: "unknown key", Hint: `did you mean "url"?`},
		}},
		Clients: []control.Client{{Name: "desk\x1b[2J", Version: "2025-11-25", Servers: []control.Server{
			{Server: "github", State: "ready", Era: "2025-11-25", Tools: 24, ToolsAll: 51, Identity: "work", Expires: ago(-90 * time.Minute), Since: ago(time.Hour), LatencyMS: 12.4},
			{Server: "jira", State: "parked", Era: "2025-11-25", Tools: 31, ToolsAll: 31, Snapshot: true, Since: ago(2 * time.Second), Error: "401\nand more", Next: "give it credentials in headers, then plait reload", ID: "PLAIT-SRV-003"},
			{Server: "slow", State: "waiting", Retry: ago(-3 * time.Second), Error: "refused", Next: "check its url", ID: "PLAIT-SRV-001"},
			{Server: "lazy", State: "idle", Since: ago(time.Second)},
			{Server: "new", State: "connecting", Since: ago(time.Millisecond)},
		}}, {}},
	}
	const want = `process 7: /home/me/plait.yaml, profile work
plait v1, up 2 days, generation 3 for 1m0s; a reload by file 5s ago changed nothing:
  /home/me/plait.yaml:2:5: mcpServers.a.urll: unknown key; did you mean "url"?
client desk[2J 2025-11-25
SERVER  STATE       ERA         TOOLS   IDENTITY  EXPIRES  SINCE  LATENCY  LAST ERROR  NEXT
github  ready       2025-11-25  24/51   work      2h       1h     12ms     –
jira    parked      2025-11-25  31/31*  –         –        2s     –        401         give it credentials in headers, then plait reload [PLAIT-SRV-003]
slow    waiting     –           –       –         –        –      –        refused     check its url; tried again in 3s [PLAIT-SRV-001]
lazy    idle        –           –       –         –        1s     –        –           connects when it is used
new     connecting  –           –       –         –        1ms    –        –           wait
no client yet
SERVER  STATE  ERA  TOOLS  IDENTITY  EXPIRES  SINCE  LATENCY  LAST ERROR  NEXT
* from a snapshot
`
	var out bytes.Buffer
	describeStatus(&out, s, now)
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("status (-want +got):\n%s", d)
	}
}
