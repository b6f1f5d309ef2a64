// Package upstreamtest is real MCP servers for tests: raw, so that a test decides every byte that they send.
package upstreamtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// Server is an MCP server of the initialize era over Streamable HTTP. Every answer to a request other than a
// notification is an event stream, so that the server can speak before it answers. Set the exported fields
// before Start.
type Server struct {
	Version      string            // protocol version it answers with; "": the one that is offered
	Capabilities string            // "": tools, prompts, resources, completions, logging and tasks
	Instructions string            //
	Results      map[string]string // results by method; Set changes them while the server runs
	Handle       func(*Call)       // serves what Results does not; nil: method not found
	// Intercept sees every message that is posted and returns true when it has answered, or wants nobody to.
	Intercept func(http.ResponseWriter, *http.Request, *jsonrpc.Message) bool

	URL string

	mu       sync.Mutex
	messages []*jsonrpc.Message
	headers  []http.Header
	sessions map[string]*session
	count    int
	news     chan struct{}
}

// session is one client of the server.
type session struct {
	id      string
	server  *Server
	answers jsonrpc.Calls
	stream  chan []byte // for the GET stream
}

// Call is one request that the server is to answer.
type Call struct {
	*jsonrpc.Message
	Request *http.Request
	Session string

	server  *Server
	session *session
	mu      sync.Mutex
	w       http.ResponseWriter
	done    bool
}

const everything = `{"tools":{"listChanged":true},"prompts":{"listChanged":true},"completions":{},"logging":{},` +
	`"resources":{"subscribe":true,"listChanged":true},"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}}`

// Start serves until the test ends.
func (s *Server) Start(tb testing.TB) *Server {
	tb.Helper()
	srv := httptest.NewServer(s.Make())
	tb.Cleanup(srv.Close)
	tb.Cleanup(srv.CloseClientConnections)
	s.URL = srv.URL + "/mcp"
	return s
}

// Make prepares the server for being the handler of somebody else's HTTP server.
func (s *Server) Make() *Server {
	s.sessions, s.news = map[string]*session{}, make(chan struct{})
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		s.post(w, r)
	case http.MethodGet:
		s.get(w, r)
	case http.MethodDelete:
		s.mu.Lock()
		delete(s.sessions, r.Header.Get("Mcp-Session-Id"))
		s.mu.Unlock()
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (s *Server) post(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	m, err := jsonrpc.Parse(bytes.Clone(body))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	// A message belongs to the session that was there when it arrived: a test that saw it arrive may end that
	// session at once.
	s.mu.Lock()
	client := s.sessions[r.Header.Get("Mcp-Session-Id")]
	s.mu.Unlock()
	s.record(m, r.Header.Clone())
	if s.Intercept != nil && s.Intercept(w, r, m) {
		return
	}
	if m.Method() == "initialize" {
		s.initialize(w, m)
		return
	}
	if client == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	switch m.Kind() {
	case jsonrpc.Request:
		s.answer(w, r, client, m)
	case jsonrpc.Response:
		client.answers.Deliver(m)
		w.WriteHeader(http.StatusAccepted)
	default:
		w.WriteHeader(http.StatusAccepted)
	}
}

func (s *Server) record(m *jsonrpc.Message, h http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	s.headers = append(s.headers, h)
	close(s.news)
	s.news = make(chan struct{})
}

func (s *Server) initialize(w http.ResponseWriter, m *jsonrpc.Message) {
	s.mu.Lock()
	s.count++
	client := &session{id: fmt.Sprintf("session-%d", s.count), server: s, stream: make(chan []byte, 1000)}
	s.sessions[client.id] = client
	s.mu.Unlock()
	version, _ := jsonrpc.GetString(m.Params(), "protocolVersion")
	if s.Version != "" {
		version = s.Version
	}
	capabilities := s.Capabilities
	if capabilities == "" {
		capabilities = everything
	}
	result := fmt.Sprintf(`{"protocolVersion":%q,"capabilities":%s,"serverInfo":{"name":"test","version":"1"}}`, version, capabilities)
	if s.Instructions != "" {
		result = string(jsonrpc.Set(jsonrpc.Raw(result), jsonrpc.Quote(s.Instructions), "instructions"))
	}
	w.Header().Set("Mcp-Session-Id", client.id)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(jsonrpc.Result(m.ID(), jsonrpc.Raw(result)).Bytes())
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, client *session, m *jsonrpc.Message) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	c := &Call{Message: m, Request: r, Session: client.id, server: s, session: client, w: w}
	s.mu.Lock()
	result, ok := s.Results[m.Method()]
	s.mu.Unlock()
	switch {
	case ok:
		c.Result(result)
	case m.Method() == "ping":
		c.Result("{}")
	case s.Handle != nil:
		s.Handle(c)
	}
	if !c.done {
		c.Error(jsonrpc.CodeMethodNotFound, "Method not found", "")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.w = nil
}

// get is the stream for what the server says of its own accord.
func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	client := s.sessions[r.Header.Get("Mcp-Session-Id")]
	s.mu.Unlock()
	if client == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	for {
		select {
		case text := <-client.stream:
			_, _ = fmt.Fprintf(w, "data: %s\n\n", text)
			_ = http.NewResponseController(w).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

// Send sends a message on the GET streams of all clients.
func (s *Server) Send(text jsonrpc.Text) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, client := range s.sessions {
		client.stream <- text.Bytes()
	}
}

// Notify sends a notification on the GET streams of all clients.
func (s *Server) Notify(method, params string) {
	s.Send(jsonrpc.NewNotification(method, raw(params)))
}

// Set changes what the server answers to a method.
func (s *Server) Set(method, result string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Results[method] = result
}

// Forget loses all sessions, as a restart does.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sessions)
}

// Sessions returns how many clients have a session that they, or Forget, have not ended.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// All returns the messages that arrived so far.
func (s *Server) All() []*jsonrpc.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Received returns the messages of a method that arrived so far; "" stands for responses.
func (s *Server) Received(method string) []*jsonrpc.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var got []*jsonrpc.Message
	for _, m := range s.messages {
		if m.Method() == method {
			got = append(got, m)
		}
	}
	return got
}

