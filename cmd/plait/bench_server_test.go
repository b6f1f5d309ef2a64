package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// benchServer is the program bench-server. It serves as many MCP servers as its argument says, each
// on a port of its own, and one more port that accepts and never answers. It prints their URLs, the
// dead one last, and ends when its stdin does.
//
// The query of a URL varies a server: tools=N is the length of its list, and with stream=1 it has
// a GET stream. A session id is given and asked for. A request for /mood?is=MOOD puts the server into
// a mood, see benchNode.
func benchServer() int {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-server:", err)
		return 2
	}
	for i := range n + 1 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench-server:", err)
			return 1
		}
		fmt.Fprintf(os.Stdout, "http://%s/mcp\n", l.Addr())
		if i < n {
			server := &http.Server{Handler: &benchNode{}, ReadHeaderTimeout: time.Minute}
			go func() { _ = server.Serve(l) }()
		} else {
			go acceptOnly(l)
		}
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// acceptOnly takes connections, and what they say, without a word.
func acceptOnly(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(io.Discard, c) }()
	}
}

// benchNode is one of the servers. Its mood is "" when it works, "hangs" when it answers nothing until
// the mood changes, "401" when it answers that to everything, and "dies" when it closes the connection
// at the first request after the handshake.
type benchNode struct {
	mu   sync.Mutex
	mood string
	news chan struct{} // closed when the mood changes
}

// is puts the server into a mood.
func (n *benchNode) is(mood string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mood = mood
	if n.news != nil {
		close(n.news)
	}
	n.news = make(chan struct{})
}

// calm waits while the server hangs, and returns its mood.
func (n *benchNode) calm(ctx context.Context) string {
	for {
		n.mu.Lock()
		mood, news := n.mood, n.news
		n.mu.Unlock()
		if mood != "hangs" || ctx.Err() != nil {
			return mood
		}
		select {
		case <-news:
		case <-ctx.Done():
		}
	}
}

func (n *benchNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/mood" {
		n.is(r.URL.Query().Get("is"))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	switch mood := n.calm(r.Context()); {
	case mood == "401":
		w.WriteHeader(http.StatusUnauthorized)
	case mood == "dies" && !bytes.Contains(body, []byte(`"method":"initialize"`)):
		panic(http.ErrAbortHandler)
	default:
		serveBench(w, r)
	}
}

type benchRequest struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Name      string `json:"name"`
		Arguments struct {
			Text  json.RawMessage `json:"text"`  // echo
			Bytes int             `json:"bytes"` // big
			SSE   bool            `json:"sse"`   // big
			Count int             `json:"count"` // notify
		} `json:"arguments"`
		Meta struct {
			ProgressToken json.RawMessage `json:"progressToken"`
		} `json:"_meta"`
	} `json:"params"`
}

func serveBench(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		serveStream(w, r)
		return
	case http.MethodDelete:
		return
	}
	body, err := io.ReadAll(r.Body)
	var req benchRequest
	if err == nil {
		err = json.Unmarshal(body, &req)
	}
	if err == nil && req.Method != "initialize" && r.Header.Get("Mcp-Session-Id") == "" {
		err = fmt.Errorf("%s without a session", req.Method)
	}
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case req.ID == nil || req.Method == "":
		w.WriteHeader(http.StatusAccepted)
	case req.Method == "tools/call" && (req.Params.Name == "notify" || req.Params.Arguments.SSE):
		streamTool(w, &req)
	default:
		if req.Method == "initialize" {
			w.Header().Set("Mcp-Session-Id", "bench-session")
		}
		w.Header().Set("Content-Type", "application/json")
		tools, _ := strconv.Atoi(r.URL.Query().Get("tools"))
		member := answerBench(tools, &req)
		size := len(`{"jsonrpc":"2.0","id":,}`) + len(req.ID) + len(member)
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,%s}`, req.ID, member)
	}
}

// serveStream is the GET stream: open until the client leaves, and silent.
func serveStream(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("stream") == "" {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// answerBench returns the result or error member of the answer of a server with that many tools.
func answerBench(tools int, req *benchRequest) string {
	switch req.Method {
	case "initialize":
		return `"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},` +
			`"serverInfo":{"name":"bench","version":"1"}}`
	case "ping":
		return `"result":{}`
	case "tools/list":
		return `"result":{"tools":` + benchTools(max(tools, 1)) + `}`
	case "tools/call":
		switch a := req.Params.Arguments; req.Params.Name {
		case "echo":
			return `"result":{"content":[{"type":"text","text":` + string(a.Text) + `}]}`
		case "big":
			return `"result":{"content":[{"type":"text","text":"` + bigText(a.Bytes) + `"}]}`
		}
	}
	return `"error":{"code":-32601,"message":"not served"}`
}

// streamTool answers a call by SSE: for notify after its notifications, each flushed as it is made.
func streamTool(w http.ResponseWriter, req *benchRequest) {
	w.Header().Set("Content-Type", "text/event-stream")
	out, flush := bufio.NewWriter(w), http.NewResponseController(w).Flush
	text := "done"
	for i := range req.Params.Arguments.Count {
		_, _ = fmt.Fprintf(out, "event: message\ndata: "+
			`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%d,"total":%d}}`+
			"\n\n", req.Params.Meta.ProgressToken, i+1, req.Params.Arguments.Count)
		_ = out.Flush()
		_ = flush()
	}
	if req.Params.Name == "big" {
		text = bigText(req.Params.Arguments.Bytes)
	}
	_, _ = out.WriteString("event: message\ndata: " + `{"jsonrpc":"2.0","id":` + string(req.ID) +
		`,"result":{"content":[{"type":"text","text":"` + text + `"}]}}` + "\n\n")
	_ = out.Flush()
}

// benchTools is a tool array of n elements of about 400 bytes; echo, big and notify come first.
func benchTools(n int) string {
	var b bytes.Buffer
	for i := range n {
		name := fmt.Sprintf("tool_%d", i)
		if first := []string{"echo", "big", "notify"}; i < len(first) {
			name = first[i]
		}
		fmt.Fprintf(&b, `,{"name":%q,"description":"Tool %d of the bench: takes a query and a limit and says `+
			`nothing that anybody would want to know, at about the length that real descriptions have.",`+
			`"inputSchema":{"type":"object","properties":{"query":{"type":"string","description":"what to look for"},`+
			`"limit":{"type":"integer","minimum":1,"maximum":100}},"required":["query"]},`+
			`"annotations":{"readOnlyHint":true}}`, name, i)
	}
	return "[" + strings.TrimPrefix(b.String(), ",") + "]"
}

var bigTexts sync.Map // size to string; made once, so that the server's own work stays small

// bigText is a JSON string of n bytes without its quotes: lines of text, with the escapes they have.
func bigText(n int) string {
	if s, ok := bigTexts.Load(n); ok {
		return s.(string)
	}
	const line = `the strand \"number one\" lies over the strand \"number two\".\n`
	s := strings.Repeat(line, n/len(line)) + strings.Repeat("x", n%len(line))
	bigTexts.Store(n, s)
	return s
}
