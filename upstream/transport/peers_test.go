package transport

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

type hello struct {
	Name string `json:"name"`
}

// Servers of both Go SDKs over both wires are found with the default order and serve a call.
func TestPeers(t *testing.T) {
	own := server.NewMCPServer("mcp-go", "1", server.WithToolCapabilities(true))
	own.AddTool(mcp.NewTool("hello", mcp.WithString("name")),
		func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return mcp.NewToolResultText("hello " + r.GetString("name", "")), nil
		})
	official := sdk.NewServer(&sdk.Implementation{Name: "go-sdk", Version: "1"}, nil)
	sdk.AddTool(official, &sdk.Tool{Name: "hello"},
		func(_ context.Context, _ *sdk.CallToolRequest, in hello) (*sdk.CallToolResult, any, error) {
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "hello " + in.Name}}}, nil, nil
		})
	always := func(*http.Request) *sdk.Server { return official }
	for _, peer := range []struct {
		name    string
		handler http.Handler
		want    string
	}{
		{"mcp-go/http", server.NewStreamableHTTPServer(own), "*transport.httpConn"},
		{"mcp-go/sse", server.NewSSEServer(own, server.WithSSEEndpoint("/mcp")), "*transport.sseConn"},
		{"go-sdk/http", sdk.NewStreamableHTTPHandler(always, nil), "*transport.httpConn"},
		{"go-sdk/json", sdk.NewStreamableHTTPHandler(always, &sdk.StreamableHTTPOptions{JSONResponse: true}), "*transport.httpConn"},
		{"go-sdk/stateless", sdk.NewStreamableHTTPHandler(always, &sdk.StreamableHTTPOptions{Stateless: true}), "*transport.httpConn"},
		{"go-sdk/sse", sdk.NewSSEHandler(always, nil), "*transport.sseConn"},
	} {
		t.Run(peer.name, func(t *testing.T) {
			s := httptest.NewServer(peer.handler)
			defer s.Close()
			e := newEar()
			o := options(t, s.URL+"/mcp", e)
			o.Server.Transport = config.HTTPFirst
			conn, answer, err := Open(t.Context(), o, "1", jsonrpc.NewRequest("1", "initialize", jsonrpc.Raw(
				`{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}`)))
			if err != nil || answer.Error() != nil {
				t.Fatalf("Open() = %v, %v", answer, err)
			}
			r := &rig{Conn: conn, t: t, url: s.URL, ear: e}
			defer r.close()
			if got := fmt.Sprintf("%T", conn); got != peer.want {
				t.Errorf("the wire is %s, want %s", got, peer.want)
			}
			r.listen()
			for i := range int64(3) {
				id := jsonrpc.Int(2 + i)
				m, err := r.Call(t.Context(), id, jsonrpc.NewRequest(id, "tools/call",
					jsonrpc.Raw(fmt.Sprintf(`{"name":"hello","arguments":{"name":"n%d"}}`, i))))
				if err != nil || !strings.Contains(string(m.Result()), fmt.Sprintf(`"hello n%d"`, i)) {
					t.Errorf("Call() = %v, %v", m, err)
				}
			}
		})
	}
}
