package flow_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/auth/flow"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

// TestM18WrongHostMethodPath has requests that no browser of a person makes refused: with constant pages, while the
// sign-in that they are about stays as it is.
func TestM18WrongHostMethodPath(t *testing.T) {
	r := newRig(t, config.Callback{})
	p := r.pending("work")
	f := r.begin(p)
	address := answer(p, "code", "stolen", "iss", issuer)
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	host := func(h string) func(*http.Request) { return func(req *http.Request) { req.Host = h } }
	method := func(m string) func(*http.Request) { return func(req *http.Request) { req.Method = m } }
	header := func(k, v string) func(*http.Request) { return func(req *http.Request) { req.Header.Set(k, v) } }
	path := func(p string) func(*http.Request) {
		return func(req *http.Request) { req.URL.Opaque = "//" + at.Host + p + "?" + at.RawQuery }
	}
	for _, row := range []struct {
		name   string
		change func(*http.Request)
		status int
	}{
		{"foreign host", host("evil.example"), http.StatusMisdirectedRequest},
		{"foreign host with our port", host("evil.example:" + at.Port()), http.StatusMisdirectedRequest},
		{"rebound name", host("127.0.0.1.evil.example:" + at.Port()), http.StatusMisdirectedRequest},
		{"no port", host("127.0.0.1"), http.StatusMisdirectedRequest},
		{"other port", host("127.0.0.1:1"), http.StatusMisdirectedRequest},
		{"other loopback address", host("127.0.0.2:" + at.Port()), http.StatusMisdirectedRequest},
		{"dot at the end", host("localhost.:" + at.Port()), http.StatusMisdirectedRequest},
		{"POST", method(http.MethodPost), http.StatusMethodNotAllowed},
		{"HEAD", method(http.MethodHead), http.StatusMethodNotAllowed},
		{"PUT", method(http.MethodPut), http.StatusMethodNotAllowed},
		{"OPTIONS", method(http.MethodOptions), http.StatusMethodNotAllowed},
		{"slash at the end", path("/callback/"), http.StatusNotFound},
		{"two slashes", path("//callback"), http.StatusNotFound},
		{"upper case", path("/Callback"), http.StatusNotFound},
		{"escaped", path("/%63allback"), http.StatusNotFound},
		{"above", path("/x/../callback"), http.StatusNotFound},
		{"root", path("/"), http.StatusNotFound},
		{"frame", header("Sec-Fetch-Dest", "iframe"), http.StatusForbidden},
		{"image", header("Sec-Fetch-Dest", "image"), http.StatusForbidden},
		{"script", header("Sec-Fetch-Dest", "script"), http.StatusForbidden},
		{"fetch", header("Sec-Fetch-Dest", "empty"), http.StatusForbidden},
		{"prefetch", header("Sec-Purpose", "prefetch;prerender"), http.StatusForbidden},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := visit(t, address, row.change)
			if got.status != row.status {
				t.Errorf("status %d, want %d", got.status, row.status)
			}
			safe(t, p, got)
		})
	}
	if got := r.exchanged(); got != "" {
		t.Errorf("exchanged %q", got)
	}
	if got := visit(t, answer(p, "code", "mine", "iss", issuer)); got.status != http.StatusOK {
		t.Errorf("the real answer: %d", got.status)
	}
	if err := wait(t, f); err != nil {
		t.Error(err)
	}
}

// safe checks what every answer has to have, and must not have.
func safe(t *testing.T, p *flow.Pending, got reply) {
	t.Helper()
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.header.Get(name), want)
		}
	}
	policy := got.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q has no %q", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") || got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("the answer is open to others: %v", got.header)
	}
	if p != nil {
		for _, secret := range []string{p.State, p.Verifier, "stolen"} {
			if strings.Contains(got.body, secret) {
				t.Errorf("the page holds a secret:\n%s", got.body)
			}
		}
	}
}

