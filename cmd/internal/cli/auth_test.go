package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/cmd/internal/control"
	"github.com/plait-mcp/plait/config"
)

// TestJSON documents what --json prints, with every member: others build on it.
func TestJSON(t *testing.T) {
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		value any
		want  string
	}{
		{"auth status", []auth.IdentityStatus{{
			Identity: "work", Implicit: true, Grant: config.GrantAuthorizationCode, State: auth.StateNeedsLogin, Issuer: "https://as.example.com",
			ClientID: "plait", Servers: []string{"github", "jira"}, Account: "me@example.com", Scopes: []string{"repo"}, SignedIn: at,
			Expires: at, Refreshable: true, RefreshEnds: at, Store: "OS keyring", ID: auth.IDExpired, Err: "the sign-in expired",
			Next: "run plait auth login work",
		}, {Identity: "robot", Grant: config.GrantClientCredentials, State: auth.StateReady, Servers: []string{"bot"}, Store: "memory"}}, `
[{"identity":"work","implicit":true,"grant":"authorization_code","state":"needs_login","issuer":"https://as.example.com",
"clientId":"plait","servers":["github","jira"],"account":"me@example.com","scopes":["repo"],"signedIn":"2026-01-31T12:00:00Z",
"expires":"2026-01-31T12:00:00Z","refreshable":true,"refreshExpires":"2026-01-31T12:00:00Z","store":"OS keyring",
"id":"PLAIT-AUTH-002","error":"the sign-in expired","next":"run plait auth login work"},
{"identity":"robot","grant":"client_credentials","state":"ready","servers":["bot"],"refreshable":false,"store":"memory"}]`},
		{"auth explain", []found{{
			Step: "server metadata", URL: "https://as.example.com/.well-known/openid-configuration", Result: "ok", Detail: "issuer", Key: "issuer",
		}, {Step: "sign-in", Result: "missing"}}, `
[{"step":"server metadata","url":"https://as.example.com/.well-known/openid-configuration","result":"ok","detail":"issuer","key":"issuer"},
{"step":"sign-in","result":"missing"}]`},
		{"preflight", []checked{{Server: control.Server{
			Server: "github", State: "needs sign-in", Era: "2025-11-25", Prefix: "github_", Tools: 1, ToolsAll: 2, Snapshot: true, Identity: "work",
			Expires: &at, Since: &at, LatencyMS: 1.5, Retry: &at, Error: "github needs you to sign in", Next: "run plait auth login work", ID: auth.IDSignIn,
		}, Needed: true, OK: false}}, `
[{"server":"github","state":"needs sign-in","era":"2025-11-25","prefix":"github_","tools":1,"toolsAll":2,"snapshot":true,"identity":"work",
"expires":"2026-01-31T12:00:00Z","since":"2026-01-31T12:00:00Z","latencyMs":1.5,"retry":"2026-01-31T12:00:00Z",
"error":"github needs you to sign in","next":"run plait auth login work","id":"PLAIT-AUTH-001","needed":true,"ok":false}]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := encode(&out, tt.value); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(strings.ReplaceAll(tt.want, "\n", ""), strings.TrimSpace(out.String())); d != "" {
				t.Errorf("it prints (-want +got):\n%s", d)
			}
		})
	}
}

// TestAuthStatusSaysWhatToDo shows every state as a person sees it.
func TestAuthStatusSaysWhatToDo(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	describeAccounts(&out, []auth.IdentityStatus{
		{
			Identity: "work", Grant: config.GrantAuthorizationCode, State: auth.StateReady, Issuer: "https://as.example.com/tenant", Account: "me@example.com",
			Servers: []string{"github", "jira"}, Expires: now.Add(90 * time.Minute), Refreshable: true, Store: "OS keyring",
		},
		{Identity: "linear", Grant: config.GrantAuto, State: auth.StateNeedsLogin, Servers: []string{"linear"}, ID: auth.IDSignIn, Next: "plait auth login linear"},
		{Identity: "open", Grant: config.GrantAuto, State: auth.StateAnonymous, Servers: []string{"open"}},
		{Identity: "robot", Grant: config.GrantClientCredentials, State: auth.StateUnavailable, Servers: []string{"bot"}, Err: "503\nand more", Expires: now.Add(-time.Second)},
	}, now)
	const want = `IDENTITY  STATE        GRANT               AT              ACCOUNT         SERVERS       EXPIRES      NEXT
work      ready        authorization_code  as.example.com  me@example.com  github, jira  2h, renewed
linear    needs login  auto                –               –               linear        –            plait auth login linear [PLAIT-AUTH-001]
open      anonymous    auto                –               –               open          –
robot     unavailable  client_credentials  –               –               bot           0s
robot: 503
kept in: OS keyring
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("auth status (-want +got):\n%s", d)
	}
}
