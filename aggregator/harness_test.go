package aggregator

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

// childRole is the variable that makes this test binary a server that is a child: one of childRoles.
const childRole = "PLAIT_TEST_CHILD"

func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		childRoles[role]()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// strand is an aggregator under test.
type strand struct {
	t   *testing.T
	agg *Aggregator
	log *record
}

// record is a log that a test reads while it is written.
type record struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

// lines returns the lines so far that contain all words.
func (r *record) lines(words ...string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []string
	for line := range strings.Lines(r.text.String()) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			found = append(found, line)
		}
	}
	return found
}

// plait returns an aggregator with a configuration in which $a, $b, … stand for the URLs of servers, and
// $self for this program.
func plait(t *testing.T, yaml string, servers ...*upstreamtest.Server) *strand {
	t.Helper()
	return plaitIn(t, "", yaml, servers...)
}

// plaitIn returns what plait does, with snapshots in the folder dir, "" for none.
func plaitIn(t *testing.T, dir, yaml string, servers ...*upstreamtest.Server) *strand {
	t.Helper()
	cfg := configured(t, yaml, servers...)
	log := &record{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the log:\n%s", strings.Join(log.lines(), ""))
		}
	})
	opts := Options{Version: "test", Log: hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Debug})}
	if dir != "" {
		opts.Snapshots = upstream.OpenSnapshots(dir, time.Hour, opts.Log)
	}
	agg := New(t.Context(), cfg, opts)
	t.Cleanup(agg.Close)
	return &strand{t: t, agg: agg, log: log}
}

