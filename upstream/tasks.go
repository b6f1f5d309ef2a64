package upstream

import (
	"slices"
	"strconv"
	"time"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// maxTasks bounds the tasks that are remembered; the oldest is given up.
const maxTasks = 256

// task is a call that was answered with a task of the server, which goes on (2025-11-25, tasks). Its progress is
// still to come, and the session must last until the client has its result.
type task struct {
	*pending

	id   jsonrpc.ID // of the call
	name string     // the taskId
	ends time.Time  // when the server may forget it, zero for never
}

// followTasks notes the task that a call became, and the end of one that the answer tells. The state is locked.
func (s *Session) followTasks(id jsonrpc.ID, p *pending, answer *jsonrpc.Message) {
	if _, ok := jsonrpc.Get(p.Message.Params(), "task"); ok {
		if name, ok := jsonrpc.GetString(answer.Result(), "task", "taskId"); ok {
			s.keepTask(task{pending: p, id: id, name: name, ends: taskEnd(answer.Result())})
		}
		return
	}
	switch p.Message.Method() {
	case protocol.TasksResult, protocol.TasksCancel:
		name, _ := jsonrpc.GetString(p.given(), "taskId")
		s.dropTask(name)
	case protocol.TasksGet:
		s.endTask(answer.Result())
	}
}

// given returns the params that the server got.
func (p *pending) given() jsonrpc.Raw {
	if p.Params != nil {
		return p.Params
	}
	return p.Message.Params()
}

// taskEnd returns when the server may forget the task that a result creates.
func taskEnd(result jsonrpc.Raw) time.Time {
	raw, _ := jsonrpc.Get(result, "task", "ttl")
	ttl, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || ttl < 0 || ttl > int64(24*time.Hour*365/time.Millisecond) {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(ttl) * time.Millisecond)
}

// keepTask remembers a task. The state is locked.
func (s *Session) keepTask(t task) {
	if len(s.tasks) == maxTasks {
		s.tasks = slices.Delete(s.tasks, 0, 1)
	}
	s.tasks = append(s.tasks, t)
}

// endTask forgets a task whose status, in a result or notification, says that there is nothing to fetch. The
// state is locked.
func (s *Session) endTask(status jsonrpc.Raw) {
	switch word, _ := jsonrpc.GetString(status, "status"); word {
	case "failed", "cancelled":
		name, _ := jsonrpc.GetString(status, "taskId")
		s.dropTask(name)
	}
}

func (s *Session) dropTask(name string) {
	s.tasks = slices.DeleteFunc(s.tasks, func(t task) bool { return t.name == name })
}

// openTasks returns the tasks that the server may not forget yet.
func openTasks(tasks []task) []task {
	now := time.Now()
	return slices.DeleteFunc(tasks, func(t task) bool { return !t.ends.IsZero() && t.ends.Before(now) })
}

// caller returns the call, or the task, whose token it is. The state is locked.
func (s *Session) caller(token jsonrpc.ID) *pending {
	if p := s.calls[token]; p != nil {
		return p
	}
	for _, t := range s.tasks {
		if t.id == token {
			return t.pending
		}
	}
	return nil
}
