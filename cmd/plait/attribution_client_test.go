package main_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// pal is a real client that marks what it asks for with a name that nobody else knows, and looks at all that comes,
// stream by stream: it must bear its marks.
type pal struct {
	name    string
	session *sdk.ClientSession
	opened  chan struct{} // closed when the client has opened the stream for what belongs to no request

	mu     sync.Mutex
	seen   map[string]int    // how often what of which mark came: "log [NAME.7]"
	tokens map[string]string // of marks, as JSON
	wrong  []string
	once   sync.Once
}

// mark is the name of a client and the number of its call.
var mark = regexp.MustCompile(`\[([A-Z2-7]{26})\.(\w+)\]`)

// kinds are the messages that a server sends because of a call.
var kinds = map[string]string{
	"notifications/progress": "progress", "notifications/message": "log", "notifications/resources/updated": "update",
	"sampling/createMessage": "sampling", "elicitation/create": "elicitation", "roots/list": "roots",
}

func newPal() *pal {
	return &pal{name: rand.Text(), opened: make(chan struct{}), seen: map[string]int{}, tokens: map[string]string{}}
}

func (p *pal) mark(call any) string { return fmt.Sprintf("[%s.%v]", p.name, call) }

// says is what the client answers to a question with that mark.
func (p *pal) says(mark string) string { return p.name + " to " + mark }

// comesIn connects the client over Streamable HTTP, or HTTP with SSE.
func (p *pal) comesIn(tb testing.TB, base, wire string) {
	tb.Helper()
	c := sdk.NewClient(&sdk.Implementation{Name: "pal", Version: "1"}, &sdk.ClientOptions{
		CreateMessageHandler: func(_ context.Context, r *sdk.CreateMessageRequest) (*sdk.CreateMessageResult, error) {
			text, _ := r.Params.Messages[0].Content.(*sdk.TextContent)
			return &sdk.CreateMessageResult{Role: "assistant", Model: "m", Content: &sdk.TextContent{Text: p.says(text.Text)}}, nil
		},
		ElicitationHandler: func(_ context.Context, r *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
			return &sdk.ElicitResult{Action: "accept", Content: map[string]any{"text": p.says(mark.FindString(r.Params.Message))}}, nil
		},
	})
	c.AddRoots(&sdk.Root{URI: "file:///" + p.name, Name: p.name})
	web := &http.Client{Transport: &listener{&http.Transport{MaxIdleConnsPerHost: 16}, p}}
	var way sdk.Transport = &sdk.StreamableClientTransport{Endpoint: base + "/mcp", HTTPClient: web}
	if wire == "sse" {
		way = &sdk.SSEClientTransport{Endpoint: base + "/sse", HTTPClient: web}
	}
	var err error
	if p.session, err = c.Connect(tb.Context(), way, &sdk.ClientSessionOptions{ProtocolVersion: "2025-11-25"}); err != nil {
		tb.Fatal(err)
	}
	<-p.opened
	if err := p.session.SetLoggingLevel(tb.Context(), &sdk.SetLoggingLevelParams{Level: "info"}); err != nil {
		tb.Fatal(err)
	}
}

// tell calls the tool of a server and returns what it says. The answer must be what the client was asked and said.
func (p *pal) tell(ctx context.Context, server string, token any, e errand) (string, error) {
	text, err := json.Marshal(token)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	p.tokens[e.Mark] = string(text)
	p.mu.Unlock()
	params := &sdk.CallToolParams{Name: server + "_tell", Arguments: e}
	params.SetProgressToken(token)
	got, err := p.session.CallTool(ctx, params)
	if err != nil {
		return "", err
	}
	said, ok := got.Content[0].(*sdk.TextContent)
	if !ok {
		return "", fmt.Errorf("%T", got.Content[0])
	}
	return said.Text, nil
}

func (p *pal) blame(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.wrong) < 5 {
		p.wrong = append(p.wrong, fmt.Sprintf(format, args...))
	}
}

// count returns how often what of which mark came.
func (p *pal) count(what string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[what]
}

// hears looks at a message that came on the stream of the call with that mark, "" for no call's.
func (p *pal) hears(stream string, raw []byte) {
	var m struct {
		Method string
		Params struct{ ProgressToken json.RawMessage }
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		p.blame("no message: %s", raw)
		return
	}
	marks := mark.FindAllStringSubmatch(string(raw), -1)
	kind := kinds[m.Method]
	switch {
	case m.Method == "" && len(marks) > 0:
		kind = "answer"
	case kind == "" && len(marks) == 0:
		return // initialize, lists
	case kind == "" || len(marks) == 0:
		p.blame("on the stream of %q: %s", stream, raw)
		return
	}
	is := marks[0][0]
	for _, found := range marks {
		if found[1] != p.name || found[0] != is {
			p.blame("a client called %s heard on the stream of %q: %s", p.name, stream, raw)
		}
	}
	if stream != "" && stream != is {
		p.blame("%s of %s is on the stream of %s", kind, is, stream)
	}
	p.mu.Lock()
	p.seen[kind+" "+is]++
	token := p.tokens[is]
	p.mu.Unlock()
	if kind == "progress" && string(m.Params.ProgressToken) != token {
		p.blame("progress of %s bears the token %s, want %s", is, m.Params.ProgressToken, token)
	}
}

// listener has a pal hear what comes in each HTTP response.
type listener struct {
	*http.Transport

	pal *pal
}

// RoundTrip implements http.RoundTripper.
func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	stream := ""
	if r.Body != nil && r.URL.Path != "/message" {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if bytes.Contains(body, []byte(`"tools/call"`)) {
			stream = mark.FindString(string(body))
		}
	}
	res, err := l.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if r.Method == http.MethodGet {
		l.pal.once.Do(func() { close(l.pal.opened) })
	}
	kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	switch {
	case kind == "text/event-stream":
		res.Body = l.pal.overhears(stream, res.Body)
	case kind == "application/json" && res.StatusCode == http.StatusOK:
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, err
		}
		l.pal.hears(stream, body)
		res.Body = io.NopCloser(bytes.NewReader(body))
	}
	return res, nil
}

// overhears returns a body whose events are heard while they are read.
func (p *pal) overhears(stream string, body io.ReadCloser) io.ReadCloser {
	in, out := io.Pipe()
	go func() {
		defer body.Close()
		lines := bufio.NewReader(body)
		for {
			line, err := lines.ReadBytes('\n')
			if data, ok := bytes.CutPrefix(line, []byte("data: {")); ok {
				p.hears(stream, append([]byte("{"), data...))
			}
			if _, closed := out.Write(line); closed != nil || err != nil {
				out.CloseWithError(err)
				return
			}
		}
	}()
	return &overheard{in, body}
}

// overheard closes both ends.
type overheard struct {
	*io.PipeReader

	from io.Closer
}

// Close implements io.Closer.
func (o *overheard) Close() error {
	_ = o.PipeReader.Close()
	return o.from.Close()
}
