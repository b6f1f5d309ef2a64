package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// teller is a real server whose tool does in the middle of a call all that a server may do, and marks every word of it
// with the mark of the call.
type teller struct {
	name string

	mu   sync.Mutex
	gone map[string]int // how often a call with that mark was cancelled
}

// errand is what a call of the tool asks for.
type errand struct {
	Mark   string `json:"mark"`
	Ask    string `json:"ask"`    // what the client is asked: sampling, elicitation, roots; "" for nothing
	Update string `json:"update"` // the URI of a resource that changes; "" for none
	Wait   bool   `json:"wait"`   // until the call is cancelled
}

// server returns a server for one session, or for many.
func (t *teller) server() *sdk.Server {
	s := sdk.NewServer(&sdk.Implementation{Name: t.name, Version: "1"}, &sdk.ServerOptions{
		SubscribeHandler:   func(context.Context, *sdk.SubscribeRequest) error { return nil },
		UnsubscribeHandler: func(context.Context, *sdk.UnsubscribeRequest) error { return nil },
	})
	read := func(context.Context, *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
		return &sdk.ReadResourceResult{}, nil
	}
	s.AddResourceTemplate(&sdk.ResourceTemplate{Name: "room", URITemplate: t.name + "://rooms/{name}"}, read)
	s.AddTool(&sdk.Tool{Name: "tell", InputSchema: json.RawMessage(`{"type":"object"}`)},
		func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			return t.tell(ctx, s, r)
		})
	return s
}

func (t *teller) tell(ctx context.Context, s *sdk.Server, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
	var e errand
	if err := json.Unmarshal(r.Params.Arguments, &e); err != nil {
		return nil, err
	}
	progress := func(n float64) error {
		return r.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{
			ProgressToken: r.Params.GetProgressToken(), Progress: n, Message: e.Mark,
		})
	}
	if err := progress(1); err != nil {
		return nil, err
	}
	if e.Wait {
		<-ctx.Done()
		t.mu.Lock()
		defer t.mu.Unlock()
		t.gone[e.Mark]++
		return nil, ctx.Err()
	}
	if err := r.Session.Log(ctx, &sdk.LoggingMessageParams{Level: "info", Data: e.Mark}); err != nil {
		return nil, err
	}
	heard := e.ask(ctx, r.Session)
	if e.Update != "" {
		_ = s.ResourceUpdated(ctx, &sdk.ResourceUpdatedNotificationParams{URI: e.Update, Meta: e.meta()})
	}
	if err := progress(2); err != nil {
		return nil, err
	}
	return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: e.Mark + " heard " + heard}}}, nil
}

func (e *errand) meta() sdk.Meta { return sdk.Meta{"mark": e.Mark} }

// ask asks the client and returns what it says.
func (e *errand) ask(ctx context.Context, session *sdk.ServerSession) string {
	switch e.Ask {
	case "sampling":
		got, err := session.CreateMessage(ctx, &sdk.CreateMessageParams{
			MaxTokens: 1, Messages: []*sdk.SamplingMessage{{Role: "user", Content: &sdk.TextContent{Text: e.Mark}}},
		})
		if err != nil {
			return "no"
		}
		text, ok := got.Content.(*sdk.TextContent)
		if !ok {
			return fmt.Sprintf("%T", got.Content)
		}
		return text.Text
	case "elicitation":
		got, err := session.Elicit(ctx, &sdk.ElicitParams{Message: e.Mark, RequestedSchema: json.RawMessage(`{"type":"object","properties":{"text":{"type":"string"}}}`)})
		if err != nil {
			return "no"
		}
		return fmt.Sprint(got.Content["text"])
	case "roots":
		got, err := session.ListRoots(ctx, &sdk.ListRootsParams{Meta: e.meta()})
		if err != nil || len(got.Roots) != 1 {
			return "no"
		}
		return got.Roots[0].Name
	}
	return "nothing"
}

// serveTeller serves over Streamable HTTP, with a server of its own for each session.
func serveTeller(tb testing.TB, name string) (*teller, string) {
	tb.Helper()
	t := &teller{name: name, gone: map[string]int{}}
	web := httptest.NewServer(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return t.server() }, nil))
	tb.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
	})
	return t, web.URL
}

// tellerChild is the program teller-child: that server on standard input and output, by the name that it is given.
func tellerChild() int {
	t := &teller{name: os.Args[1], gone: map[string]int{}}
	if err := t.server().Run(context.Background(), &sdk.StdioTransport{}); err != nil {
		return 1
	}
	return 0
}

// tellerEntry is the child in the configuration.
func tellerEntry(name string) map[string]any {
	return map[string]any{
		"command": os.Args[0], "args": []string{name},
		"env": map[string]string{"PLAIT_TEST_PROGRAM": "teller-child", "GORACE": "atexit_sleep_ms=0"},
	}
}
