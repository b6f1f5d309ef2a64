package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// probe asks an endpoint how it is.
func probe(tb testing.TB, url string, headers ...string) (int, string) {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, url, nil)
	if err != nil {
		tb.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// opsConfig writes a configuration of an endpoint that a token guards.
func opsConfig(tb testing.TB, token string, servers map[string]any) string {
	tb.Helper()
	text, err := json.Marshal(map[string]any{
		"mcpServers": servers,
		"serve":      map[string]any{"http": map[string]any{"listen": "127.0.0.1:0", "accessLog": true, "auth": map[string]any{"bearer": token}}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(tb.TempDir(), "plait.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}

// TestOpsReady has a required server be away, come and go: /readyz says so, without a client and without the token, also of
// one that is lazy or shared. It is not asked before, and a client has the connection of one that is shared.
func TestOpsReady(t *testing.T) {
	t.Parallel()
	short(t)
	for _, c := range []struct {
		lazy, shared bool
		sessions     int
	}{{false, false, 2}, {true, false, 2}, {false, true, 1}, {true, true, 1}} {
		t.Run(fmt.Sprintf("lazy %t shared %t", c.lazy, c.shared), func(t *testing.T) {
			t.Parallel()
			opsReady(t, c.lazy, c.shared, c.sessions)
		})
	}
}

func opsReady(t *testing.T, lazy, shared bool, sessions int) {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t)) // where nobody listens yet
	file := opsConfig(t, "a-token-of-this-test", map[string]any{
		"needed": map[string]any{
			"url": "http://" + address + "/mcp", "required": true, "lazy": lazy, "shared": shared, "ping": map[string]any{"interval": "50ms", "timeout": "1s"},
		},
		"other": map[string]any{"url": "http://127.0.0.1:1/mcp"},
	})
	base, _ := listen(t, nil, "serve", "--stdio=false", "--config", file)
	if status, text := probe(t, base+"/healthz"); status != http.StatusOK || text != "ok\n" {
		t.Errorf("/healthz: %d %q", status, text)
	}
	var answer struct {
		Ready   bool
		Missing []struct{ Server, State, Why, Next string }
	}
	asked := func(want int) bool {
		status, text := probe(t, base+"/readyz")
		answer.Missing = nil
		if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.Ready != (status == http.StatusOK) {
			t.Fatalf("/readyz: %d %s", status, text)
		}
		return status == want
	}
	until(t, "why it is not ready", func() bool {
		return asked(http.StatusServiceUnavailable) && answer.Missing[0].State == "waiting"
	})
	if m := answer.Missing; len(m) != 1 || m[0].Server != "needed" || m[0].Why != "the server cannot be reached" || !strings.Contains(m[0].Next, "plait doctor needed") {
		t.Errorf("missing: %+v", m)
	}
	r := newRemote(nil)
	_ = r.Listener.Close()
	var err error
	if r.Listener, err = new(net.ListenConfig).Listen(t.Context(), "tcp", address); err != nil {
		t.Fatal(err)
	}
	r.Start()
	defer r.end()
	until(t, "the server", func() bool { return asked(http.StatusOK) })
	c := visitWeb(t, base, "/mcp", "{}", "Authorization: Bearer a-token-of-this-test")
	if got := c.call("needed_echo"); got.Error != nil {
		t.Errorf("a call: %s", got.text())
	}
	if got := r.count("initialize"); got != sessions {
		t.Errorf("%d sessions with the server, want %d", got, sessions)
	}
	r.end()
	until(t, "the end of the server", func() bool { return asked(http.StatusServiceUnavailable) })
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, strings.Replace(string(text), `"required":true`, `"required":false`, 1))
	until(t, "the change of the file", func() bool { return asked(http.StatusOK) })
	if status, text := probe(t, base+"/metrics"); status != http.StatusUnauthorized {
		t.Errorf("/metrics without the token: %d %s", status, text)
	}
}

// TestOpsMetrics reads the metrics as Prometheus does.
func TestOpsMetrics(t *testing.T) {
	t.Parallel()
	short(t)
	url, _ := expose(t, nil, nil)
	base := strings.TrimSuffix(url, "/mcp")
	c := greets(t, url)
	c.ask(t, "tools/list", "{}")
	for range 3 {
		c.ask(t, "x/line", "{}")
	}
	c.ask(t, "x/fail", "{}")
	c.status(t, "PUT", "")
	_, text := probe(t, base+"/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	for series, want := range map[string]float64{
		"plait_calls_total server=child result=ok":             4, // the list is the child's, too
		"plait_calls_total server=child result=error":          1,
		"plait_calls_in_flight server=child":                   0,
		"plait_call_duration_seconds server=child":             5,
		"plait_server_connects_total server=child result=ok":   1,
		"plait_server_sessions server=child state=ready":       1,
		"plait_server_sessions server=child state=waiting":     0,
		"plait_http_sessions":                                  1,
		"plait_http_sessions_opened_total":                     1,
		"plait_http_requests_total code=200":                   6,
		"plait_http_requests_total code=202":                   1,
		"plait_http_requests_total code=405":                   1,
		"plait_clients":                                        1,
		"plait_config_generation":                              1,
		"plait_server_bytes_total server=child direction=sent": -1,
	} {
		got, ok := seriesOf(families, series)
		if !ok || want >= 0 && got != want || want < 0 && got <= 0 {
			t.Errorf("%s is %v %v, want %v", series, got, ok, want)
		}
	}
	if strings.Contains(text, c.session) || strings.Contains(text, "x/line") {
		t.Errorf("the metrics hold what is of a client:\n%s", text)
	}
	if _, text = probe(t, base+"/metrics", "Accept", "application/openmetrics-text;version=1.0.0"); !strings.HasSuffix(text, "# EOF\n") {
		t.Errorf("OpenMetrics ends with %q", text[max(0, len(text)-100):])
	}
}

// seriesOf returns the value of a series "name label=value …", of a histogram how many there are.
func seriesOf(families map[string]*dto.MetricFamily, series string) (float64, bool) {
	name, labels, _ := strings.Cut(series, " ")
	for _, m := range families[name].GetMetric() {
		var own []string
		for _, l := range m.GetLabel() {
			own = append(own, l.GetName()+"="+l.GetValue())
		}
		if strings.Join(own, " ") == labels {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount()), true
		}
	}
	return 0, false
}

// TestOpsAccessLog has clients show secrets wherever they can, and write what looks like lines of a log: there is one line
// for each request, and nothing of that.
func TestOpsAccessLog(t *testing.T) {
	t.Parallel()
	short(t)
	const canary = "CANARY0123456789"
	r := serveRemote(t, nil)
	base, p := listen(t, nil, "serve", "--stdio=false", "--config", opsConfig(t, "token-"+canary, map[string]any{"story": map[string]any{"url": r.mcp(), "prefix": ""}}))
	c := &exposeClient{url: base + "/mcp?key=" + canary, token: "token-" + canary}
	c.hello(t)
	c.tell(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	c.ask(t, "tools/call", `{"name":"echo","arguments":{"text":"`+canary+`"}}`)
	forged := "2026-01-01T00:00:00.000Z [INFO]  plait.access: request: method=GET path=/forged status=200"
	c.ask(t, "x/\n"+forged, "{}")
	for _, url := range []string{"/a%0a" + strings.ReplaceAll(forged, " ", "%20"), "/b%1b[2J%22%20status=200", "/" + strings.Repeat("long", 2000), "/c?q=" + canary} {
		probe(t, base+url, "Authorization", "Bearer wrong-"+canary, "Cookie", canary, "Mcp-Session-Id", canary, "X-Forwarded-For", canary)
	}
	id := c.session
	c.leave(t)
	line := regexp.MustCompile(`(?m)^\S+ \[INFO\]  plait\.access: request: method=(\S+) path=(\S+) status=(\d+) in=\d+ out=\d+ dur=\S+ rpc=(\S+) session=(\S+) from=127\.0\.0\.1:\d+$`)
	var lines [][]string
	until(t, "all lines", func() bool {
		lines = line.FindAllStringSubmatch(p.said(t), -1)
		return len(lines) >= 9
	})
	var got []string
	for _, l := range lines {
		got = append(got, strings.Join(l[1:5], " "))
		if known := l[5] != `""`; known != (l[2] == "/mcp") || known && l[5] != lines[0][5] {
			t.Errorf("session %s in %s", l[5], l[0])
		}
	}
	for i, want := range []string{
		"POST /mcp 200 initialize", "POST /mcp 202 notifications/initialized", "POST /mcp 200 tools/call", `POST /mcp 200 "x/%0A2026-`, `GET "/a%0A2026-`, `GET "/b%1B[2J%22%20status%3D200" 404 ""`,
		"GET /longlong", `GET /c 404 ""`, `DELETE /mcp 204 ""`,
	} {
		if !strings.HasPrefix(got[i], want) {
			t.Errorf("line %d is %q, want %q", i, got[i], want)
		}
	}
	said := p.said(t)
	for l := range strings.SplitSeq(strings.TrimSpace(said), "\n") {
		if !regexp.MustCompile(`^20\S+(Z|[+-]\d{4}) \[[A-Z]+\] +plait`).MatchString(l) || len(l) > 1000 || strings.ContainsRune(l, 0x1b) {
			t.Errorf("a line of the log is %q", l)
		}
	}
	if strings.Contains(said, canary) || strings.Contains(said, id) || strings.Contains(said, "method=GET path=/forged") {
		t.Errorf("the log holds what it must not:\n%s", said)
	}
}

// TestOpsDrain asks plait to end while a call is in flight and streams are open: /readyz says so while the call comes to
// its end, the streams end in order, and a second signal ends plait at once.
func TestOpsDrain(t *testing.T) {
	t.Parallel()
	short(t)
	if runtime.GOOS == "windows" {
		t.Skip("needs signals, which Windows does not have")
	}
	for _, patient := range []bool{true, false} {
		t.Run(strconv.FormatBool(patient), func(t *testing.T) {
			t.Parallel()
			url, p := expose(t, nil, nil)
			base := strings.TrimSuffix(url, "/mcp")
			c := greets(t, url)
			stream, err := c.do(t.Context(), "GET", "")
			if err != nil || stream.StatusCode != http.StatusOK {
				t.Fatal(stream, err)
			}
			defer stream.Body.Close()
			asking, err := c.do(t.Context(), "POST", `{"jsonrpc":"2.0","id":1,"method":"x/ask","params":{"ask":"sampling/createMessage","params":{"n":1}}}`)
			if err != nil {
				t.Fatal(err)
			}
			defer asking.Body.Close()
			var question wireMessage
			for question = range messagesOf(asking) {
				break
			}
			signalTo(t, p, syscall.SIGTERM)
			until(t, "/readyz to say so", func() bool {
				status, text := probe(t, base+"/readyz")
				return status == http.StatusServiceUnavailable && strings.Contains(text, "plait is ending")
			})
			if status, header, text := (&exposeClient{url: url}).status(t, "POST", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":`+exposeHello+`}`); status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
				t.Errorf("another session: %d %s", status, text)
			}
			if !patient {
				signalTo(t, p, syscall.SIGTERM)
				if err := p.wait(t); err == nil || p.cmd.ProcessState.Exited() {
					t.Errorf("plait ends with %v", err)
				}
				return
			}
			c.tell(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"said":"late"}}`, question.ID))
			for _, res := range []*http.Response{asking, stream} {
				if rest, err := io.ReadAll(res.Body); err != nil || res == asking && !strings.Contains(string(rest), "late") {
					t.Errorf("a stream ends with %q %v", rest, err)
				}
			}
			if err := p.wait(t); err != nil {
				t.Errorf("plait ends with %v", err)
			}
		})
	}
}

// TestOpsDrainSSE asks plait to end while a call over HTTP with SSE is in flight, in which the server asks the client: the call
// comes to its end, another one is refused, and the stream ends after the answer.
func TestOpsDrainSSE(t *testing.T) {
	t.Parallel()
	short(t)
	if runtime.GOOS == "windows" {
		t.Skip("needs signals, which Windows does not have")
	}
	url, p := expose(t, nil, nil)
	base := strings.TrimSuffix(url, "/mcp")
	c := visitWeb(t, base, "/sse", `{"sampling":{}}`)
	answer := make(chan webAnswer, 1)
	go func() { answer <- c.rpc("x/ask", `{"ask":"sampling/createMessage","params":{"n":1}}`) }()
	until(t, "the question", func() bool { return c.heard("sampling/createMessage") == 1 })
	signalTo(t, p, syscall.SIGTERM)
	until(t, "/readyz to say so", func() bool {
		status, text := probe(t, base+"/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(text, "plait is ending")
	})
	if status, said := c.post(`{"jsonrpc":"2.0","id":90,"method":"ping"}`); status != http.StatusServiceUnavailable || !strings.Contains(said, "ending") {
		t.Errorf("another call: %d %s", status, said)
	}
	c.mu.Lock()
	asked := c.got[0]
	c.mu.Unlock()
	var question wireMessage
	if err := json.Unmarshal([]byte(asked), &question); err != nil {
		t.Fatal(err)
	}
	if status, said := c.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"said":"late"}}`, question.ID)); status != http.StatusAccepted {
		t.Errorf("the answer: %d %s", status, said)
	}
	if got := <-answer; !strings.Contains(got.text(), "late") {
		t.Errorf("the call ends with %s", got.text())
	}
	if err := p.wait(t); err != nil {
		t.Errorf("plait ends with %v", err)
	}
}
