package transport

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

const (
	initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`
	greeting   = `{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"fake","version":"1"}}`
	hung       = 30 * time.Second // no test takes so long
)

// answerer answers a request of a fake server; m is nil for GET and DELETE.
type answerer func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message)

// fake is a Streamable HTTP server that does what a test says, by method: a method of JSON-RPC, "response",
// GET or DELETE. What the test does not say it does like any server.
type fake struct {
	on map[string]answerer

	mu   sync.Mutex
	logs []logged
}

// logged is a request that the fake server got.
type logged struct {
	method string // as in fake.on
	header http.Header
	body   string
	conn   string // where it came from
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	method := r.Method
	var m *jsonrpc.Message
	if r.Method == http.MethodPost {
		m, _ = jsonrpc.Parse(bytes.Clone(body))
		if method = m.Method(); m.Kind() == jsonrpc.Response {
			method = "response"
		}
	}
	f.mu.Lock()
	f.logs = append(f.logs, logged{method, r.Header.Clone(), string(body), r.RemoteAddr})
	f.mu.Unlock()
	switch on := f.on[method]; {
	case on != nil:
		on(w, r, m)
	case method == "initialize":
		w.Header().Set("Mcp-Session-Id", "s-1")
		reply(w, m.ID(), greeting)
	case method == http.MethodGet:
		http.Error(w, "no", http.StatusMethodNotAllowed)
	case m != nil && m.Kind() == jsonrpc.Request:
		reply(w, m.ID(), `{}`)
	default:
		w.WriteHeader(http.StatusAccepted)
	}
}

// requests returns what the server got with that method.
func (f *fake) requests(method string) []logged {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []logged
	for _, l := range f.logs {
		if l.method == method {
			all = append(all, l)
		}
	}
	return all
}

// reply writes a JSON response.
func reply(w http.ResponseWriter, id jsonrpc.ID, result string) {
	status(w, http.StatusOK, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, id, result))
}

// status writes a JSON body with a status.
func status(w http.ResponseWriter, code int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, body)
}

// stream writes pieces of an event stream, as they are, at once.
func writeStream(w http.ResponseWriter, pieces ...string) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	}
	for _, p := range pieces {
		_, _ = io.WriteString(w, p)
	}
	_ = http.NewResponseController(w).Flush()
}

// data makes an event of a message.
func data(format string, args ...any) string { return "data: " + fmt.Sprintf(format, args...) + "\n\n" }

// result makes the event of an answer.
func result(id jsonrpc.ID, value string) string {
	return data(`{"jsonrpc":"2.0","id":%s,"result":%s}`, id, value)
}

// abort ends a response in the middle.
func abort(http.ResponseWriter) { panic(http.ErrAbortHandler) }

// ear is a Handler that writes down what it hears.
type ear struct {
	request func(ctx context.Context, cause jsonrpc.ID, m *jsonrpc.Message) jsonrpc.Text

	notes chan string // cause and text
}

func (e *ear) Request(ctx context.Context, cause jsonrpc.ID, m *jsonrpc.Message) jsonrpc.Text {
	if e.request == nil {
		return jsonrpc.Failure(m.ID(), jsonrpc.Errorf(jsonrpc.CodeMethodNotFound, "no"))
	}
	return e.request(ctx, cause, m)
}

func (e *ear) Notification(cause jsonrpc.ID, m *jsonrpc.Message) {
	e.notes <- string(cause) + " " + string(m.Text().Bytes())
}

func newEar() *ear { return &ear{notes: make(chan string, 100)} }

// next returns the next notification that was heard.
func (e *ear) next(t *testing.T) string {
	t.Helper()
	return receive(t, e.notes, "a notification")
}

func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(hung):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// rig is a connection to a fake server.
type rig struct {
	Conn
	t   *testing.T
	url string
	ear *ear
}

// options returns the options to connect to a server at a URL.
func options(t *testing.T, url string, e *ear) Options {
	t.Helper()
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return Options{
		Server:  &config.Server{Name: "fake", Type: config.HTTP, Transport: config.HTTPOnly, URL: url, ServerStream: true},
		Client:  &http.Client{Transport: transport},
		Handler: e, Limit: 1 << 20,
		Log: hclog.New(&hclog.LoggerOptions{Output: t.Output(), Level: hclog.Trace}),
	}
}

// connect opens a session with a server that does what on says.
func connect(t *testing.T, f *fake) *rig {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	e := newEar()
	return connectTo(t, options(t, s.URL+"/mcp", e), e)
}

func connectTo(t *testing.T, o Options, e *ear) *rig {
	t.Helper()
	conn, answer, err := Open(t.Context(), o, "1", jsonrpc.Text{[]byte(initialize)})
	if err != nil {
		t.Fatalf("Open() = %v", err)
	}
	if answer.Error() != nil {
		t.Fatalf("initialize = %v", answer.Error())
	}
	r := &rig{Conn: conn, t: t, url: o.Server.URL, ear: e}
	t.Cleanup(func() { r.close() })
	return r
}

func (r *rig) close() {
	r.t.Helper()
	if err := r.Close(context.Background()); err != nil {
		r.t.Errorf("Close() = %v", err)
	}
}

// listen does what a client does after initialize.
func (r *rig) listen() {
	r.t.Helper()
	if err := r.Send(r.t.Context(), jsonrpc.NewNotification("notifications/initialized", nil)); err != nil {
		r.t.Fatalf("send initialized = %v", err)
	}
	r.Listen("2025-06-18")
}

// call makes a call and returns the text of the answer.
func (r *rig) call(id jsonrpc.ID, method string) (string, error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), hung)
	defer cancel()
	m, err := r.Call(ctx, id, jsonrpc.NewRequest(id, method, nil))
	if err != nil {
		return "", err
	}
	return string(m.Text().Bytes()), nil
}

// want makes a call whose answer is known.
func (r *rig) want(id jsonrpc.ID, method, result string) {
	r.t.Helper()
	want := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, id, result)
	if got, err := r.call(id, method); err != nil || got != want {
		r.t.Errorf("Call(%s, %s) = %s, %v, want %s", id, method, got, err, want)
	}
}

// world is what a test in a bubble has to do with.
type world struct {
	t   *testing.T
	o   Options
	ear *ear
}

// bubble runs a test against h where time passes only when everybody waits.
func bubble(t *testing.T, h http.Handler, test func(in world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := upstreamtest.NewPipes()
		server := &http.Server{Handler: h}
		go func() { _ = server.Serve(network) }()
		t.Cleanup(func() { _ = server.Close() })
		e := newEar()
		o := options(t, "http://fake/mcp", e)
		transport := &http.Transport{DialContext: network.Dial, DisableCompression: true}
		o.Client = &http.Client{Transport: transport}
		t.Cleanup(transport.CloseIdleConnections)
		test(world{t, o, e})
	})
}
