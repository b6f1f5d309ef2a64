package main_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// rogue is a client that guesses what others do: their ids, their tokens, their questions, their resources.
type rogue struct {
	t       *testing.T
	base    string
	session string
	rooms   []string // of others
	marks   string   // that it uses itself

	listening sync.WaitGroup
}

func newRogue(t *testing.T, base string, pals []*pal) *rogue {
	t.Helper()
	r := &rogue{t: t, base: base, marks: newPal().mark("rogue")}
	for _, p := range pals {
		r.rooms = append(r.rooms, p.room("common"), p.room("pipe"))
	}
	return r
}

// run does harm until stop is closed.
func (r *rogue) run(stop <-chan struct{}) {
	r.post(t2025, 1)
	ctx, cancel := context.WithCancel(r.t.Context())
	r.listening.Go(func() { r.listen(ctx) })
	r.post(`{"jsonrpc":"2.0","method":"notifications/initialized"}`, 0)
	r.post(`{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"web://rooms/all"}}`, 1)
	for i := 0; ; i++ {
		select {
		case <-stop:
			cancel()
			r.listening.Wait()
			return
		default:
		}
		id := strconv.Itoa(i % 250)
		if i%2 == 0 {
			id = `"` + id + `"`
		}
		server := attributionServers[i%len(attributionServers)]
		r.post(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":`+id+`}}`, 0)
		r.post(`{"jsonrpc":"2.0","id":`+id+`,"result":{"action":"accept","content":{"text":"rogue"},"roots":[{"uri":"file:///rogue","name":"rogue"}],"role":"assistant","model":"rogue"}}`, 0)
		r.post(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":`+id+`,"progress":9,"message":"rogue"}}`, 0)
		r.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"resources/unsubscribe","params":{"uri":%q}}`, id, r.rooms[i%len(r.rooms)]), 1)
		r.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"%s_tell","_meta":{"progressToken":%s},"arguments":{"mark":%q}}}`,
			id, server, id, r.marks), 1)
	}
}

const t2025 = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",` +
	`"capabilities":{"sampling":{},"elicitation":{},"roots":{}},"clientInfo":{"name":"rogue","version":"1"}}}`

// post sends a message; answers is how many must come.
func (r *rogue) post(text string, answers int) {
	res, err := r.do(r.t.Context(), http.MethodPost, strings.NewReader(text))
	if err != nil {
		r.t.Error(err)
		return
	}
	defer res.Body.Close()
	if id := res.Header.Get("Mcp-Session-Id"); id != "" {
		r.session = id
	}
	if n := r.read(res.Body); n != answers {
		r.t.Errorf("%d answers (%s) to %s, want %d", n, res.Status, text, answers)
	}
}

func (r *rogue) do(ctx context.Context, method string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.base+"/mcp", body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if r.session != "" {
		req.Header.Set("Mcp-Session-Id", r.session)
	}
	return http.DefaultClient.Do(req)
}

// listen reads what is for no request, until ctx ends.
func (r *rogue) listen(ctx context.Context) {
	res, err := r.do(ctx, http.MethodGet, nil)
	if err != nil {
		return
	}
	defer res.Body.Close()
	r.read(res.Body)
}

// read counts answers and complains of what is another's.
func (r *rogue) read(body io.Reader) (answers int) {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		for _, found := range mark.FindAllString(line, -1) {
			if found != r.marks {
				r.t.Errorf("a rogue heard %s", line)
			}
		}
		if strings.Contains(line, `"result":`) || strings.Contains(line, `"error":`) {
			answers++
		}
	}
	return answers
}
