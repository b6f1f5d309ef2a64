package transport

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// sizes of results.
var sizes = []struct {
	name string
	n    int
}{{"1KiB", 1 << 10}, {"1MiB", 1 << 20}, {"10MiB", 10 << 20}}

// echoServer answers every call with a result of n bytes, as JSON or as a stream.
func echoServer(b *testing.B, n int, events bool) string {
	b.Helper()
	rest := `,"result":{"content":[{"type":"text","text":"` + strings.Repeat("x", n) + `"}]}}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m, err := jsonrpc.Parse(body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		head := `{"jsonrpc":"2.0","id":` + string(m.ID())
		if events {
			w.Header().Set("Content-Type", "text/event-stream")
			for _, part := range []string{"event: message\ndata: ", head, rest, "\n\n"} {
				_, _ = io.WriteString(w, part)
			}
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(head)+len(rest)))
		_, _ = io.WriteString(w, head)
		_, _ = io.WriteString(w, rest)
	}))
	b.Cleanup(s.Close)
	return s.URL
}

// BenchmarkCall compares a call with the least that net/http can do: post bytes, read bytes.
func BenchmarkCall(b *testing.B) {
	for _, size := range sizes {
		for _, events := range []bool{false, true} {
			wire := map[bool]string{false: "json", true: "events"}[events]
			b.Run(size.name+"/"+wire+"/bare", func(b *testing.B) { benchBare(b, echoServer(b, size.n, events), size.n) })
			b.Run(size.name+"/"+wire+"/conn", func(b *testing.B) { benchConn(b, echoServer(b, size.n, events), size.n) })
		}
	}
}

func benchBare(b *testing.B, url string, n int) {
	b.Helper()
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	b.ReportAllocs()
	b.SetBytes(int64(n))
	for b.Loop() {
		r, _ := http.NewRequestWithContext(b.Context(), http.MethodPost, url,
			bytes.NewReader([]byte(`{"jsonrpc":"2.0","id":2,"method":"tools/call"}`)))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", acceptBoth)
		resp, err := client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadAll(resp.Body); err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
	}
}

func benchConn(b *testing.B, url string, n int) {
	b.Helper()
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 10}
	defer transport.CloseIdleConnections()
	o := Options{
		Server: &config.Server{Name: "bench", Type: config.HTTP, Transport: config.HTTPOnly, URL: url, ServerStream: true},
		Client: &http.Client{Transport: transport}, Limit: 64 << 20, Handler: newEar(),
	}
	conn, _, err := Open(b.Context(), o, "1", jsonrpc.Text{[]byte(initialize)})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(b.Context()) }()
	b.ReportAllocs()
	b.SetBytes(int64(n))
	for id := int64(2); b.Loop(); id++ {
		if _, err := conn.Call(b.Context(), jsonrpc.Int(id), jsonrpc.NewRequest(jsonrpc.Int(id), "tools/call", nil)); err != nil {
			b.Fatal(err)
		}
	}
}
