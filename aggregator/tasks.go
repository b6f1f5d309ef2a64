package aggregator

import (
	"context"
	"errors"

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
func (s *Session) task(ctx context.Context, v *view, m *jsonrpc.Message) (jsonrpc.Text, error) {
	params := m.Params()
	if err := jsonrpc.CheckMembers(params, "taskId", "_meta"); err != nil {
		return nil, invalid(err)
	}
	id, ok := jsonrpc.GetString(params, "taskId")
	if !ok {
		return nil, jsonrpc.Errorf(jsonrpc.CodeInvalidParams, "taskId must be a string")
	}
	if v.direct() && !v.restricts(v.servers[0], protocol.Tools) {
		return s.forward(ctx, v, m, v.servers[0], params)
	}
	to, ok := s.tasks.find(id)
	if !ok && v.former != nil && !v.restricts(v.former, protocol.Tools) {
		return s.forward(ctx, v, m, v.former, params)
	}
	server := v.heir(to.server)
	if server == nil || !v.showsTask(server, to) {
		return nil, jsonrpc.Errorf(jsonrpc.CodeInvalidParams, "unknown task %s", id)
	}
	if to.name != id {
		params = jsonrpc.Set(params, jsonrpc.Quote(to.name), "taskId")
	}
	if _, ok := jsonrpc.Get(params, "_meta", relatedTask, "taskId"); ok {
		params = jsonrpc.Set(params, jsonrpc.Quote(to.name), "_meta", relatedTask, "taskId")
	}
	return s.forward(ctx, v, m, server, params)
}

// listTasks merges the tasks of the servers that list theirs.
func (s *Session) listTasks(ctx context.Context, v *view, m *jsonrpc.Message) (jsonrpc.Text, error) {
	if err := jsonrpc.CheckMembers(m.Params(), "cursor", "_meta"); err != nil {
		return nil, invalid(err)
	}
	if v.direct() && !v.restricts(v.servers[0], protocol.Tools) {
		return s.forward(ctx, v, m, v.servers[0], m.Params())
	}
	if _, ok := jsonrpc.Get(m.Params(), "cursor"); ok {
		return nil, jsonrpc.Errorf(jsonrpc.CodeInvalidParams, "unknown cursor: plait gave none")
	}
	all := jsonrpc.Raw("[")
	for _, server := range v.servers {
		if !server.Can("tasks", "list") {
			continue
		}
		items, err := server.Tasks(ctx)
		if errors.Is(err, upstream.ErrRetired) {
			return nil, err
		}
		if err != nil {
			s.log.Warn("a list could not be read", "server", server.Name(), "list", "tasks", "err", err)
		}
		for _, item := range items {
			if id, _ := jsonrpc.GetString(item, "taskId"); !s.isConcerned(v, server, id) {
				continue
			}
			if len(all) > 1 {
				all = append(all, ',')
			}
			all = append(all, s.exposeTask(server, item, "taskId")...)
		}
	}
	return jsonrpc.Result(m.ID(), jsonrpc.Set(jsonrpc.Raw("{}"), append(all, ']'), "tasks")), nil
}

// isConcerned reports whether a client may know of what the server calls a task: it is not another client's, and no
// rule hides the tool.
func (s *Session) isConcerned(v *view, server *upstream.Session, id string) bool {
	return (!server.Server().Shared || s.tasks.has(server, id)) && s.showsTaskOf(v, server, id)
}

// clientTaskOf notes that the client answers a server's request with a task of its own.
func (s *Session) clientTaskOf(answer *jsonrpc.Message) {
	s.mu.Lock()
	q := s.asked[answer.ID().Key()]
	s.mu.Unlock()
	if !q.task {
		return
	}
	if id, ok := jsonrpc.GetString(answer.Result(), "task", "taskId"); ok {
		s.answered.learn(q.server, id)
	}
}

// clientTask passes the status of a task of the client on to the server that it is for.
func (s *Session) clientTask(m *jsonrpc.Message) {
	id, _ := jsonrpc.GetString(m.Params(), "taskId")
	if to, ok := s.answered.find(id); ok {
		to.server.Notify(m.Text())
	}
}

// mayAsk refuses a server's request for a task that the client runs for another server.
func (s *Session) mayAsk(v *view, server *upstream.Session, m *jsonrpc.Message) *jsonrpc.Error {
	switch m.Method() {
	case protocol.TasksGet, protocol.TasksResult, protocol.TasksCancel:
		if id, _ := jsonrpc.GetString(m.Params(), "taskId"); !v.only(server) && !s.answered.has(server, id) {
			return jsonrpc.Errorf(jsonrpc.CodeInvalidParams, "unknown task %s", id)
		}
	}
	return nil
}

// reply makes the server's answer of the client's: of the tasks that the client lists, those that it runs for
// the server, and the server's own task by the server's name for it.
func (s *Session) reply(v *view, server *upstream.Session, m, answer *jsonrpc.Message) jsonrpc.Text {
	if v.only(server) || answer.Error() != nil {
		return answer.WithID(m.ID())
	}
	if m.Method() == protocol.TasksList {
		return answer.WithResult(m.ID(), s.tasksFor(server, answer.Result()))
	}
	if !s.tasks.aliased(server) {
		return answer.WithID(m.ID())
	}
	id, _ := jsonrpc.GetString(answer.Result(), "_meta", relatedTask, "taskId")
	if to, ok := s.tasks.find(id); ok && to.server == server && to.name != id {
		result := jsonrpc.Set(answer.Result(), jsonrpc.Quote(to.name), "_meta", relatedTask, "taskId")
		return answer.WithResult(m.ID(), result)
	}
	return answer.WithID(m.ID())
}

// tasksFor returns a list of tasks of the client without those of other servers.
func (s *Session) tasksFor(server *upstream.Session, result jsonrpc.Raw) jsonrpc.Raw {
	list, _ := jsonrpc.Get(result, "tasks")
	own := jsonrpc.Raw("[")
	for item := range jsonrpc.Elements(list) {
		if id, _ := jsonrpc.GetString(item, "taskId"); !s.answered.has(server, id) {
			continue
		}
		if len(own) > 1 {
			own = append(own, ',')
		}
		own = append(own, item...)
	}
	return jsonrpc.Set(result, append(own, ']'), "tasks")
}