// configured returns the configuration of plait. Where it says nothing of the start, no list gives up before a server
// has answered: a busy machine can take longer than the 3 s of the default.
func configured(t *testing.T, yaml string, servers ...*upstreamtest.Server) *config.Config {
	t.Helper()
	for i, s := range servers {
		yaml = strings.ReplaceAll(yaml, "$"+string(rune('a'+i)), s.URL)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	yaml = strings.ReplaceAll(yaml, "$self", self)
	if !strings.Contains(yaml, "startup:") {
		yaml = "startup: {wait: 30s}\n" + yaml
	}
	cfg, err := config.Parse(t.Context(), "plait.yaml", []byte(yaml), config.Options{
		LookupEnv: func(string) (string, bool) { return "", false }, AllProfiles: func(config.ServeHTTP) bool { return true },
	})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// two is the configuration of most tests.
const two = "mcpServers: {a: {url: $a}, b: {url: $b}}"

// client is one client of an aggregator.
type client struct {
	t       *testing.T
	session *Session
	ask     func(*jsonrpc.Message) jsonrpc.Text // answers requests of servers; nil text: not at all

	mu   sync.Mutex
	last int
	got  []*jsonrpc.Message
	of   []jsonrpc.ID // the causes of got
	news chan struct{}
}

const (
	allCapabilities = `{"roots":{"listChanged":true},"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}},` +
		`"tasks":{"list":{},"cancel":{},"requests":{"elicitation":{"create":{}},"sampling":{"createMessage":{}}}}}`
	latest = "2025-11-25"
)

// open returns a client that is initialized with the latest version and every capability.
func (s *strand) open() *client {
	s.t.Helper()
	return s.openAs(latest, allCapabilities)
}

func (s *strand) openAs(version, capabilities string) *client {
	s.t.Helper()
	return s.admit(Visitor{}, version, capabilities)
}

// admit is openAs for a client that came over HTTP.
func (s *strand) admit(v Visitor, version, capabilities string) *client {
	s.t.Helper()
	c := &client{t: s.t, news: make(chan struct{})}
	session, err := s.agg.Admit(v, c)
	if err != nil {
		s.t.Fatal(err)
	}
	c.session = session
	m := c.call("initialize", fmt.Sprintf(
		`{"protocolVersion":%q,"capabilities":%s,"clientInfo":{"name":"t","version":"1"}}`, version, capabilities))
	if m.Error() != nil {
		s.t.Fatalf("initialize: %v", m.Error())
	}
	c.notify("notifications/initialized", "")
	return c
}

// Send takes what the aggregator sends (jsonrpc.Sender).
func (c *client) Send(cause jsonrpc.ID, t jsonrpc.Text) error {
	m, err := jsonrpc.Parse(bytes.Clone(t.Bytes()))
	if err != nil {
		c.t.Errorf("plait sent no message: %v", err)
		return nil
	}
	c.mu.Lock()
	c.got, c.of = append(c.got, m), append(c.of, cause)
	close(c.news)
	c.news = make(chan struct{})
	ask := c.ask
	c.mu.Unlock()
	if m.Kind() == jsonrpc.Request && ask != nil {
		if answer := ask(m); answer != nil {
			c.respond(answer)
		}
	}
	return nil
}

func (c *client) respond(answer jsonrpc.Text) {
	m, err := jsonrpc.Parse(bytes.Clone(answer.Bytes()))
	if err != nil {
		c.t.Errorf("the test's answer: %v", err)
		return
	}
	c.session.Response(m)
}

// call makes a request with an id of its own and returns the answer.
func (c *client) call(method, params string) *jsonrpc.Message {
	c.t.Helper()
	c.mu.Lock()
	c.last++
	id := c.last
	c.mu.Unlock()
	return c.callAs(c.t.Context(), strconv.Itoa(id), method, params)
}

// callAs makes a request; the answer is nil when plait gives none.
func (c *client) callAs(ctx context.Context, id, method, params string) *jsonrpc.Message {
	c.t.Helper()
	request, err := jsonrpc.Parse(jsonrpc.NewRequest(jsonrpc.ID(id), method, rawOf(params)).Bytes())
	if err != nil {
		c.t.Fatal(err)
	}
	answer := c.session.Request(ctx, request)
	if answer == nil {
		return nil
	}
	m, err := jsonrpc.Parse(bytes.Clone(answer.Bytes()))
	if err != nil {
		c.t.Fatalf("answer to %s: %v in %s", method, err, answer.Bytes())
	}
	return m
}

// result makes a request and returns the result; an error fails the test.
func (c *client) result(method, params string) string {
	c.t.Helper()
	m := c.call(method, params)
	if m == nil {
		c.t.Fatalf("%s %s: no answer", method, params)
	}
	if m.Error() != nil {
		c.t.Fatalf("%s %s: %v", method, params, m.Error())
	}
	return string(m.Result())
}

// fails makes a request that must give an error, and returns it.
func (c *client) fails(method, params string, code int) *jsonrpc.Error {
	c.t.Helper()
	m := c.call(method, params)
	if m == nil {
		c.t.Fatalf("%s %s: no answer", method, params)
	}
	if m.Error() == nil || m.Error().Code != code {
		c.t.Fatalf("%s %s: got %s, want error %d", method, params, m.Text().Bytes(), code)
	}
	return m.Error()
}

func (c *client) notify(method, params string) {
	c.t.Helper()
	m, err := jsonrpc.Parse(jsonrpc.NewNotification(method, rawOf(params)).Bytes())
	if err != nil {
		c.t.Fatal(err)
	}
	c.session.Notification(m)
}

func rawOf(s string) jsonrpc.Raw {
	if s == "" {
		return nil
	}
	return jsonrpc.Raw(s)
}

// received returns what plait sent of a method so far.
func (c *client) received(method string) []*jsonrpc.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	var of []*jsonrpc.Message
	for _, m := range c.got {
		if m.Method() == method {
			of = append(of, m)
		}
	}
	return of
}

// await waits for n messages of a method and returns them.
func (c *client) await(method string, n int) []*jsonrpc.Message {
	c.t.Helper()
	hung := time.After(30 * time.Second)
	for {
		c.mu.Lock()
		news := c.news
		c.mu.Unlock()
		if got := c.received(method); len(got) >= n {
			return got
		}
		select {
		case <-news:
		case <-hung:
			c.t.Fatalf("%d of %d messages %q came", len(c.received(method)), n, method)
		}
	}
}

// eventually waits until done returns true.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	hung := time.After(30 * time.Second)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !done() {
		select {
		case <-look.C:
		case <-hung:
			t.Fatalf("it did not happen: %s", what)
		}
	}
}

// pause lets time pass that the case is about.
func pause(d time.Duration) { <-time.After(d) }

// equal compares two texts.
func equal(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

// names returns the values of a member of the items of a list.
func names(t *testing.T, result, list, member string) []string {
	t.Helper()
	items, ok := jsonrpc.Get(jsonrpc.Raw(result), list)
	if !ok {
		t.Fatalf("no %s in %s", list, result)
	}
	var all []string
	for item := range jsonrpc.Elements(items) {
		name, _ := jsonrpc.GetString(item, member)
		all = append(all, name)
	}
	return all
}

// tools returns the result of tools/list with tools of these names.
func tools(names ...string) string {
	var items []string
	for _, n := range names {
		items = append(items, fmt.Sprintf(`{"name":%s,"inputSchema":{"type":"object"}}`, jsonrpc.Quote(n)))
	}
	return `{"tools":[` + strings.Join(items, ",") + `]}`
}
