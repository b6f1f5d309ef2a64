package aggregator

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// LoginTool is the name of the tool of Options.LoginTool.
const LoginTool = "plait_auth"

// offersSignIn reports whether a server of the view needs a sign-in, so that the login tool is worth its place in the
// list.
func (v *view) offersSignIn() bool {
	return v.login != nil && v.cfg.Auth.LoginTool && slices.ContainsFunc(v.servers, func(server *upstream.Session) bool {
		return server.Status().State == upstream.SignIn
	})
}

// hasTool reports whether a server has a tool that the client knows by this name.
func (v *view) hasTool(name string) bool {
	for entry := range v.catalog().Entries(protocol.Tools) {
		if entry.Exposed == name {
			return true
		}
	}
	return false
}

// isLoginTool reports whether a call is for the login tool, which a client may know from a list that is not the latest.
func (v *view) isLoginTool(m *jsonrpc.Message) bool {
	if v.login == nil || !v.cfg.Auth.LoginTool {
		return false
	}
	name, _ := jsonrpc.GetString(m.Params(), "name")
	return name == LoginTool && !v.hasTool(name)
}

// list returns the merged list as the client is shown it: that of the servers, and the login tool.
func (v *view) list(l protocol.List) jsonrpc.Raw {
	all := v.catalog().List(l)
	if l != protocol.Tools || !v.offersSignIn() || v.hasTool(LoginTool) {
		return all
	}
	v.login.Want(l)
	for _, tool := range v.login.List(l).Items {
		all = slices.Concat(all[:len(all)-1], separator(all), tool, []byte("]"))
	}
	return all
}

// separator is what stands before one more element of an array.
func separator(array jsonrpc.Raw) []byte {
	for range jsonrpc.Elements(array) {
		return []byte(",")
	}
	return nil
}

// awaitLogin waits until the login tool is known, if it is needed.
func (v *view) awaitLogin(ctx context.Context, l protocol.List) {
	if l == protocol.Tools && v.offersSignIn() {
		v.login.Want(l)
		_ = v.login.Await(ctx, l) // too late is as good as down
	}
}

// Identities returns who plait is to the servers that the client has.
func (s *Session) Identities(ctx context.Context) []auth.IdentityStatus {
	if s.agg.auth == nil {
		return nil
	}
	return s.agg.auth.Status(ctx, s.now.Load().cfg.Servers)
}

// SignIn starts a sign-in to a server, by its name or that of its identity, and returns what to tell the person; it
// joins one that is under way. It waits some seconds at most; then there is no link, only the command, as there is for a
// client that no link would lead anywhere. The error is auth.ErrNotNeeded when there is nothing to sign in to, as
// after somebody has just done so: the server is back then, or is down.
func (s *Session) SignIn(ctx context.Context, name string) (SignIn, error) {
	a, v := s.agg, s.now.Load()
	servers := v.cfg.Servers
	i := slices.IndexFunc(servers, func(s *config.Server) bool {
		return s.Identity != nil && (s.Name == name || s.Identity.Name == name)
	})
	if i < 0 || a.auth == nil {
		return SignIn{}, fmt.Errorf("no server or identity is called %s", name)
	}
	needed := SignIn{
		Error: "auth_required", Server: servers[i].Name, Identity: servers[i].Identity.Name,
		Command: "plait auth login " + servers[i].Identity.Name, reason: "Sign in to " + servers[i].Name, remote: s.visitor.Remote,
	}
	if !s.follows() {
		return needed, nil
	}
	bounded, cancel := context.WithTimeout(ctx, linkPatience)
	defer cancel()
	server, tries := v.byName[needed.Server], 0
	if server != nil { // it is in the client's profile
		tries = server.Tries()
	}
	started, err := a.auth.Begin(bounded, servers[i], auth.BeginOptions{})
	switch {
	case err == nil:
		needed.URL = started.Link()
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
	case errors.Is(err, auth.ErrNotNeeded):
		if server != nil {
			awaitReturn(bounded, server, tries)
		}
		return needed, err
	default:
		return needed, err
	}
	return needed, nil
}
