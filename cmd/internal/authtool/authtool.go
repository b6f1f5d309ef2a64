// Package authtool is the MCP server of the tool plait_auth, by which a client sees who is signed in and gets links
// to sign in.
//
// It is a server inside the process, which plait mounts as it does any other (transport.Local), with the types of mcp-go
// and not with its server: that package compiles JSON schemas when the program starts, which would cost every start of
// plait 6 ms and 1.7 MB. It never opens a browser: the link is for the person to open.
package authtool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/plait-mcp/plait/aggregator"
	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// SignIns is what the tool tells of. *aggregator.Session has it.
type SignIns interface {
	// Identities returns the condition of every identity that a server has.
	Identities(ctx context.Context) []auth.IdentityStatus
	// SignIn returns what to tell a person who is to sign in to a server or as an identity. It takes some seconds at
	// most.
	SignIn(ctx context.Context, name string) (aggregator.SignIn, error)
}

// Server is the server. Any goroutine may use it.
type Server struct {
	signIns SignIns
	version string
}

// New returns the server of a plait of that version.
func New(signIns SignIns, version string) *Server { return &Server{signIns, version} }

// tool describes the tool.
func tool() mcp.Tool {
	return mcp.NewTool(aggregator.LoginTool,
		mcp.WithTitleAnnotation("Sign-ins"),
		mcp.WithDescription("Some tools work only after the user has signed in to their server. Without arguments this "+
			"lists who is signed in where. With a server it returns a link: show it to the user, who opens it in a browser. "+
			"Tools work as soon as the user has signed in."),
		mcp.WithString("server", mcp.Description("The server, or identity, to sign in to.")),
		mcp.WithReadOnlyHintAnnotation(false),
		mcp.WithDestructiveHintAnnotation(false),
		mcp.WithIdempotentHintAnnotation(true),
		mcp.WithOpenWorldHintAnnotation(true),
	)
}

// Handle implements transport.Local.
func (s *Server) Handle(ctx context.Context, message []byte) []byte {
	m, err := jsonrpc.Parse(message)
	if err != nil || m.Kind() != jsonrpc.Request {
		return nil
	}
	result, err := json.Marshal(s.serve(ctx, m))
	if err != nil || string(result) == "null" {
		return jsonrpc.Failure(m.ID(), jsonrpc.Errorf(jsonrpc.CodeMethodNotFound, "%s is not served here", m.Method())).Bytes()
	}
	return jsonrpc.Result(m.ID(), result).Bytes()
}

// serve returns the result of a request, nil for one that is not known.
func (s *Server) serve(ctx context.Context, m *jsonrpc.Message) any {
	switch m.Method() {
	case protocol.Initialize:
		version, _ := jsonrpc.GetString(m.Params(), "protocolVersion")
		result := mcp.InitializeResult{
			ProtocolVersion: protocol.Negotiate(version),
			ServerInfo:      mcp.Implementation{Name: aggregator.LoginTool, Version: s.version},
		}
		result.Capabilities.Tools = &struct {
			ListChanged bool `json:"listChanged,omitempty"`
		}{}
		return result
	case protocol.Ping:
		return struct{}{}
	case protocol.Tools.Method():
		return mcp.ListToolsResult{Tools: []mcp.Tool{tool()}}
	case protocol.ToolsCall:
		if name, _ := jsonrpc.GetString(m.Params(), "arguments", "server"); name != "" {
			return signIn(ctx, s.signIns, name)
		}
		return list(ctx, s.signIns)
	}
	return nil
}

// list tells who is signed in where.
func list(ctx context.Context, signIns SignIns) *mcp.CallToolResult {
	all := signIns.Identities(ctx)
	var b strings.Builder
	for _, i := range all {
		fmt.Fprintf(&b, "%s (%s): %s", i.Identity, strings.Join(i.Servers, ", "), strings.ReplaceAll(string(i.State), "_", " "))
		if i.State == auth.StateNeedsLogin || i.State == auth.StateNeedsStepUp {
			fmt.Fprintf(&b, "; call %s with {\"server\":%q} for a link", aggregator.LoginTool, i.Identity)
		}
		b.WriteString("\n")
	}
	if len(all) == 0 {
		b.WriteString("No server has an identity to sign in as.\n")
	}
	return mcp.NewToolResultStructured(map[string]any{"identities": all}, b.String())
}

// signIn tells how to sign in.
func signIn(ctx context.Context, signIns SignIns, name string) *mcp.CallToolResult {
	needed, err := signIns.SignIn(ctx, name)
	if errors.Is(err, auth.ErrNotNeeded) {
		return mcp.NewToolResultText("No sign-in to " + needed.Server + " is needed now: call its tools.")
	}
	if err != nil {
		text := err.Error()
		if needed.Command != "" {
			text += "\nTry `" + needed.Command + "` in a terminal."
		}
		return mcp.NewToolResultError(text)
	}
	return mcp.NewToolResultStructured(needed, needed.Text())
}
