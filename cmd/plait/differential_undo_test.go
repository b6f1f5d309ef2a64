package main_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// undone is everything that may differ between a direct session and one through plait. Each is undone on both
// sides before they are compared, in this order.
var undone = []struct {
	why   string
	wire  string   // "" for all wires
	way   string   // "" for both ways
	steps []string // none for all steps
	undo  func(s *step, t *transcript)
}{
	// What the server itself varies.
	{
		why:  "ids of sessions and tasks are chosen by chance: numbered in the order in which they appear",
		undo: numberChance,
	},
	{
		why:   "each server has its own environment, and a child of plait only what its configuration allows it",
		steps: []string{"environment"}, undo: answers(func(string) string { return "the environment" }),
	},
	{
		why: "answers to concurrent calls come in any order", steps: []string{"echo, 20 at once"},
		undo: func(s *step, _ *transcript) {
			slices.SortFunc(s.Seen, func(a, b seen) int { return strings.Compare(a.Raw, b.Raw) })
		},
	},
	{
		why:  "what is no part of a call comes on a stream of its own, at any time between the answers",
		wire: "http", undo: unorder,
	},

	{
		why:   "a task goes on while it is looked at",
		steps: []string{"task"}, undo: answers(func(raw string) string { return stage.ReplaceAllString(raw, `"at work"`) }),
	},

	// What plait numbers or says in the server's place.
	{
		why: "server-filesystem asks for the roots as well", way: several,
		undo: withoutRoots,
	},
	{
		why:   "plait gives its own name",
		steps: []string{"initialize"}, undo: answers(func(raw string) string {
			return string(jsonrpc.Delete(jsonrpc.Raw(raw), "result", "serverInfo"))
		}),
	},
	{
		why:  "requests of servers get ids from plait, for they would meet otherwise: numbered in order",
		undo: numberRequests,
	},
	{
		why:  "that a list changed is said once the merged list is another one, not whenever a server says so",
		undo: without(func(m seen) bool { return strings.HasSuffix(m.Method, "/list_changed") }),
	},
	{
		why:   "progress and the answer of a call that the client has cancelled are of no use to it, and are dropped",
		steps: []string{"cancel", "after cancel"},
		undo: without(func(m seen) bool {
			return m.Method == "notifications/progress" || strings.Contains(m.Raw, "Long running operation completed")
		}),
	},
	{
		why: "initialize, ping and lists are answered by plait, with the members of the envelope in its own order",
		steps: []string{
			"initialize", "ping", "list tools", "list prompts", "list resources", "list templates",
			"after cancel", "list tools again", "list resources again",
		},
		undo: answers(envelope),
	},

	// What is different with several servers.
	{
		why: "names have the prefix of their server", way: several,
		undo: func(s *step, _ *transcript) {
			for i, raw := range s.Sent {
				s.Sent[i] = strings.Replace(raw, `"name":"ev_`, `"name":"`, 1)
			}
		},
	},
	{
		why: "lists have the entries of all servers, with their prefixes", way: several,
		steps: []string{
			"list tools", "list prompts", "list resources", "list templates", "list tools again", "list resources again",
		},
		undo: answers(onlyEverything),
	},
	{
		why: "plait declares what any server may have, and merges the instructions", way: several,
		steps: []string{"initialize"}, undo: answers(func(string) string { return "initialized" }),
	},
	{
		why: "a person sees which server asks", way: several,
		undo: requests(func(raw string) string {
			return strings.Replace(raw, `"message":"[everything] `, `"message":"`, 1)
		}),
	},
	{
		why: "the context of `this server` would be that of all", way: several,
		undo: requests(func(raw string) string {
			return strings.Replace(raw, `"includeContext":"thisServer"`, `"includeContext":"none"`, 1)
		}),
	},
	{
		why: "two servers may choose the same id for the elicitation of a URL", way: several,
		undo: func(s *step, _ *transcript) {
			const owner = `"elicitationId":"everything:`
			for i, m := range s.Seen {
				s.Seen[i].Raw = strings.Replace(m.Raw, owner, `"elicitationId":"`, 1)
			}
			s.Failure = json.RawMessage(strings.Replace(string(s.Failure), owner, `"elicitationId":"`, 1))
		},
	},
	{
		why: "the list of tasks is made of those of all servers, without their _meta", way: several,
		steps: []string{"task"}, undo: answers(func(raw string) string {
			if tasks, ok := jsonrpc.Get(jsonrpc.Raw(raw), "result", "tasks"); ok {
				return string(tasks)
			}
			return raw
		}),
	},
	{
		why: "a log level is for all servers and answered by plait", way: several,
		steps: []string{"log everything", "log emergencies", "log everything again"}, undo: answers(envelope),
	},
	{
		why: "what names no tool, prompt, resource, task, level or method of any server is refused by plait", way: several,
		steps: []string{
			"unknown tool", "read nothing", "unknown prompt", "complete an unknown prompt",
			"log a level that is none", "unknown method", "call without a name", "unknown task",
		},
		undo: func(s *step, _ *transcript) {
			for i := range s.Seen {
				s.Seen[i].Raw = "refused"
			}
			s.Failure = nil
		},
	},
}

