package aggregator

import (
	"context"
	"fmt"
	"strings"

	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// superset is what plait declares without asking anybody: a server that comes later must find its
// capabilities declared, and what no server has is answered with empty lists.
const superset = `{"tools":{"listChanged":true},"prompts":{"listChanged":true},` +
	`"resources":{"subscribe":true,"listChanged":true},"completions":{},"logging":{}`

const superset25c = superset + `,"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}`

// initialize answers at once, and only the client's next message starts the sessions with the servers: some
// clients start a second process just to look. A single server whose names pass unchanged is waited for,
// within startup.wait, so that its capabilities and instructions pass too; one that is late or down has those
// of the snapshot.
func (s *Session) initialize(ctx context.Context, v *view, m *jsonrpc.Message) (jsonrpc.Text, error) {
	if err := jsonrpc.CheckMembers(m.Params(), "protocolVersion", "capabilities", "clientInfo", "_meta"); err != nil {
		return nil, invalid(err)
	}
	offered, ok := jsonrpc.GetString(m.Params(), "protocolVersion")
	if !ok {
		return nil, jsonrpc.Errorf(jsonrpc.CodeInvalidParams, "protocolVersion must be a string")
	}
	hello := upstream.Hello{Params: m.Params(), Version: protocol.Negotiate(offered)}
	if hello.Version != offered {
		hello.Params = jsonrpc.Set(hello.Params, jsonrpc.Quote(hello.Version), "protocolVersion")
	}
	if !s.hello.CompareAndSwap(nil, &hello) {
		return nil, jsonrpc.Errorf(jsonrpc.CodeInvalidRequest, "the session is initialized already")
	}
	if s.agg.bridge {
		return s.introduce(ctx, m, hello)
	}
	return jsonrpc.Result(m.ID(), s.welcome(ctx, v, hello)), nil
}

// begin opens the sessions with the servers, once, and returns the view with them.
func (s *Session) begin() *view {
	s.agg.swap.RLock()
	defer s.agg.swap.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	v, hello := s.now.Load(), s.hello.Load()
	if hello == nil || v.begun() || s.closed {
		return v
	}
	return s.replace(func(next *view) {
		next.generation = s.agg.now.Load().of(s.visitor.Profile)
		next.serve(s.agg.servers.Open(s, *hello, next.cfg.Servers))
		if s.agg.loginTool != nil {
			next.login = s.agg.servers.OpenLocal(s, *hello, s.agg.loginTool(s))
		}
	})
}

// welcome makes the result of initialize.
func (s *Session) welcome(ctx context.Context, v *view, hello upstream.Hello) jsonrpc.Raw {
	info := jsonrpc.Raw(fmt.Sprintf(`{"name":"plait","version":%s}`, jsonrpc.Quote(s.agg.version)))
	if v.transparent() {
		v = s.begin() //nolint:contextcheck // the sessions outlive the request
	}
	if v.transparent() && v.begun() {
		ctx, cancel := context.WithTimeout(ctx, v.cfg.Startup.Wait)
		defer cancel()
		only := v.servers[0]
		_ = only.AwaitSettled(ctx) // too late is as good as down
		if result := only.Remembered(); result != nil {
			result = jsonrpc.Set(result, jsonrpc.Quote(hello.Version), "protocolVersion")
			return jsonrpc.Set(result, info, "serverInfo")
		}
	}
	capabilities := superset + "}"
	if hello.Version >= protocol.V20251125 {
		capabilities = superset25c + "}"
	}
	result := jsonrpc.Raw(fmt.Sprintf(`{"protocolVersion":%q,"capabilities":%s,"serverInfo":%s}`, hello.Version, capabilities, info))
	if text := s.agg.guide(v.generation, hello); text != "" {
		result = jsonrpc.Set(result, jsonrpc.Quote(text), "instructions")
	}
	return result
}

// guide merges the instructions of the servers that were connected before, by this process or an earlier one,
// each under a heading.
func (a *Aggregator) guide(g *generation, hello upstream.Hello) string {
	var b strings.Builder
	for _, server := range g.cfg.Servers {
		text := a.instruction(server.Name, hello)
		if text == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\n\n")
		}
		b.WriteString("# " + server.Name)
		if prefix := g.namer.Prefix(server.Name); prefix != "" {
			b.WriteString("\nNames of tools and prompts of this server start with `" + prefix + "`.")
		}
		b.WriteString("\n\n" + text)
	}
	return b.String()
}

// instruction returns the instructions of a server as they were last, "" if there are none.
func (a *Aggregator) instruction(server string, hello upstream.Hello) string {
	a.mu.Lock()
	text, ok := a.instructions[server]
	a.mu.Unlock()
	if !ok {
		text = a.servers.Instructions(server, hello)
	}
	return text
}

// remember keeps the instructions of a server for the next client.
func (a *Aggregator) remember(server *upstream.Session) {
	hello := server.Hello()
	if hello == nil {
		return
	}
	text, _ := jsonrpc.GetString(hello, "instructions")
	a.mu.Lock()
	defer a.mu.Unlock()
	a.instructions[server.Name()] = text
}
