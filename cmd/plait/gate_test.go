package main_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// visitor is a client that shows how an endpoint answers single requests, each over a connection of its own.
type visitor struct {
	tb      testing.TB
	url     string
	token   string
	roots   *x509.CertPool
	session string
}

const (
	visitorHello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"visitor","version":"1"}}}`
	visitorPing  = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
)

// send posts a message and returns the status, 0 when nobody answers, and the certificate that was shown.
func (v *visitor) send(body string) (status int, shown *x509.Certificate) {
	v.tb.Helper()
	req, err := http.NewRequestWithContext(v.tb.Context(), http.MethodPost, v.url, strings.NewReader(body))
	if err != nil {
		v.tb.Fatal(err)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Mcp-Session-Id": v.session,
	} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	if v.token != "" {
		req.Header.Set("Authorization", "Bearer "+v.token)
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: v.roots, MinVersion: tls.VersionTLS12}}}
	res, err := c.Do(req)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	if id := res.Header.Get("Mcp-Session-Id"); id != "" {
		v.session = id
	}
	if res.TLS != nil {
		shown = res.TLS.PeerCertificates[0]
	}
	return res.StatusCode, shown
}

func (v *visitor) want(body string, status int) {
	v.tb.Helper()
	if got, _ := v.send(body); got != status {
		v.tb.Errorf("%s: status %d, want %d", v.url, got, status)
	}
}

// hello opens a session.
func (v *visitor) hello() {
	v.tb.Helper()
	v.session = ""
	v.want(visitorHello, http.StatusOK)
	v.want(`{"jsonrpc":"2.0","method":"notifications/initialized"}`, http.StatusAccepted)
}

// says runs plait to its end and returns its output.
func says(tb testing.TB, env []string, code int, args ...string) (stdout, stderr string) {
	tb.Helper()
	p := newProgram(tb, env, append([]string{plaitProgram(tb)}, args...)...)
	p.run()
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		tb.Errorf("plait %q exits with %d, want %d: %s", args, got, code, p.stderr.String())
	}
	return p.stdout.String(), p.stderr.String()
}

// TestGateToken has plait make a token for clients: it is the same for all processes, even if they start at once, and when
// another takes its place nobody is served any more who has the former one.
func TestGateToken(t *testing.T) {
	t.Parallel()
	short(t)
	home := homeIn(t.TempDir())
	env := append(testEnv(t), home...)
	var all sync.WaitGroup
	var mu sync.Mutex
	tokens := map[string]bool{}
	for range 4 {
		all.Go(func() {
			token, _ := says(t, env, 0, "serve", "--print-token")
			mu.Lock()
			defer mu.Unlock()
			tokens[token] = true
		})
	}
	all.Wait()
	first, usage := says(t, env, 0, "serve", "--print-token")
	if tokens[first] = true; len(tokens) != 1 || len(first) < 30 || strings.Contains(usage, strings.TrimSpace(first)) || !strings.Contains(usage, "Authorization") {
		t.Fatalf("%d tokens, and %q on stderr", len(tokens), usage)
	}
	base, p := listen(t, append(home, "PLAIT_LOG=trace"), "connect", serveRemote(t, nil).mcp(), "--listen", "127.0.0.1:0", "--auth", "bearer")
	v := &visitor{tb: t, url: base + "/mcp"}
	v.want(visitorHello, http.StatusUnauthorized)
	v.token = strings.TrimSpace(first)
	v.hello()
	second, _ := says(t, env, 0, "serve", "--new-token")
	until(t, "the former token to be refused", func() bool {
		status, _ := v.send(visitorPing)
		return status == http.StatusUnauthorized
	})
	v.token = strings.TrimSpace(second)
	v.want(visitorPing, http.StatusNotFound)
	v.hello()
	for _, token := range []string{first, second} {
		if strings.Contains(p.said(t), strings.TrimSpace(token)) {
			t.Error("the log holds a token")
		}
	}
}

// TestGateRefuses lists what plait does not begin to serve, and what it says then.
func TestGateRefuses(t *testing.T) {
	t.Parallel()
	short(t)
	cert, key, _ := newCertificate(t, "one")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	env := append(testEnv(t), "TOKEN=0123456789abcdef")
	file := func(serve string) []string {
		name := filepath.Join(t.TempDir(), "plait.yaml")
		writeFile(t, name, "mcpServers: {}\n"+serve)
		return []string{"serve", "--config", name}
	}
	for _, c := range []struct {
		args  []string
		words []string
	}{
		{file("serve: {http: {listen: '0.0.0.0:0'}}"), []string{"PLAIT-CMD-004", "--auth bearer", "--tls-cert", "--insecure", "127.0.0.1"}},
		{file("serve: {http: {listen: '[::]:0', auth: bearer}}"), []string{"PLAIT-CMD-004", "whoever is on the way could read", "--tls-cert"}},
		{file("serve: {http: {listen: '0.0.0.0:0', tls: {cert: '" + cert + "', key: '" + key + "'}}}"), []string{"PLAIT-CMD-004", "whoever reaches it", "--auth bearer"}},
		{[]string{"expose", "-H", "0.0.0.0", "-p", "0", "--auth", "none", "--", "true"}, []string{"PLAIT-CMD-004"}},
		{[]string{"connect", "http://127.0.0.1:1/mcp", "-l", "0.0.0.0:0", "--auth", "${TOKEN}"}, []string{"PLAIT-CMD-004", "--insecure"}},
		{append(file(""), "--http", ":0", "--auth", "0123456789abcdef"), []string{"'${VAR}'", "could be seen by others"}},
		{append(file(""), "--http", ":0", "--auth", "${NO_SUCH}"), []string{"--auth: variable NO_SUCH is not set"}},
		{append(file(""), "--http", ":0", "--tls-cert", cert), []string{"--tls-cert and --tls-key: has only one"}},
		{append(file(""), "--http", ":0", "--tls-cert", cert, "--tls-key", cert), []string{"serve.http.tls", "check both files"}},
		{append(file(""), "--http", taken.Addr().String()), []string{"PLAIT-CMD-005", "another program listens there", "plait status"}},
		{append(file(""), "--http", "192.0.2.1:0", "--insecure"), []string{"PLAIT-CMD-005", "does not have that address"}},
		{file("credentials: {store: memory}\nserve: {http: {listen: ':0', auth: bearer}}"), []string{"credentials.store is memory"}},
		{append(file("credentials: {store: memory}"), "--print-token"), []string{"credentials.store is memory"}},
		{append(file("serve: {http: {auth: {bearer: '${TOKEN}'}}}"), "--new-token"), []string{"replace it there"}},
	} {
		if runtime.GOOS != "linux" && strings.Contains(c.words[0], "005") {
			continue // others say it in their own words
		}
		_, said := says(t, env, 2, c.args...)
		for _, words := range c.words {
			if !strings.Contains(said, words) {
				t.Errorf("plait %q says %q, want %q", c.args, said, words)
			}
		}
		if strings.Contains(said, "0123456789abcdef") {
			t.Errorf("plait %q shows the token", c.args)
		}
	}
}

// TestGateGuessable has plait warn of a token that can be guessed, wherever it is given: once, and without the token.
func TestGateGuessable(t *testing.T) {
	t.Parallel()
	short(t)
	for name, given := range map[string]struct {
		auth any // of the file
		args []string
		at   string
	}{
		"file": {map[string]any{"bearer": "${TOKEN}"}, nil, "path=serve.http.auth.bearer"},
		"flag": {"none", []string{"--auth", "${TOKEN}"}, "path=--auth"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home := append(homeIn(t.TempDir()), "TOKEN=canary")
			e := &endpoint{
				tb: t, env: append(testEnv(t), home...), file: filepath.Join(t.TempDir(), "plait.json"), server: serveRemote(t, nil).mcp(),
				settings: map[string]any{"listen": ":0", "auth": given.auth},
			}
			e.save()
			_, p := listen(t, home, append([]string{"serve", "--config", e.file}, given.args...)...)
			e.set("sse", false, 0, "changed  serve.http.sse")
			said := p.said(t)
			if n := linesWith(said, given.at+` problem="is so short that it can be guessed" hint="write 16 characters at least, or auth: bearer for one that plait makes" id=PLAIT-CFG-055`); n != 1 || strings.Contains(said, "canary") {
				t.Errorf("warned %d times in\n%s", n, said)
			}
		})
	}
}
