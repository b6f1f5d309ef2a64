package aggregator

import (
	"context"
	"path"

	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// method serves one request of a client. The error becomes the answer (failure).
type method func(s *Session, ctx context.Context, v *view, m *jsonrpc.Message) (jsonrpc.Text, error)

// methods has an entry for every request of the initialize era. Any other method is custom.
var methods = map[string]method{
	protocol.Initialize:         (*Session).initialize,
	protocol.Ping:               (*Session).ping,
	protocol.Tools.Method():     (*Session).list,
	protocol.Prompts.Method():   (*Session).list,
	protocol.Resources.Method(): (*Session).list,
	protocol.Templates.Method(): (*Session).list,
	protocol.ToolsCall:          (*Session).callTool,
	protocol.PromptsGet:         (*Session).getPrompt,
	protocol.ResourcesRead:      (*Session).readResource,
	protocol.Subscribe:          (*Session).subscribe,
	protocol.Unsubscribe:        (*Session).unsubscribe,
	protocol.Complete:           (*Session).complete,
	protocol.SetLevel:           (*Session).setLevel,
	protocol.TasksGet:           (*Session).task,
	protocol.TasksResult:        (*Session).task,
	protocol.TasksCancel:        (*Session).task,
	protocol.TasksList:          (*Session).listTasks,
}

func (s *Session) ping(ctx context.Context, v *view, m *jsonrpc.Message) (jsonrpc.Text, error) {
	if s.agg.bridge && v.begun() {
		return s.custom(ctx, v, m)
	}
	return jsonrpc.Result(m.ID(), jsonrpc.Raw("{}")), nil
}

// custom routes a method that the protocol does not know, as it is.
func (s *Session) custom(ctx context.Context, v *view, m *jsonrpc.Message) (jsonrpc.Text, error) {
	server := v.owner(m.Method())
	if server == nil || !v.mayPass(server, m) {
		return nil, jsonrpc.Errorf(jsonrpc.CodeMethodNotFound, "Method not found: %s", m.Method())
	}
	if err := jsonrpc.CheckMembers(m.Params(), "_meta"); err != nil {
		return nil, invalid(err)
	}
	return s.forward(ctx, v, m, server, m.Params())
}

// owner returns the server that a custom method is for: the only one, or the first whose `methods` name it.
func (v *view) owner(method string) *upstream.Session {
	if v.transparent() && v.begun() {
		return v.servers[0]
	}
	for _, server := range v.servers {
		if serves(server, method) {
			return server
		}
	}
	return nil
}

func serves(server *upstream.Session, method string) bool {
	for _, pattern := range server.Server().Methods {
		if ok, _ := path.Match(pattern, method); ok {
			return true
		}
	}
	return false
}
