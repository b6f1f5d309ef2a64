// Package authtool is the MCP server of the tool plait_auth, by which a client sees who is signed in and gets links
// to sign in.
//
// It is an mcp-go server inside the process, which plait mounts as it does any other (transport.Local). It never opens
// a browser: the link is for the person to open.
package authtool

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/plait-mcp/plait/aggregator"
	"github.com/plait-mcp/plait/auth"
)

// SignIns is what the tool tells of. *aggregator.Aggregator has it.
type SignIns interface {
	// Identities returns the condition of every identity that a server has.
	Identities(ctx context.Context) []auth.IdentityStatus
	// SignIn returns what to tell a person who is to sign in to a server or as an identity. It takes some seconds at
	// most.
	SignIn(ctx context.Context, name string) (aggregator.SignIn, error)
}

// Server is the server. Any goroutine may use it.
type Server struct {
	mcp *server.MCPServer
}

// New returns the server of a plait of that version.
func New(signIns SignIns, version string) *Server {
	s := server.NewMCPServer(aggregator.LoginTool, version, server.WithToolCapabilities(false), server.WithRecovery())
	s.AddTool(mcp.NewTool(aggregator.LoginTool,
		mcp.WithTitleAnnotation("Sign-ins"),
		mcp.WithDescription("Some tools work only after the user has signed in to their server. Without arguments this "+
			"lists who is signed in where. With a server it returns a link: show it to the user, who opens it in a browser. "+
			"Tools work as soon as the user has signed in."),
		mcp.WithString("server", mcp.Description("The server, or identity, to sign in to.")),
		mcp.WithReadOnlyHintAnnotation(false),
		mcp.WithDestructiveHintAnnotation(false),
		mcp.WithIdempotentHintAnnotation(true),
		mcp.WithOpenWorldHintAnnotation(true),
	), func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if name := r.GetString("server", ""); name != "" {
			return signIn(ctx, signIns, name), nil
		}
		return list(ctx, signIns), nil
	})
	return &Server{s}
}

// Handle implements transport.Local.
func (s *Server) Handle(ctx context.Context, message []byte) []byte {
	answer := s.mcp.HandleMessage(ctx, message)
	if answer == nil {
		return nil
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil
	}
	return text
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
	if err != nil {
		text := err.Error()
		if needed.Command != "" {
			text += "\nTry `" + needed.Command + "` in a terminal."
		}
		return mcp.NewToolResultError(text)
	}
	return mcp.NewToolResultStructured(needed, needed.Text())
}
