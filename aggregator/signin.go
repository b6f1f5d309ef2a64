package aggregator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// SignIn is what a client is told about a server that a person has to sign in to first.
type SignIn struct {
	Error    string `json:"error"` // auth_required, or insufficient_scope when the sign-in has not enough rights
	Server   string `json:"server"`
	Identity string `json:"identity"`
	URL      string `json:"url,omitempty"` // a page of plait that leads there; "" when there is none now
	Command  string `json:"command"`       // does the same in a terminal
	ID       string `json:"id,omitempty"`  // of the error: PLAIT-AUTH-nnn

	reason string   // why, a sentence without its end
	scopes []string // what is missing, and all that was asked for before; nil when it is not about scopes
	final  bool     // to sign in once more would not help
	remote bool     // whoever is told is on another machine
}

// signInFor returns what to tell of an error, false when nobody has to sign in because of it.
func signInFor(err error) (SignIn, bool) {
	if e, ok := errors.AsType[*auth.LoginRequiredError](err); ok {
		return SignIn{
			Error: "auth_required", Server: e.Server, Identity: e.Identity, ID: e.ID, Command: "plait auth login " + e.Identity,
			reason: fmt.Sprintf("%s needs a sign-in: %s", e.Server, e.Reason),
		}, true
	}
	if e, ok := errors.AsType[*auth.StepUpRequiredError](err); ok {
		s := SignIn{
			Error: "insufficient_scope", Server: e.Server, Identity: e.Identity, ID: e.ID, Command: "plait auth login " + e.Identity,
			reason: e.Server + " needs more rights for this", scopes: e.Scopes,
		}
		if len(e.Missing) > 0 {
			s.reason += ": " + strings.Join(e.Missing, " ")
		}
		if e.Again {
			s.reason, s.Command, s.final = e.Error(), s.Command+" --force", true
		}
		return s, true
	}
	return SignIn{}, false
}

// Text says it to a person, or to a model that speaks with one.
func (s *SignIn) Text() string {
	where := "in a terminal"
	if s.remote {
		where += " on the machine where plait runs"
	}
	switch {
	case s.final:
		return s.reason
	case s.URL == "":
		return s.reason + ". Run `" + s.Command + "` " + where + ", then call again."
	}
	return s.reason + ". Open " + s.URL + " in a browser, or run `" + s.Command + "` " + where + ", then call again."
}

// data is the data of a JSON-RPC error.
func (s *SignIn) data() jsonrpc.Raw {
	text, _ := json.Marshal(s) //nolint:errchkjson // strings
	return jsonrpc.Set(text, jsonrpc.Quote(upstream.SignIn.String()), "state")
}

// needsSignIn answers a request that came to a server before a person has signed in there. When somebody is at it in
// a browser it waits for them a while, and tries again.
func (s *Session) needsSignIn(ctx context.Context, m *jsonrpc.Message, serve method, needed SignIn) jsonrpc.Text {
	link := s.link(ctx, &needed)
	if link.outlast(ctx, s.now.Load().cfg.Auth.CallWait) {
		answer, err := s.serve(ctx, s.now.Load(), m, serve)
		if err == nil {
			return answer
		}
		again, ok := signInFor(err)
		if !ok && ctx.Err() == nil {
			return s.failure(m, err)
		}
		needed = again
		if link = s.link(ctx, &needed); link != nil && link.superfluous() {
			link = nil
		}
	}
	if ctx.Err() != nil {
		return nil // the client does not wait any more
	}
	return s.askToSignIn(m, needed, link)
}

// askToSignIn answers a request that came to a server before a person has signed in there. What it says depends on
// what the client can do: show a person a link (2025-11-25, elicitation, URL mode), show a model the result of a tool,
// or an error.
func (s *Session) askToSignIn(m *jsonrpc.Message, needed SignIn, link *link) jsonrpc.Text {
	needed.remote = s.visitor.Remote
	if link != nil {
		needed.URL = link.url()
	}
	message := s.agg.redact(needed.Text())
	switch {
	case link != nil && s.showsLinks():
		link.told.Store(true)
		return jsonrpc.Failure(m.ID(), &jsonrpc.Error{
			Code: protocol.CodeURLElicitation, Message: message, Data: needed.elicitation(link.id),
		})
	case m.Method() == protocol.ToolsCall && !carriesTask(m):
		return jsonrpc.Result(m.ID(), s.signInResult(m, message, needed))
	}
	return jsonrpc.Failure(m.ID(), &jsonrpc.Error{Code: jsonrpc.CodeInternal, Message: message, Data: needed.data()})
}

// showsLinks reports whether the client has said that it shows a person links, in the one version where an error may
// ask for that.
func (s *Session) showsLinks() bool {
	hello := s.hello.Load()
	_, ok := jsonrpc.Get(hello.Params, "capabilities", "elicitation", "url")
	return ok && hello.Version == protocol.V20251125
}

// elicitation is the data of the error that asks the client to show the link (2025-11-25,
// URLElicitationRequiredError).
func (s *SignIn) elicitation(id string) jsonrpc.Raw {
	entry := jsonrpc.Raw(`{"mode":"url"}`)
	for _, member := range [][2]string{{"elicitationId", id}, {"url", s.URL}, {"message", s.reason}} {
		entry = jsonrpc.Set(entry, jsonrpc.Quote(member[1]), member[0])
	}
	return jsonrpc.Set(s.data(), jsonrpc.Raw("["+string(entry)+"]"), "elicitations")
}

// signInResult is the result of a tool that could not be called. A tool with an output schema gets no structured
// content: clients hold what there is against the schema.
func (s *Session) signInResult(m *jsonrpc.Message, message string, needed SignIn) jsonrpc.Raw {
	result := jsonrpc.Set(jsonrpc.Raw(`{"content":[{"type":"text"}],"isError":true}`),
		jsonrpc.Raw(`[{"type":"text","text":`+string(jsonrpc.Quote(message))+`}]`), "content")
	name, _ := jsonrpc.GetString(m.Params(), "name")
	for tool := range jsonrpc.Elements(s.now.Load().catalog().List(protocol.Tools)) {
		if own, _ := jsonrpc.GetString(tool, "name"); own != name {
			continue
		}
		if _, ok := jsonrpc.Get(tool, "outputSchema"); ok {
			return result
		}
	}
	return jsonrpc.Set(result, needed.data(), "structuredContent")
}
