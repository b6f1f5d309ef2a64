package aggregator

import (
	"context"
	"fmt"
	"strings"

	"github.com/plait-mcp/plait/aggregator/catalog"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

func (s *Session) callTool(ctx context.Context, v *view, m *jsonrpc.Message) (jsonrpc.Text, error) {
	return s.byItsName(ctx, v, m, protocol.Tools)
}

func (s *Session) getPrompt(ctx context.Context, v *view, m *jsonrpc.Message) (jsonrpc.Text, error) {
	return s.byItsName(ctx, v, m, protocol.Prompts)
}

// byItsName forwards a request whose params.name is the exposed name of a tool or prompt.
func (s *Session) byItsName(
	ctx context.Context, v *view, m *jsonrpc.Message, l protocol.List,
) (jsonrpc.Text, error) {
	params := m.Params()
	if err := jsonrpc.CheckMembers(params, "name", "arguments", "_meta", "task"); err != nil {
		return nil, invalid(err)
	}
	if l == protocol.Tools && v.isLoginTool(m) {
		return s.forward(ctx, v, m, v.login, params)
	}
	if v.transparent() && !v.restricts(v.servers[0], l) {
		return s.forward(ctx, v, m, v.servers[0], params)
	}
	name, ok := jsonrpc.GetString(params, "name")
	if !ok {
		return nil, jsonrpc.Errorf(jsonrpc.CodeInvalidParams, "name must be a string")
	}
	v, entry, err := s.find(ctx, v, l, name)
	if err != nil {
		return nil, err
	}
	server := v.byName[entry.Server]
	return s.forward(ctx, v, m, server, v.spell(server, l, params, entry.Name))
}

// find looks a tool or prompt up, waiting for servers that have not listed theirs yet. It returns the view that
// has it.
func (s *Session) find(ctx context.Context, v *view, l protocol.List, name string) (*view, catalog.Entry, error) {
	var entry catalog.Entry
	v, err := s.until(ctx, v, l, func(c *catalog.Catalog) error {
		var err error
		entry, err = look(c, l, name)
		return err
	})
	if err != nil {
		return v, entry, s.unknown(v, err, name)
	}
	return v, entry, nil
}

func look(c *catalog.Catalog, l protocol.List, name string) (catalog.Entry, error) {
	if l == protocol.Prompts {
		return c.Prompt(name)
	}
	return c.Tool(name)
}

// unknown is the error for a name that nobody has. It says which server that is down the name may belong to, for
// people: nothing is routed by it.
func (s *Session) unknown(v *view, err error, name string) error {
	for _, server := range v.servers {
		status := server.Status()
		if prefix := v.namer.Prefix(server.Name()); status.State != upstream.Ready && status.State != upstream.Idle && strings.HasPrefix(name, prefix) {
			down := &upstream.DownError{Status: status}
			if status.State == upstream.SignIn {
				return down
			}
			return &jsonrpc.Error{
				Code:    jsonrpc.CodeInvalidParams,
				Message: s.agg.redact(fmt.Sprintf("%s (%s)", err, down)),
				Data:    down.Data(),
			}
		}
	}
	return invalid(err)
}