// TestForeignOrigin has a page of another origin send the answer: by a form, which is refused, and by a link, which is
// how every answer comes and needs the state.
func TestForeignOrigin(t *testing.T) {
	r := newRig(t, config.Callback{})
	p := r.pending("work")
	f := r.begin(p)
	cross := func(req *http.Request) {
		req.Header.Set("Origin", "https://evil.example")
		req.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	post := func(req *http.Request) {
		cross(req)
		req.Method = http.MethodPost
		req.Body = io.NopCloser(strings.NewReader(url.Values{"state": {p.State}, "code": {"stolen"}}.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, address := range []string{p.RedirectURI, answer(p, "code", "stolen"), f.Link(), f.Link() + "/go"} {
		if got := visit(t, address, post); got.status != http.StatusMethodNotAllowed || got.header.Get("Location") != "" {
			t.Errorf("POST from another origin to %s: %d", address, got.status)
		}
	}
	if got := visit(t, p.RedirectURI+"?code=stolen&state="+flow.NewState(), cross); got.status != http.StatusBadRequest {
		t.Errorf("GET from another origin with a made-up state: %d", got.status)
	}
	if r.exchanged() != "" {
		t.Error("a foreign answer was exchanged")
	}
}

// TestM19UnknownOrUsedState has answers refused that belong to no sign-in under way.
func TestM19UnknownOrUsedState(t *testing.T) {
	r := newRig(t, config.Callback{})
	p := r.pending("work")
	f := r.begin(p)
	for name, query := range map[string]string{
		"unknown":   "code=c&state=" + flow.NewState(),
		"empty":     "code=c&state=",
		"none":      "code=c",
		"nothing":   "",
		"twice":     "code=c&state=" + p.State + "&state=" + p.State,
		"shortened": "code=c&state=" + p.State[:len(p.State)-1],
		"longer":    "code=c&state=" + p.State + "x",
		"case":      "code=c&state=" + strings.ToUpper(p.State),
		"the ID":    "code=c&state=" + f.ID,
		"huge":      "code=c&state=" + strings.Repeat("a", 5000),
		"not UTF-8": "code=c&state=%ff%00",
		"malformed": "code=c&state=%zz",
		"semicolon": "code=c;state=" + p.State,
	} {
		got := visit(t, p.RedirectURI+"?"+query)
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, "This sign-in link is no longer valid") {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		safe(t, p, got)
	}
	if got := visit(t, answer(p, "code", "mine")); got.status != http.StatusOK {
		t.Fatalf("the real answer: %d", got.status)
	}
	replay := visit(t, answer(p, "code", "mine"))
	if replay.status != http.StatusBadRequest || !strings.Contains(replay.body, "no longer valid") {
		t.Errorf("the replay: %d %s", replay.status, replay.body)
	}
	if err := wait(t, f); err != nil {
		t.Error(err)
	}
	if got := r.exchanged(); got != "work verifier-work mine" {
		t.Errorf("exchanged %q", got)
	}
}

// TestA20State sends one answer many times at once, to two processes and by hand: it is taken once.
func TestA20State(t *testing.T) {
	r := newRig(t, config.Callback{})
	p := r.pending("work")
	f := r.begin(p)
	other := newSibling(t, r.dir, config.Callback{Port: p.Port})
	var taken atomic.Int32
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if i%2 == 0 {
				if err := other.broker.Paste(t.Context(), answer(p, "code", "c")); err == nil {
					taken.Add(1)
				} else if !errors.Is(err, flow.ErrStale) {
					t.Errorf("Paste: %v", err)
				}
				return
			}
			if visit(t, answer(p, "code", "c")).status == http.StatusOK {
				taken.Add(1)
			}
		})
	}
	all.Wait()
	if err := wait(t, f); err != nil {
		t.Error(err)
	}
	if got := r.exchanged() + other.exchanged(); taken.Load() != 1 || got != "work verifier-work c" {
		t.Errorf("taken %d times, exchanged %q", taken.Load(), got)
	}
}

// TestB6IssOfResponse is the table of RFC 9207: what is promised, what comes, and for answers with a code and with an
// error whether they are used.
func TestB6IssOfResponse(t *testing.T) {
	r := newRig(t, config.Callback{})
	for _, row := range []struct {
		name     string
		promised bool
		iss      []string
		accepted bool
	}{
		{"promised and right", true, []string{issuer}, true},
		{"promised and absent", true, nil, false},
		{"not promised and right", false, []string{issuer}, true},
		{"not promised and absent", false, nil, true},
		{"promised and wrong", true, []string{"https://evil.example"}, false},
		{"not promised and wrong", false, []string{"https://evil.example"}, false},
		{"empty", false, []string{""}, false},
		{"twice", true, []string{issuer, issuer}, false},
		{"twice, one wrong", true, []string{issuer, "https://evil.example"}, false},
		{"other case", true, []string{"https://Login.example.com/tenant"}, false},
		{"slash at the end", true, []string{issuer + "/"}, false},
		{"default port", true, []string{"https://login.example.com:443/tenant"}, false},
		{"escaped", true, []string{"https://login.example.com/%74enant"}, false},
		{"space", true, []string{issuer + " "}, false},
	} {
		for _, kind := range []string{"code", "error"} {
			t.Run(row.name+", with "+kind, func(t *testing.T) {
				p := r.pending("work")
				p.IssRequired = row.promised
				f := r.begin(p)
				pairs := []string{"code", "c"}
				if kind == "error" {
					pairs = []string{"error", "server_error", "error_description", "call 0900 for help"}
				}
				for _, iss := range row.iss {
					pairs = append(pairs, "iss", iss)
				}
				before := r.exchanged()
				got := visit(t, answer(p, pairs...))
				err := wait(t, f)
				if used := r.exchanged() != before; used != (row.accepted && kind == "code") {
					t.Errorf("the code went to the token endpoint: %t", used)
				}
				_, foreign := errors.AsType[*flow.IssuerError](err)
				response, answered := errors.AsType[*flow.ResponseError](err)
				switch {
				case !row.accepted:
					if !foreign || got.status != http.StatusBadRequest || strings.Contains(got.body, "0900") || strings.Contains(got.body, "server_error") {
						t.Errorf("it was used: %v, %d %s", err, got.status, got.body)
					}
				case kind == "code" && err != nil:
					t.Errorf("it was not used: %v", err)
				case kind == "error" && (!answered || response.Code != "server_error" || response.Description != "call 0900 for help"):
					t.Errorf("the error is %v", err)
				}
				if again := visit(t, answer(p, "code", "c", "iss", issuer)); again.status != http.StatusBadRequest {
					t.Errorf("the sign-in is still under way: %d", again.status)
				}
			})
		}
	}
}

// TestM20IssWrong says what a person and a log are told of an answer from another authorization server, and that the
// sign-in is over in every process.
func TestM20IssWrong(t *testing.T) {
	log := &bytes.Buffer{}
	s, err := store.Open(store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := flow.NewBroker(t.Context(), flow.Options{Store: s, Log: hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Trace})})
	r := &rig{tb: t, store: s, broker: b}
	p := r.pending("work")
	f := r.begin(p)
	got := visit(t, answer(p, "code", "canary-code", "iss", "https://evil.example/canary", "error_description", "canary-text"))
	if !strings.Contains(got.body, "The sign-in was stopped") || strings.Contains(got.body, "evil") {
		t.Errorf("the page: %s", got.body)
	}
	if err := wait(t, f); err == nil || !strings.Contains(err.Error(), "RFC 9207") {
		t.Errorf("Wait: %v", err)
	}
	b.Close()
	if text := log.String(); !strings.Contains(text, "RFC 9207") || strings.Contains(text, "canary") || strings.Contains(text, p.State) {
		t.Errorf("the log: %s", text)
	}
}

