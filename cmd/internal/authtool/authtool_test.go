package authtool_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plait-mcp/plait/aggregator"
	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/auth/authtest"
	"github.com/plait-mcp/plait/cmd/internal/authtool"
	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/transport"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client is a client of plait.
type client struct {
	t       *testing.T
	session *aggregator.Session
	last    int

	mu   sync.Mutex
	told map[string]int // notifications, by method
	news chan struct{}
}

// Send implements jsonrpc.Sender.
func (c *client) Send(_ jsonrpc.ID, t jsonrpc.Text) error {
	m, err := jsonrpc.Parse(bytes.Clone(t.Bytes()))
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told[m.Method()]++
	close(c.news)
	c.news = make(chan struct{})
	return nil
}

// await waits for n notifications.
func (c *client) await(method string, n int) {
	c.t.Helper()
	hung := time.After(30 * time.Second)
	for {
		c.mu.Lock()
		got, news := c.told[method], c.news
		c.mu.Unlock()
		if got >= n {
			return
		}
		select {
		case <-news:
		case <-hung:
			c.t.Fatalf("%d of %d notifications %s came", got, n, method)
		}
	}
}

func (c *client) call(method, params string) *jsonrpc.Message {
	c.t.Helper()
	c.last++
	request, err := jsonrpc.Parse(jsonrpc.NewRequest(jsonrpc.Int(int64(c.last)), method, jsonrpc.Raw(params)).Bytes())
	if err != nil {
		c.t.Fatal(err)
	}
	answer, err := jsonrpc.Parse(bytes.Clone(c.session.Request(c.t.Context(), request).Bytes()))
	if err != nil {
		c.t.Fatal(err)
	}
	return answer
}

// tool calls plait_auth and returns its text and its structured content.
func (c *client) tool(arguments string) (string, jsonrpc.Raw) {
	c.t.Helper()
	result := c.call("tools/call", `{"name":"plait_auth","arguments":`+arguments+`}`).Result()
	contents, _ := jsonrpc.Get(result, "content")
	structured, _ := jsonrpc.Get(result, "structuredContent")
	for content := range jsonrpc.Elements(contents) {
		text, _ := jsonrpc.GetString(content, "text")
		return text, structured
	}
	c.t.Fatalf("no text in %s", result)
	return "", nil
}

// tools returns the names of all tools.
func (c *client) tools() []string {
	c.t.Helper()
	list, _ := jsonrpc.Get(c.call("tools/list", `{}`).Result(), "tools")
	var names []string
	for tool := range jsonrpc.Elements(list) {
		name, _ := jsonrpc.GetString(tool, "name")
		names = append(names, name)
	}
	return names
}

// open returns a client of a plait with one server, which stands behind an authorization server.
func open(t *testing.T, settings string) (*client, *authtest.Guarded) {
	t.Helper()
	mcp := (&upstreamtest.Server{Results: map[string]string{
		"tools/list": `{"tools":[{"name":"t","inputSchema":{"type":"object"}}]}`, "tools/call": `{"content":[]}`,
	}}).Make()
	front := authtest.GuardAll(t, []http.Handler{mcp})[0]
	cfg, err := config.Parse(t.Context(), "plait.yaml", fmt.Appendf(nil,
		"mcpServers: {github: {url: %s}}\nauth: {callback: {port: 0}%s}\n", front.URL, settings), config.Options{LookupEnv: func(string) (string, bool) { return "", false }})
	if err != nil {
		t.Fatal(err)
	}
	manager := auth.NewManager(t.Context(), auth.Options{Auth: cfg.Auth})
	agg := aggregator.New(t.Context(), cfg, aggregator.Options{
		Auth: manager, LoginTool: func(s *aggregator.Session) transport.Local { return authtool.New(s, "test") },
	})
	t.Cleanup(func() {
		agg.Close()
		manager.Close()
	})
	c := &client{t: t, told: map[string]int{}, news: make(chan struct{})}
	c.session = agg.Open(c)
	c.call("initialize", `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}`)
	return c, front
}

// The tool is there as long as somebody has to sign in, tells who has to, gives the link, and sees when it is done.
func TestTool(t *testing.T) {
	c, front := open(t, "")
	if got := c.tools(); !slices.Equal(got, []string{"plait_auth"}) {
		t.Fatalf("tools %q", got)
	}
	text, states := c.tool(`{}`)
	if !strings.Contains(text, "github (github): needs login; call plait_auth with {\"server\":\"github\"} for a link") {
		t.Errorf("the states are %s", text)
	}
	if !strings.Contains(string(states), `"state":"needs_login"`) {
		t.Errorf("the states are %s", states)
	}
	text, structured := c.tool(`{"server":"github"}`)
	link, _ := jsonrpc.GetString(structured, "url")
	if !strings.Contains(text, link) || !strings.Contains(link, "/connect/") || !strings.Contains(text, "plait auth login github") {
		t.Fatalf("to sign in: %s", text)
	}
	if again, _ := c.tool(`{"server":"github"}`); again != text {
		t.Errorf("asked once more it says %s, not %s", again, text)
	}
	authtest.Visit(t, link+"/go")
	if text, _ := c.tool(`{"server":"github"}`); text != "No sign-in to github is needed now: call its tools." {
		t.Errorf("after the sign-in it says %s", text)
	}
	c.await("notifications/tools/list_changed", 1)
	for hung := time.Now().Add(30 * time.Second); !slices.Equal(c.tools(), []string{"github_t"}); {
		if time.Now().After(hung) {
			t.Fatalf("tools %q", c.tools())
		}
	}
	if text, _ := c.tool(`{}`); !strings.Contains(text, "github (github): ready\n") {
		t.Errorf("the states are %s", text)
	}
	if got := front.Stats(t); got.Authorize != 1 || got.Register != 1 {
		t.Errorf("stats %+v", got)
	}
}

// What it is asked for must be there.
func TestUnknownServer(t *testing.T) {
	c, _ := open(t, "")
	c.tools()
	if text, _ := c.tool(`{"server":"gitlab"}`); !strings.Contains(text, "no server or identity is called gitlab") {
		t.Errorf("it says %s", text)
	}
}

// It can be switched off.
func TestSwitchedOff(t *testing.T) {
	c, _ := open(t, ", loginTool: false")
	if got := c.tools(); len(got) != 0 {
		t.Errorf("tools %q", got)
	}
	if e := c.call("tools/call", `{"name":"plait_auth"}`).Error(); e == nil || e.Code != jsonrpc.CodeInvalidParams {
		t.Errorf("a call of it: %v", e)
	}
}
