package main_test

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

var listening = regexp.MustCompile(`listening.*url=(https?://[^/\s"]+)`)

// listen starts a plait that serves over HTTP and returns the URL of its root.
func listen(tb testing.TB, env []string, args ...string) (base string, p *faultClient) {
	tb.Helper()
	p = startPlait(tb, env, args...)
	tb.Cleanup(func() { _ = p.in.Close() })
	until(tb, "the listener", func() bool {
		if found := listening.FindStringSubmatch(p.said(tb)); found != nil {
			base = found[1]
		}
		return base != ""
	})
	return base, p
}

// comeIn initializes a client and returns its tools and what echo says.
func comeIn(tb testing.TB, c *client.Client, err error) *client.Client {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	if err := c.Start(context.WithoutCancel(tb.Context())); err != nil {
		tb.Fatal(err)
	}
	var hello mcp.InitializeRequest
	hello.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	hello.Params.ClientInfo = mcp.Implementation{Name: "mcp-go", Version: "1"}
	if _, err := c.Initialize(tb.Context(), hello); err != nil {
		tb.Fatal(err)
	}
	return c
}

func overHTTP(tb testing.TB, url string) *client.Client {
	tb.Helper()
	c, err := client.NewStreamableHttpClient(url)
	return comeIn(tb, c, err)
}

func overSSE(tb testing.TB, url string) *client.Client {
	tb.Helper()
	c, err := client.NewSSEMCPClient(url)
	return comeIn(tb, c, err)
}

// echoes expects the tools of the story, and an echo.
func echoes(tb testing.TB, c *client.Client, text string) {
	tb.Helper()
	list, err := c.ListTools(tb.Context(), mcp.ListToolsRequest{})
	if err != nil {
		tb.Fatal(err)
	}
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	if d := cmp.Diff(story, names); d != "" {
		tb.Errorf("tools (-want +got):\n%s", d)
	}
	var r mcp.CallToolRequest
	r.Params.Name, r.Params.Arguments = "echo", map[string]any{"text": text}
	got, err := c.CallTool(tb.Context(), r)
	if err != nil || len(got.Content) != 1 {
		tb.Fatalf("%+v %v", got, err)
	}
	if said, ok := got.Content[0].(mcp.TextContent); !ok || said.Text != text {
		tb.Errorf("echo says %+v", got.Content)
	}
}

// parityListen is `--listen`: GET /sse with POST /message, and /mcp.
func parityListen(t *testing.T) {
	t.Helper()
	r := serveRemote(t, nil)
	base, p := listen(t, nil, "connect", r.mcp(), "--listen", "127.0.0.1:0")
	echoes(t, overSSE(t, base+"/sse"), "over SSE")
	echoes(t, overHTTP(t, base+"/mcp"), "over HTTP")
	if ids := r.header("Mcp-Session-Id"); len(ids) != 3 {
		t.Errorf("sessions %q, want none in initialize and one for each client", ids)
	}
	if err := p.in.Close(); err != nil { // nobody uses it
		t.Error(err)
	}
	echoes(t, overSSE(t, base+"/sse"), "still there")
	refuses(t, nil, []string{r.mcp(), "-l", "nowhere"}, "--listen")
	refuses(t, nil, []string{r.mcp(), "-l", "0.0.0.0:0"}, "--insecure")
}

// parityShared has many clients of a listener share one connection to the server.
func parityShared(t *testing.T) {
	t.Helper()
	r := serveRemote(t, nil)
	base, _ := listen(t, nil, "connect", r.mcp(), "-l", ":0", "--shared")
	for range 5 {
		echoes(t, overSSE(t, base+"/sse"), "shared")
		echoes(t, overHTTP(t, base+"/mcp"), "shared")
	}
	if ids := r.header("Mcp-Session-Id"); len(ids) != 2 || r.count("initialize") != 1 {
		t.Errorf("sessions %q, %d times initialize; want one", ids, r.count("initialize"))
	}
}

// TestA22NoPassthrough has a client show credentials of its own: no server gets anything of them.
func TestA22NoPassthrough(t *testing.T) {
	t.Parallel()
	short(t)
	r := serveRemote(t, nil)
	base, _ := listen(t, nil, "connect", r.mcp(), "--listen", ":0", "--header", "Authorization: Bearer of-plait")
	c, err := client.NewStreamableHttpClient(base+"/mcp", transport.WithHTTPHeaders(map[string]string{
		"Authorization": "Bearer of-the-client", "Cookie": "session=of-the-client", "X-Api-Key": "of-the-client",
	}))
	echoes(t, comeIn(t, c, err), "over HTTP")
	if got := r.header("Authorization"); !cmp.Equal(got, []string{"Bearer of-plait"}) {
		t.Errorf("the server got the credentials %q", got)
	}
	for _, name := range []string{"Cookie", "X-Api-Key"} {
		if got := r.header(name); !cmp.Equal(got, []string{""}) {
			t.Errorf("the server got %s %q", name, got)
		}
	}
}

// TestServeHTTP serves clients over HTTP beside one on standard input and output, and ends with that one.
func TestServeHTTP(t *testing.T) {
	t.Parallel()
	short(t)
	file := jsonFile(t, map[string]any{
		"mcpServers": map[string]any{"story": map[string]any{"url": serveRemote(t, nil).mcp(), "prefix": ""}},
		"serve":      map[string]any{"http": map[string]any{"listen": ":0", "path": "/strand", "auth": map[string]any{"bearer": "${TOKEN}"}}},
	})
	base, p := listen(t, []string{"TOKEN=hunter2-hunter2", "PLAIT_LOG=trace"}, "serve", "--config", file)
	go p.read()
	p.hello(t)
	p.echo(t, "over stdio")
	for token, status := range map[string]int{"": 401, "Bearer hunter": 401, "Bearer hunter2-hunter2": 400} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/strand", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode != status {
			t.Errorf("token %q: %s, want %d", token, res.Status, status)
		}
	}
	p.quit(t)
	if strings.Contains(p.said(t), "hunter2") {
		t.Error("the log holds the token")
	}
}