// TestM21AccessDenied tells a refusal of the person from other errors, in every process.
func TestM21AccessDenied(t *testing.T) {
	r := newRig(t, config.Callback{})
	p := r.pending("work")
	f := r.begin(p)
	other := newSibling(t, r.dir, config.Callback{Port: p.Port})
	same, err := other.broker.Find(t.Context(), p.GrantKey)
	if err != nil || same == nil {
		t.Fatal(same, err)
	}
	got := visit(t, answer(p, "error", "access_denied", "error_description", "no"))
	if got.status != http.StatusBadRequest || !strings.Contains(got.body, "You declined access") {
		t.Errorf("the page: %d %s", got.status, got.body)
	}
	for _, f := range []*flow.Flow{f, same} {
		if _, ok := errors.AsType[*flow.DeniedError](wait(t, f)); !ok {
			t.Errorf("Wait: %v", wait(t, f))
		}
	}
}

// TestResponseErrors shows what an authorization server says as text, and as little of it as needed.
func TestResponseErrors(t *testing.T) {
	r := newRig(t, config.Callback{})
	for _, row := range []struct {
		name        string
		pairs       []string
		code, shown string
	}{
		{"plain", []string{"error", "invalid_scope", "error_description", "no such scope"}, "invalid_scope", "no such scope"},
		{"markup", []string{"error", "invalid_request", "error_description", "<script>alert(1)</script>"}, "invalid_request", "&lt;script&gt;"},
		{"control characters", []string{"error", "server_error", "error_description", "a\x1b[31mb\r\nc"}, "server_error", "a[31mbc"},
		{"both", []string{"error", "server_error", "code", "c"}, "server_error", "server_error"},
		{"neither", nil, "invalid_response", "holds no code"},
		{"code twice", []string{"code", "a", "code", "b"}, "invalid_response", "holds no code"},
		{"code too long", []string{"code", strings.Repeat("a", 5000)}, "invalid_response", "holds no code"},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := r.pending("work")
			f := r.begin(p)
			got := visit(t, answer(p, row.pairs...))
			safe(t, p, got)
			if !strings.Contains(got.body, row.shown) || strings.Contains(got.body, "<script>alert") {
				t.Errorf("the page: %s", got.body)
			}
			e, ok := errors.AsType[*flow.ResponseError](wait(t, f))
			if !ok || e.Code != row.code || strings.ContainsAny(e.Error(), "\x1b\r\n") || len(e.Description) > 200 {
				t.Errorf("Wait: %v", e)
			}
		})
	}
	if r.exchanged() != "" {
		t.Errorf("exchanged %q", r.exchanged())
	}
}

