package aggregator

import (
	"context"

	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

const relatedTask = protocol.MetaPrefix + "related-task"

// carriesTask reports whether the answer to a request may name a task that is new to us.
func carriesTask(m *jsonrpc.Message) bool {
	switch m.Method() {
	case protocol.TasksGet, protocol.TasksResult, protocol.TasksCancel:
		return true
	}
	_, ok := jsonrpc.Get(m.Params(), "task")
	return ok
}

// exposeTasks writes the ids of tasks in a result as the client knows them.
func (s *Session) exposeTasks(server *upstream.Session, method string, result jsonrpc.Raw) jsonrpc.Raw {
	result = s.exposeTask(server, result, "task", "taskId")
	if method == protocol.TasksGet || method == protocol.TasksCancel {
		result = s.exposeTask(server, result, "taskId")
	}
	return s.exposeTask(server, result, "_meta", relatedTask, "taskId")
}

func (s *Session) exposeTask(server *upstream.Session, text jsonrpc.Raw, path ...string) jsonrpc.Raw {
	return exposeAt(s.tasks, server, text, path...)
}

// exposeAt writes the identifier at a path as the client knows it.
func exposeAt(table *owners, server *upstream.Session, text jsonrpc.Raw, path ...string) jsonrpc.Raw {
	id, ok := jsonrpc.GetString(text, path...)
	if !ok {
		return text
	}
	if exposed := table.expose(server, id); exposed != id {
		return jsonrpc.Set(text, jsonrpc.Quote(exposed), path...)
	}
	return text
}

// task forwards tasks/get, tasks/result and tasks/cancel to the server whose task it is.
func (s *Session) task(ctx context.Context, m *jsonrpc.Message) (jsonrpc.Text, error) {
	params := m.Params()
	if err := jsonrpc.CheckMembers(params, "taskId", "_meta"); err != nil {
		return nil, invalid(err)
	}
	id, ok := jsonrpc.GetString(params, "taskId")
	if !ok {
		return nil, jsonrpc.Errorf(jsonrpc.CodeInvalidParams, "taskId must be a string")
	}
	if s.agg.alone() {
		return s.forward(ctx, m, s.all()[0], params)
	}
	to, ok := s.tasks.find(id)
	if !ok {
		return nil, jsonrpc.Errorf(jsonrpc.CodeInvalidParams, "unknown task %s", id)
	}
	if to.name != id {
		params = jsonrpc.Set(params, jsonrpc.Quote(to.name), "taskId")
	}
	if _, ok := jsonrpc.Get(params, "_meta", relatedTask, "taskId"); ok {
		params = jsonrpc.Set(params, jsonrpc.Quote(to.name), "_meta", relatedTask, "taskId")
	}
	return s.forward(ctx, m, to.server, params)
}

// listTasks merges the tasks of the servers that list theirs.
func (s *Session) listTasks(ctx context.Context, m *jsonrpc.Message) (jsonrpc.Text, error) {
	if s.agg.alone() {
		return s.forward(ctx, m, s.all()[0], m.Params())
	}
	if _, ok := jsonrpc.Get(m.Params(), "cursor"); ok {
		return nil, jsonrpc.Errorf(jsonrpc.CodeInvalidParams, "unknown cursor: plait gave none")
	}
	all := jsonrpc.Raw("[")
	for _, server := range s.all() {
		if !server.Can("tasks", "list") {
			continue
		}
		items, err := server.Tasks(ctx)
		if err != nil {
			s.log.Warn("a list could not be read", "server", server.Name(), "list", "tasks", "err", err)
		}
		for _, item := range items {
			if len(all) > 1 {
				all = append(all, ',')
			}
			all = append(all, s.exposeTask(server, item, "taskId")...)
		}
	}
	return jsonrpc.Result(m.ID(), jsonrpc.Set(jsonrpc.Raw("{}"), append(all, ']'), "tasks")), nil
}

// clientTaskOf notes that the client answered a server's request with a task of its own.
func (s *Session) clientTaskOf(server *upstream.Session, answer *jsonrpc.Message) {
	if id, ok := jsonrpc.GetString(answer.Result(), "task", "taskId"); ok {
		s.mu.Lock()
		s.answered[id] = server
		s.mu.Unlock()
	}
}

// clientTask passes the status of a task of the client on to the server that it is for.
func (s *Session) clientTask(m *jsonrpc.Message) {
	id, _ := jsonrpc.GetString(m.Params(), "taskId")
	s.mu.Lock()
	server := s.answered[id]
	s.mu.Unlock()
	if server != nil {
		server.Notify(m.Text())
	}
}