// Await waits until n messages of a method have arrived and returns them. It fails the test when the test's
// own time is up.
func (s *Server) Await(tb testing.TB, method string, n int) []*jsonrpc.Message {
	tb.Helper()
	for {
		s.mu.Lock()
		news := s.news
		s.mu.Unlock()
		if got := s.Received(method); len(got) >= n {
			return got
		}
		select {
		case <-news:
		case <-tb.Context().Done():
			tb.Fatalf("%d of %d messages %q arrived", len(s.Received(method)), n, method)
		case <-hung():
			tb.Fatalf("%d of %d messages %q arrived", len(s.Received(method)), n, method)
		}
	}
}

// Notify sends a notification on the stream of the call.
func (c *Call) Notify(method, params string) {
	c.write(jsonrpc.NewNotification(method, raw(params)))
}

// Progress sends a notification of progress for the call, with the token that the client gave.
func (c *Call) Progress(value string) {
	token, ok := jsonrpc.Get(c.Params(), "_meta", "progressToken")
	if ok {
		c.Notify("notifications/progress", `{"progressToken":`+string(token)+`,"progress":`+value+`}`)
	}
}

// Ask sends a request on the stream of the call and returns the client's answer, nil when the call ended.
func (c *Call) Ask(id, method, params string) *jsonrpc.Message {
	answer, err := c.session.answers.Add(jsonrpc.ID(id))
	if err != nil {
		return nil
	}
	c.write(jsonrpc.NewRequest(jsonrpc.ID(id), method, raw(params)))
	select {
	case m := <-answer:
		return m
	case <-c.Request.Context().Done():
		return nil
	}
}

// Result answers with a result.
func (c *Call) Result(result string) {
	c.done = true
	c.write(jsonrpc.Result(c.ID(), raw(result)))
}

// Error answers with an error.
func (c *Call) Error(code int, message, data string) {
	c.done = true
	c.write(jsonrpc.Failure(c.ID(), &jsonrpc.Error{Code: code, Message: message, Data: raw(data)}))
}

// Answer sends any text as the answer.
func (c *Call) Answer(text string) {
	c.done = true
	c.write(jsonrpc.Text{[]byte(text)})
}

// Stay sends nothing and ends the stream without an answer.
func (c *Call) Stay() { c.done = true }

func (c *Call) write(t jsonrpc.Text) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.w == nil {
		return
	}
	_, _ = fmt.Fprintf(c.w, "data: %s\n\n", t.Bytes())
	_ = http.NewResponseController(c.w).Flush()
}

func raw(s string) jsonrpc.Raw {
	if s == "" {
		return nil
	}
	if !json.Valid([]byte(s)) {
		panic("upstreamtest: not JSON: " + s)
	}
	return jsonrpc.Raw(s)
}
