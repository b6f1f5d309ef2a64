package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// exposedChild is the program child: a server on standard input and output with methods of its own, for plait expose. Its
// arguments say what is wrong with it: "exits" before it says anything, or "stubborn", which heeds neither the end of
// stdin nor SIGTERM, nor does a child of its own.
func exposedChild() int {
	switch strings.Join(os.Args[1:], " ") {
	case "exits":
		fmt.Fprintln(os.Stderr, "these are my last words")
		return 3
	case "refuses":
		return (&childTalk{refuses: true}).serve()
	case "stubborn":
		signal.Ignore(os.Interrupt, syscall.SIGTERM)
		defer forever()
	}
	return (&childTalk{}).serve()
}

// childTalk is what the child knows of its one session.
type childTalk struct {
	refuses bool
	seen    []json.RawMessage // notifications
	asker   json.RawMessage   // the id of the request that waits for the client's answer
}

// childMessage is what the child reads.
type childMessage struct {
	ID     json.RawMessage
	Method string
	Params struct {
		Ask, Name, Cursor string
		Params            json.RawMessage
	}

	line []byte
}

func (m *childMessage) answer(result string) {
	say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, result))
}

func (m *childMessage) fail(e string) {
	say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":%s}`, m.ID, e))
}

const (
	childHello = `{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true},"logging":{},"experimental":{"x/y":{"deep":[1.50]}}},` +
		`"serverInfo":{"name":"its own","title":"Its Own","version":"7"},"instructions":"Mind the child.","_meta":{"k":1}}`
	childPage = `{"tools":[{"name":"same","inputSchema":{"type":"object"}}],"nextCursor":"more"}`
	childLast = `{"tools":[{"name":"same","inputSchema":{"type":"object"}},{"name":"no schema"}],"x":true}`
)

// childTells are the notifications of x/tell.
var childTells = []string{
	`{"jsonrpc":"2.0","method":"notifications/x/own","params":{"_meta":{"a":1},"n":1.50}}`,
	`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`,
	`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"debug","data":"x"}}`,
}

// childMethods are what the child does; after an exit code other than 0 it is no more.
var childMethods = map[string]func(c *childTalk, m *childMessage) (exit int){
	"initialize": func(c *childTalk, m *childMessage) int {
		if c.refuses {
			m.fail(`{"code":-32042,"message":"not today","data":{"until":"Monday"}}`)
		} else {
			m.answer(childHello)
		}
		return 0
	},
	"tools/list": func(_ *childTalk, m *childMessage) int {
		m.answer(map[string]string{"": childPage, "more": childLast}[m.Params.Cursor])
		return 0
	},
	"x/line": func(_ *childTalk, m *childMessage) int { m.answer(fmt.Sprintf(`{"line":%s}`, m.line)); return 0 },
	"x/fail": func(_ *childTalk, m *childMessage) int {
		m.fail(`{"code":-32099,"message":"its own","data":{"deep":[1,2.50]}}`)
		return 0
	},
	"x/ask": func(c *childTalk, m *childMessage) int {
		c.asker = m.ID
		say(fmt.Sprintf(`{"jsonrpc":"2.0","id":"of-the-child","method":%q,"params":%s}`, m.Params.Ask, m.Params.Params))
		return 0
	},
	"": func(c *childTalk, m *childMessage) int { // the client's answer to that
		(&childMessage{ID: c.asker}).answer(fmt.Sprintf(`{"answer":%s}`, m.line))
		return 0
	},
	"x/tell": func(_ *childTalk, m *childMessage) int {
		for _, text := range childTells {
			say(text)
		}
		m.answer(`{}`)
		return 0
	},
	"x/seen": func(c *childTalk, m *childMessage) int {
		text, _ := json.Marshal(c.seen)
		m.answer(fmt.Sprintf(`{"seen":%s}`, text))
		return 0
	},
	"x/process": func(c *childTalk, m *childMessage) int { m.answer(c.process(m.Params.Name)); return 0 },
	"x/slow": func(_ *childTalk, m *childMessage) int {
		fmt.Fprintln(os.Stderr, "x/slow is under way")
		time.AfterFunc(time.Second, func() { m.answer(`{"slow":true}`) })
		return 0
	},
	"x/crash": func(*childTalk, *childMessage) int {
		fmt.Fprintln(os.Stderr, "these are my last words")
		return 3
	},
	"x/die": func(_ *childTalk, m *childMessage) int { m.answer(`{}`); return 4 },
}

func (c *childTalk) serve() int {
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return 0
		}
		m := &childMessage{line: bytes.TrimSpace(line)}
		if err := json.Unmarshal(line, m); err != nil {
			return 1
		}
		do := childMethods[m.Method]
		switch {
		case do != nil:
			if exit := do(c, m); exit != 0 {
				return exit
			}
		case m.ID == nil:
			c.seen = append(c.seen, m.line)
		default:
			m.fail(fmt.Sprintf(`{"code":-32601,"message":"unknown here: %s"}`, m.Method))
		}
	}
}

// process says who the child is, the child of its own if it is stubborn, and what a variable is.
func (c *childTalk) process(variable string) string {
	pids := []int{os.Getpid()}
	if len(os.Args) > 1 {
		grandchild := exec.Command(os.Args[0], os.Args[1:]...)
		grandchild.Stdin, _, _ = os.Pipe()
		grandchild.Stdout, grandchild.Stderr = os.Stdout, os.Stderr
		if err := grandchild.Start(); err != nil {
			return "null"
		}
		pids = append(pids, grandchild.Process.Pid)
	}
	text, _ := json.Marshal(map[string]any{"pids": pids, "value": os.Getenv(variable)})
	return string(text)
}
