package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// stormServer is a server that counts what it is asked: every call has an id of its own.
type stormServer struct {
	name string

	mu       sync.Mutex
	requests int
	calls    map[string]int // how often each was carried out
}

func newStormServer(name string) *stormServer {
	return &stormServer{name: name, calls: map[string]int{}}
}

// stormTools are the tools that every server has.
const stormTools = `{"tools":[{"name":"work","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}},` +
	`{"name":"spare","inputSchema":{"type":"object"}},{"name":"a.very.long.name.that.has.to.be.cut.and.is.given.a.hash","inputSchema":{"type":"object"}}]}`

// answer returns the answer to a message, "" for a notification. The answer to a call says how often it was carried
// out, and by which process.
func (s *stormServer) answer(message []byte) string {
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params struct {
			Arguments struct{ ID string } `json:"arguments"`
		} `json:"params"`
	}
	if json.Unmarshal(message, &m) != nil || m.ID == nil {
		return ""
	}
	if m.Method != "ping" { // which has nothing to do with the storm
		s.mu.Lock()
		s.requests++
		s.mu.Unlock()
	}
	result := "{}"
	switch m.Method {
	case "ping":
	case "initialize":
		result = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"resources":{}},"serverInfo":{"name":"storm","version":"1"}}`
	case "tools/list":
		result = stormTools
	case "resources/list":
		result = fmt.Sprintf(`{"resources":[{"uri":"storm://%s/r","name":"r"}]}`, s.name)
	case "tools/call":
		<-time.After(rand.N(5 * time.Millisecond)) // so that some are in flight when the file changes
		s.mu.Lock()
		s.calls[m.Params.Arguments.ID]++
		n := s.calls[m.Params.Arguments.ID]
		s.mu.Unlock()
		result = fmt.Sprintf(`{"content":[{"type":"text","text":"%s %d %d"}]}`, m.Params.Arguments.ID, n, os.Getpid())
	default:
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"unknown"}}`, m.ID)
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, result)
}

// asked returns how many requests came so far.
func (s *stormServer) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// serveStorm serves each under /NAME, and /refuses, which asks everybody for credentials.
func serveStorm(tb testing.TB, servers ...*stormServer) string {
	tb.Helper()
	mux := http.NewServeMux()
	for _, s := range servers {
		mux.HandleFunc("POST /"+s.name, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			w.Header().Set("Mcp-Session-Id", "storm")
			if text := s.answer(body); text != "" {
				sendJSON(w, text)
			} else {
				w.WriteHeader(http.StatusAccepted)
			}
		})
		mux.HandleFunc("DELETE /"+s.name, func(http.ResponseWriter, *http.Request) {})
	}
	mux.HandleFunc("POST /refuses", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	web := httptest.NewServer(mux)
	tb.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
	})
	return web.URL + "/"
}

// stormChild is the program storm-child: a stormServer on standard input and output.
func stormChild() int {
	s := newStormServer("child-" + strings.Join(os.Args[1:], "-"))
	var out sync.Mutex
	for lines := bufio.NewReader(os.Stdin); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return 0
		}
		go func() {
			if text := s.answer(line); text != "" {
				out.Lock()
				defer out.Unlock()
				say(text)
			}
		}()
	}
}