// TestFinishFails tells every process what Finish says, with its code.
func TestFinishFails(t *testing.T) {
	r := newRig(t, config.Callback{})
	r.fail = fmt.Errorf("work: %w", &flow.FailedError{Code: "invalid_grant", Message: "the code was refused"})
	p := r.pending("work")
	f := r.begin(p)
	other := newSibling(t, r.dir, config.Callback{Port: p.Port})
	same, err := other.broker.Find(t.Context(), p.GrantKey)
	if err != nil || same == nil {
		t.Fatal(same, err)
	}
	if got := visit(t, answer(p, "code", "c")); got.status != http.StatusBadGateway || !strings.Contains(got.body, "the code was refused") {
		t.Errorf("the page: %d %s", got.status, got.body)
	}
	for _, f := range []*flow.Flow{f, same} {
		if e, ok := errors.AsType[*flow.FailedError](wait(t, f)); !ok || e.Code != "invalid_grant" || e.Message != "the code was refused" {
			t.Errorf("Wait: %v", e)
		}
	}
}

// TestTenThousandRequests sends ten thousand requests with made-up states at once; the sign-in still works after.
func TestTenThousandRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t, config.Callback{})
	p := r.pending("work")
	f := r.begin(p)
	client := &http.Client{Timeout: hung, Transport: &http.Transport{MaxConnsPerHost: 16, MaxIdleConnsPerHost: 16}}
	defer client.CloseIdleConnections()
	var odd atomic.Int32
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 10_000 / 16 {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.RedirectURI+"?code=c&state="+flow.NewState(), nil)
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != http.StatusBadRequest {
					odd.Add(1)
				}
			}
		})
	}
	all.Wait()
	if odd.Load() != 0 {
		t.Errorf("%d requests were not refused", odd.Load())
	}
	if got := visit(t, answer(p, "code", "c")); got.status != http.StatusOK {
		t.Errorf("the real answer after them: %d", got.status)
	}
	if err := wait(t, f); err != nil {
		t.Error(err)
	}
}

