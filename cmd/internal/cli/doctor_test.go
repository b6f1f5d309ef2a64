package cli

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/server"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-1000 * time.Hour), NotAfter: time.Now().Add(1000 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, file: filepath.Join(t.TempDir(), "ca.pem")}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// serve starts a server whose certificate is for a host, "" for the loopback address, and good for so long.
func (a *authority) serve(t *testing.T, h http.Handler, host string, from, until time.Duration) string {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"},
		NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(until),
	}
	if host == "" {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: a.key}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func plainServer(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// dated answers with a Date that is so far off.
func dated(h http.Handler, off time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
		h.ServeHTTP(w, r)
	}
}

// examined runs doctor on a file and returns its exit code and the steps of each server as "step RESULT detail → next".
func examined(t *testing.T, text string) (int, map[string]string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "plait.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, talk bytes.Buffer
	exit := Main([]string{"doctor", "--json", "--config", file}, Env{
		In: strings.NewReader(""), Out: &out, Err: &talk, LookupEnv: func(string) (string, bool) { return "", false },
	})
	var all []examination
	if err := json.Unmarshal(out.Bytes(), &all); err != nil {
		t.Fatalf("doctor prints %q: %v\n%s", out.String(), err, talk.String())
	}
	found := map[string]string{}
	for _, e := range all {
		for _, s := range e.Steps {
			found[e.Server] += fmt.Sprintf("%s %s %s → %s\n", s.Step, s.Result, s.Detail, s.Next)
		}
	}
	return exit, found
}

func TestDoctor(t *testing.T) {
	mcp := server.NewStreamableHTTPServer(server.NewMCPServer("story", "1"))
	ca, stranger := newAuthority(t), newAuthority(t)
	const year = 24 * 365 * time.Hour
	const closed = "http://127.0.0.1:1" // a port that no server of a test is given
	denies := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }

	for _, c := range []struct {
		name, server string
		exit         code
		want         []string // in that order; the step before the last one named passes or is skipped
	}{
		{"plain", "url: " + plainServer(t, mcp.ServeHTTP), exitOK, []string{
			"settings PASS", "proxy PASS none", "dns PASS 127.0.0.1 is an address", "tcp PASS 127.0.0.1:", "tls SKIP http", "clock PASS", "handshake PASS story speaks 2025-11-25",
		}},
		{"tls", fmt.Sprintf("{url: %q, caFile: %q}", ca.serve(t, mcp, "", -time.Hour, year), ca.file), exitOK, []string{
			"tls PASS TLS 1.3, certificate of leaf by Authority, expires in", "handshake PASS",
		}},
		{"wrong name", fmt.Sprintf("{url: %q, caFile: %q}", ca.serve(t, mcp, "other.example.com", -time.Hour, year), ca.file), exitUnreachable, []string{
			"tcp PASS", "tls FAIL the certificate is not for 127.0.0.1 but for [other.example.com] → use a host of the certificate in url", "clock SKIP", "handshake SKIP",
		}},
		{"expired", fmt.Sprintf("{url: %q, caFile: %q}", ca.serve(t, mcp, "", -2*time.Hour, -time.Hour), ca.file), exitUnreachable, []string{
			"tls FAIL the certificate expired", "→ renew it at the server",
		}},
		{"not yet", fmt.Sprintf("{url: %q, caFile: %q}", ca.serve(t, mcp, "", time.Hour, 2*time.Hour), ca.file), exitUnreachable, []string{
			"tls FAIL the certificate is valid from", "→ check the clock of this machine",
		}},
		{"unknown authority", fmt.Sprintf("{url: %q, caFile: %q}", ca.serve(t, mcp, "", -time.Hour, year), stranger.file), exitUnreachable, []string{
			"tls FAIL the certificate is signed by nobody this machine knows: CN=Authority → set caFile",
		}},
		{"no TLS there", "url: " + strings.Replace(plainServer(t, mcp.ServeHTTP), "http:", "https:", 1), exitUnreachable, []string{
			"tls FAIL the server does not speak TLS → use http://",
		}},
		{"no such name", "url: https://mcp.invalid/mcp", exitUnreachable, []string{
			"dns FAIL", "→ check", "tcp SKIP a step before failed", "tls SKIP",
		}},
		{"nobody there", "url: " + closed, exitUnreachable, []string{
			"dns PASS", "tcp FAIL 127.0.0.1:", "connection refused → nobody listens there", "tls SKIP", "handshake SKIP",
		}},
		{"late", "url: " + plainServer(t, dated(mcp, -10*time.Minute)), exitUnreachable, []string{
			"clock FAIL the server is 10m", "behind this machine → set the clock", "handshake PASS",
		}},
		{"early", "url: " + plainServer(t, dated(mcp, 3*time.Minute)), exitUnreachable, []string{"clock FAIL the server is", "ahead of this machine"}},
		{"401", "url: " + plainServer(t, denies), exitUnreachable, []string{
			"clock PASS", "handshake FAIL", "401", "→ give it credentials in headers",
		}},
		{"404", "url: " + plainServer(t, http.NotFound), exitUnreachable, []string{"handshake FAIL", "404", "→ check the path in url"}},
		{"not MCP", "url: " + plainServer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }), exitUnreachable, []string{
			"clock PASS", "handshake FAIL",
		}},
		{"no HEAD", "url: " + plainServer(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				panic(http.ErrAbortHandler)
			}
			mcp.ServeHTTP(w, r)
		}), exitOK, []string{"tls SKIP", "clock SKIP no answer to HEAD: EOF", "handshake PASS"}},
		{"no command", "{command: no-such-command-anywhere}", exitUnreachable, []string{
			"command FAIL no-such-command-anywhere is not in the search path → install it", "start SKIP", "handshake SKIP",
		}},
		{"variable", "{url: \"https://example.com/${NOT_SET}\"}", exitUsage, []string{
			"settings FAIL", "variable NOT_SET is not set", "proxy SKIP", "handshake SKIP",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			exit, found := examined(t, "mcpServers:\n  s: "+strings.Replace(c.server, "url: h", "\n    url: h", 1)+"\n")
			rest := found["s"]
			for _, want := range c.want {
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Fatalf("no %q in\n%s", want, found["s"])
				}
				rest = after
			}
			if exit != int(c.exit) {
				t.Errorf("exit %d, want %d:\n%s", exit, c.exit, found["s"])
			}
		})
	}
}

func TestDoctorNamesEveryMistakeOfTheFile(t *testing.T) {
	exit, found := examined(t, "startup: {wiat: 1s}\nlog: {level: loud}\nmcpServers: {}\n")
	if got := strings.Count(found[""], "config FAIL"); got != 2 || exit != int(exitUsage) {
		t.Errorf("exit %d with %d mistakes:\n%s", exit, got, found[""])
	}
}

func TestDoctorIsReadable(t *testing.T) {
	e := &examination{Server: "s"}
	e.pass(stepSettings, "fine")
	e.fail(stepTCP, "refused\nby all", "start it")
	e.skip(becauseBefore, stepTLS)
	const want = `
s
  settings   PASS  fine
  tcp        FAIL  refused
                   by all
             →     start it
  tls        SKIP  a step before failed
`
	if got := describe([]*examination{e}); got != want {
		t.Errorf("it reads\n%s\nwant\n%s", got, want)
	}
}
