package aggregator

import (
	"strings"

	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// restricts reports whether rules say which items of a list of a server are shown.
func (v *view) restricts(server *upstream.Session, l protocol.List) bool {
	return v.namer.Restricts(server.Name(), l)
}

// mayRead reports whether the rules let a client have to do with a URI of a server.
func (v *view) mayRead(server *upstream.Session, uri string) bool {
	return v.namer.Permits(server.Name(), protocol.Resources, uri) == nil
}

// spell returns the params of a request with the name, or URI, as a server knows it. Where there are rules it is
// written as they read it: no other program then reads another name out of the same text.
func (v *view) spell(server *upstream.Session, l protocol.List, params jsonrpc.Raw, name string) jsonrpc.Raw {
	member := "name"
	if l == protocol.Resources {
		member = "uri"
	}
	if was, _ := jsonrpc.GetString(params, member); was == name && !v.restricts(server, l) {
		return params
	}
	return jsonrpc.Set(params, jsonrpc.Quote(name), member)
}

// showsTask reports whether a client may know of a task. Of a server with rules for tools these are the tasks that
// it started with tools that are shown now: nobody knows what another task is for.
func (v *view) showsTask(server *upstream.Session, task owner) bool {
	return !v.restricts(server, protocol.Tools) ||
		task.tool != "" && v.catalog().Permits(server.Name(), protocol.Tools, task.tool) == nil
}

// showsTaskOf is showsTask for what the server calls the task.
func (s *Session) showsTaskOf(v *view, server *upstream.Session, id string) bool {
	if !v.restricts(server, protocol.Tools) {
		return true
	}
	task, ok := s.tasks.of(server, id)
	return ok && v.showsTask(server, task)
}

// noteTask notes which tool a task is for that a call has started.
func (s *Session) noteTask(v *view, m *jsonrpc.Message, server *upstream.Session, result jsonrpc.Raw) {
	if m.Method() != protocol.ToolsCall {
		return
	}
	id, ok := jsonrpc.GetString(result, "task", "taskId")
	if !ok {
		return
	}
	name, _ := jsonrpc.GetString(m.Params(), "name")
	if entry, err := v.catalog().Tool(name); err == nil {
		s.tasks.start(server, id, entry.Name)
	}
}

// mayPass reports whether the rules of a server let a method through that is none of ours: it must not do what
// theirs forbid. Of a list with rules nothing passes that begins with its word, unless it is about a URI that may
// be read.
func (v *view) mayPass(server *upstream.Session, m *jsonrpc.Message) bool {
	if v.restricts(server, protocol.Resources) {
		if jsonrpc.CheckMembers(m.Params(), "uri") != nil {
			return false
		}
		if uri, ok := jsonrpc.GetString(m.Params(), "uri"); ok {
			return v.mayRead(server, uri)
		}
	}
	for _, l := range concerned(m.Method()) {
		if v.restricts(server, l) {
			return false
		}
	}
	return true
}

// concerned returns the lists that a method may be about, whose name is read as generously as anybody would.
func concerned(method string) []protocol.List {
	words := strings.FieldsFunc(strings.ToLower(method), func(r rune) bool { return r < 'a' || r > 'z' })
	if len(words) == 0 {
		return nil
	}
	switch words[0] {
	case "tools", "tasks":
		return []protocol.List{protocol.Tools}
	case "prompts":
		return []protocol.List{protocol.Prompts}
	case "resources":
		return []protocol.List{protocol.Resources}
	case "completion":
		return []protocol.List{protocol.Prompts, protocol.Resources}
	}
	return nil
}

// passOn passes a notification on that is none of ours. A request without an id is none.
func (v *view) passOn(m *jsonrpc.Message) {
	if _, known := methods[m.Method()]; known {
		return
	}
	if server := v.owner(m.Method()); server != nil && v.mayPass(server, m) {
		server.Notify(m.Text())
	}
}