// TestLimits holds connections open, and sends a header that is too long: neither keeps a person out.
func TestLimits(t *testing.T) {
	t.Parallel()
	r := newRig(t, config.Callback{})
	p := r.pending("work")
	f := r.begin(p)
	at, err := url.Parse(p.RedirectURI)
	if err != nil {
		t.Fatal(err)
	}
	long := visit(t, p.RedirectURI, func(req *http.Request) { req.Header.Set("Cookie", strings.Repeat("a", 16<<10)) })
	if long.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 16 KB: %d", long.status)
	}
	var conns []net.Conn
	for range 300 {
		c, err := (&net.Dialer{Timeout: hung}).DialContext(t.Context(), "tcp", at.Host)
		if err != nil {
			break // the system's own limit
		}
		conns = append(conns, c)
		_, _ = io.WriteString(c, "GET /callback HTTP/1.1\r\n") // and no more
	}
	closed := 0
	for _, c := range conns {
		_ = c.SetReadDeadline(time.Now().Add(hung))
		if _, err := bufio.NewReader(c).ReadByte(); err == nil || isClosed(err) {
			closed++
		}
		c.Close()
	}
	if closed != len(conns) {
		t.Errorf("%d of %d connections that send nothing stay", len(conns)-closed, len(conns))
	}
	if got := visit(t, answer(p, "code", "c")); got.status != http.StatusOK {
		t.Errorf("the real answer after them: %d", got.status)
	}
	if err := wait(t, f); err != nil {
		t.Error(err)
	}
}

func isClosed(err error) bool {
	var timeout net.Error
	return !errors.As(err, &timeout) || !timeout.Timeout()
}

// TestPaste takes the address that a person landed on in a browser elsewhere.
func TestPaste(t *testing.T) {
	r := newRig(t, config.Callback{})
	for _, row := range []struct {
		name string
		text func(p *flow.Pending) string
		err  string // "" for a sign-in
	}{
		{"address", func(p *flow.Pending) string { return answer(p, "code", "c", "iss", issuer) }, ""},
		{"with spaces and a line end", func(p *flow.Pending) string { return "  " + answer(p, "code", "c") + "\r\n" }, ""},
		{"query", func(p *flow.Pending) string { return "code=c&state=" + p.State }, ""},
		{"question mark", func(p *flow.Pending) string { return "?code=c&state=" + p.State + "#" }, ""},
		{"another port", func(p *flow.Pending) string { return "http://localhost:1/callback?code=c&state=" + p.State }, ""},
		{"code alone", func(*flow.Pending) string { return "canary" }, "holds no state"},
		{"no state", func(*flow.Pending) string { return "http://127.0.0.1/callback?code=canary" }, "holds no state"},
		{"nothing", func(*flow.Pending) string { return "" }, "holds no state"},
		{"unknown state", func(*flow.Pending) string { return "code=canary&state=nobody" }, "no longer valid"},
		{"wrong iss", func(p *flow.Pending) string { return answer(p, "code", "canary", "iss", "https://evil.example") }, "RFC 9207"},
		{"declined", func(p *flow.Pending) string { return answer(p, "error", "access_denied") }, "declined"},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := r.pending("work")
			f := r.begin(p)
			err := r.broker.Paste(t.Context(), row.text(p))
			if row.err == "" {
				if err != nil || wait(t, f) != nil {
					t.Errorf("Paste: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), row.err) || strings.Contains(err.Error(), "canary") {
				t.Errorf("Paste: %v, want %q", err, row.err)
			}
			if err := f.Cancel(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPendingIsHidden prints a sign-in in every way.
func TestPendingIsHidden(t *testing.T) {
	p := &flow.Pending{ID: "an-id", Identity: "work", State: "canary-1", Verifier: "canary-2", AuthorizeURL: "https://a.example/?state=canary-3", Finish: []byte(`"canary-4"`)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{p, *p, []*flow.Pending{p}, struct{ P flow.Pending }{*p}} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, "canary") || strings.Contains(got, "63616e617279") {
				t.Errorf("%s shows %s", verb, got)
			}
		}
	}
}

func FuzzPaste(f *testing.F) {
	f.Add("http://127.0.0.1:33419/callback?code=a&state=b&iss=c")
	f.Add("code=a&state=b")
	f.Add("?state=%ff&state=&code")
	s, err := store.Open(store.Options{})
	if err != nil {
		f.Fatal(err)
	}
	b := flow.NewBroker(f.Context(), flow.Options{Store: s})
	defer b.Close()
	f.Fuzz(func(t *testing.T, text string) {
		if err := b.Paste(t.Context(), text); err == nil {
			t.Errorf("%q signed somebody in", text)
		}
	})
}