// without drops messages from the server.
func without(drop func(m seen) bool) func(*step, *transcript) {
	return func(s *step, _ *transcript) { s.Seen = slices.DeleteFunc(s.Seen, drop) }
}

// answers edits the answers in a step.
func answers(edit func(raw string) string) func(*step, *transcript) { return kind("answer", edit) }

// requests edits the requests of the server in a step.
func requests(edit func(raw string) string) func(*step, *transcript) { return kind("request", edit) }

func kind(want string, edit func(raw string) string) func(*step, *transcript) {
	return func(s *step, _ *transcript) {
		for i, m := range s.Seen {
			if m.Kind == want {
				s.Seen[i].Raw = edit(m.Raw)
			}
		}
	}
}

// envelope writes an answer with its members in one order, and what they hold as it is.
func envelope(raw string) string {
	var m struct {
		ID, Result, Error json.RawMessage
	}
	if err := json.Unmarshal([]byte(raw), &m); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("id %s result %s error %s", m.ID, m.Result, m.Error)
}

// chance matches a UUID, the id of a session, and the id of a task.
var chance = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b`)

// stage matches what a task of server-everything says while it works.
var stage = regexp.MustCompile(`"(Gathering sources|Analyzing content)\.{3}"`)

// numberChance runs over the whole transcript at its first step.
func numberChance(s *step, t *transcript) {
	if s != t.Steps[0] {
		return
	}
	known := map[string]string{}
	number := func(id string) string {
		if known[id] == "" {
			known[id] = fmt.Sprintf("chance-%d", len(known)+1)
		}
		return known[id]
	}
	for _, s := range t.Steps {
		for i, m := range s.Seen {
			s.Seen[i].Raw = chance.ReplaceAllStringFunc(m.Raw, number)
		}
		for i, raw := range s.Sent {
			s.Sent[i] = chance.ReplaceAllStringFunc(raw, number)
		}
		s.Failure = json.RawMessage(chance.ReplaceAllStringFunc(string(s.Failure), number))
	}
}

// numberRequests runs over the whole transcript at its first step.
func numberRequests(s *step, t *transcript) {
	if s != t.Steps[0] {
		return
	}
	known := map[string]string{}
	for _, s := range t.Steps {
		for i, m := range s.Seen {
			if m.Kind == "request" {
				id, _ := jsonrpc.Get(jsonrpc.Raw(m.Raw), "id")
				known[string(id)] = fmt.Sprintf(`"%s %d"`, m.Method, len(known)+1)
				s.Seen[i].Raw = string(jsonrpc.Set(jsonrpc.Raw(m.Raw), jsonrpc.Raw(known[string(id)]), "id"))
			}
		}
	}
	for _, s := range t.Steps {
		for i, raw := range s.Sent {
			if id, ok := answered(raw); ok {
				s.Sent[i] = string(jsonrpc.Set(jsonrpc.Raw(raw), jsonrpc.Raw(known[id]), "id"))
			}
		}
	}
}

// answered returns the id of an answer that the client sent.
func answered(raw string) (id string, ok bool) {
	if _, ok := jsonrpc.Get(jsonrpc.Raw(raw), "method"); ok {
		return "", false
	}
	found, ok := jsonrpc.Get(jsonrpc.Raw(raw), "id")
	return string(found), ok
}

// unorder moves what is on no call's stream out of its step, to the end of the transcript: there each method's
// messages stand in their order.
func unorder(s *step, t *transcript) {
	last := t.Steps[len(t.Steps)-1]
	if s == last {
		slices.SortStableFunc(s.Seen, func(a, b seen) int { return strings.Compare(a.Method, b.Method) })
		return
	}
	var kept []seen
	for _, m := range s.Seen {
		if m.Kind == "notification" && m.Method != "notifications/progress" {
			last.Seen = append(last.Seen, m)
		} else {
			kept = append(kept, m)
		}
	}
	s.Seen = kept
}

// withoutRoots drops the questions for the roots and the answers to them.
func withoutRoots(s *step, _ *transcript) {
	s.Seen = slices.DeleteFunc(s.Seen, func(m seen) bool { return m.Method == "roots/list" })
	s.Sent = slices.DeleteFunc(s.Sent, func(raw string) bool {
		_, ok := jsonrpc.Get(jsonrpc.Raw(raw), "result", "roots")
		return ok
	})
}

// onlyEverything returns the answer with only the entries of server-everything in its list, their names as it
// gives them.
func onlyEverything(raw string) string {
	_, result, _ := strings.Cut(raw, " result ")
	result, _, _ = strings.Cut(result, " error ")
	var b strings.Builder
	for member, list := range jsonrpc.Members(jsonrpc.Raw(result)) {
		b.WriteString(member + ":\n")
		for item := range jsonrpc.Elements(list) {
			text := string(item)
			if strings.Contains(text, `"name":"fs_`) || strings.Contains(text, `"name":"mem_`) || strings.Contains(text, `"uri":"memory:`) {
				continue
			}
			b.WriteString(strings.Replace(text, `"name":"ev_`, `"name":"`, 1) + "\n")
		}
	}
	return b.String()
}
