package aggregator

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/auth/authtest"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/transport"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

// keyed is a strand whose servers a, b, … stand behind a real authorization server.
type keyed struct {
	*strand

	manager *auth.Manager
	cfg     *config.Config
}

// guard starts an authorization server in front of MCP servers.
func guard(t *testing.T, servers ...*upstreamtest.Server) []*authtest.Guarded {
	t.Helper()
	return guardWith(t, nil, servers...)
}

// guardWith is guard with settings of the authorization server.
func guardWith(t *testing.T, env []string, servers ...*upstreamtest.Server) []*authtest.Guarded {
	t.Helper()
	var all []http.Handler
	for _, s := range servers {
		all = append(all, s)
	}
	return authtest.GuardAll(t, all, env...)
}

// guardedPlait returns a plait of its own, as in a process, with snapshots and sign-ins in the folder dir.
func guardedPlait(t *testing.T, dir, yaml string, front ...*authtest.Guarded) *keyed {
	t.Helper()
	for i, g := range front {
		yaml = strings.ReplaceAll(yaml, "$"+string(rune('a'+i)), g.URL)
	}
	if !strings.Contains(yaml, "callWait") {
		yaml += "\nauth: {callback: {port: 0}, callWait: 0s}\n"
	}
	cfg := configured(t, yaml)
	log := &record{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log:\n%s", strings.Join(log.lines(), ""))
		}
	})
	logger := hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Debug})
	kept, err := store.Open(store.Options{Dir: dir + "/auth", Credentials: config.Credentials{Store: "file"}, Log: logger.Named("store")})
	if err != nil {
		t.Fatal(err)
	}
	manager := auth.NewManager(t.Context(), auth.Options{Store: kept, Auth: cfg.Auth, Version: "test", Log: logger.Named("auth")})
	agg := New(t.Context(), cfg, Options{
		Version: "test", Log: logger, Auth: manager, LoginTool: loginTool,
		Snapshots: upstream.OpenSnapshots(dir+"/snapshots", time.Hour, logger),
	})
	t.Cleanup(func() {
		agg.Close()
		manager.Close()
		_ = kept.Close()
	})
	return &keyed{&strand{t: t, agg: agg, log: log}, manager, cfg}
}

// signIn signs a person in by a link of plait, as a browser does: the page, the button, and all that follows.
func signIn(t *testing.T, link string) string {
	t.Helper()
	page := authtest.Visit(t, link)
	if !strings.Contains(page, "/go") {
		t.Fatalf("the page has no way on:\n%s", page)
	}
	page = authtest.Visit(t, link+"/go")
	if !strings.Contains(page, "Signed in") {
		t.Fatalf("the sign-in ended with\n%s", page[max(0, strings.Index(page, "<main")):])
	}
	return page
}

// loginTool is an mcp-go server with the tool.
func loginTool(*Session) transport.Local {
	s := server.NewMCPServer("t", "1", server.WithToolCapabilities(false))
	s.AddTool(mcp.NewTool(LoginTool), func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText("told"), nil
	})
	return local(func(ctx context.Context, message []byte) []byte {
		answer, err := json.Marshal(s.HandleMessage(ctx, message))
		if err != nil {
			return nil
		}
		return answer
	})
}

type local func(ctx context.Context, message []byte) []byte

// Handle implements transport.Local.
func (l local) Handle(ctx context.Context, message []byte) []byte { return l(ctx, message) }

// oneOfEach returns a server with a tool, a prompt and a resource.
func oneOfEach(name string) *upstreamtest.Server {
	return (&upstreamtest.Server{
		Handle: echo,
		Results: map[string]string{
			"tools/list": tools(name), "prompts/list": `{"prompts":[{"name":"` + name + `"}]}`,
			"resources/list": `{"resources":[{"uri":"x://` + name + `","name":"r"}]}`,
		},
	}).Make()
}

// noLinks is a client that cannot show links.
const noLinks = `{"elicitation":{"form":{}}}`

// told is what a client was told of a sign-in, in whatever way.
type told struct {
	Error, Server, Identity, URL, Command, ID string
	Elicitations                              []struct{ Mode, ElicitationID, URL, Message string }
}

func readTold(t *testing.T, raw jsonrpc.Raw) told {
	t.Helper()
	var got told
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return got
}

// ask calls a tool that needs a sign-in and returns the link that the client is given in its result.
func (s *keyed) ask(c *client, tool, identity string) string {
	s.t.Helper()
	result := jsonrpc.Raw(c.result("tools/call", `{"name":"`+tool+`"}`))
	structured, _ := jsonrpc.Get(result, "structuredContent")
	got := readTold(s.t, structured)
	texts, _ := jsonrpc.Get(result, "content")
	text := string(texts)
	isError, _ := jsonrpc.Get(result, "isError")
	for _, want := range []string{got.URL, "plait auth login " + identity} {
		if !strings.Contains(text, want) {
			s.t.Errorf("the text does not say %s: %s", want, text)
		}
	}
	if got.Identity != identity || !strings.HasPrefix(got.URL, "http://127.0.0.1:") || string(isError) != "true" ||
		!strings.Contains(got.URL, "/connect/") || !strings.HasPrefix(got.ID, "PLAIT-AUTH-") {
		s.t.Fatalf("the result is %s", result)
	}
	return got.URL
}
