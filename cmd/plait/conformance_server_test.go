package main_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// conformanceSuites are the versions of the official suite that judge servers, and how many scenarios each has for those of
// 2025-11-25.
var conformanceSuites = map[string]struct {
	name      string // of the npm package
	args      []string
	scenarios int
}{
	"0.2.0-alpha.12": {"@modelcontextprotocol/conformance", []string{"--spec-version", "2025-11-25"}, 33},
	"0.1.16":         {"conformance-0.1.16", nil, 32},
}

// conformancePassed is the verdict on a scenario. That of polling judges nothing where a server lets its streams be.
var conformancePassed = regexp.MustCompile(`(?m)^✓ (\S+: [1-9]\d*|server-sse-polling: \d+) passed, 0 failed`)

// TestConformanceServer lets the official suites judge plait's listener, and plait expose, in front of the server that the
// official Go SDK has for that.
func TestConformanceServer(t *testing.T) {
	t.Parallel()
	node := nodeJS(t, 22)
	everything := conformanceEverything(t)
	port := startServer(t, func(port string) (cmd *exec.Cmd, listens string) {
		address := "127.0.0.1:" + port
		cmd = exec.CommandContext(context.Background(), everything, "-stateless=false", "-http", address)
		cmd.Env = testEnv(t)
		return cmd, "listening at " + address
	})
	serve := func(server map[string]any) []string {
		server["prefix"] = ""
		return []string{"serve", "--stdio=false", "--http", ":0", "--config", configFile(t, map[string]any{"everything": server})}
	}
	for before, args := range map[string][]string{
		"http":   serve(map[string]any{"url": "http://127.0.0.1:" + strconv.Itoa(port) + "/mcp"}),
		"stdio":  serve(map[string]any{"command": everything}),
		"expose": {"expose", "--port", "0", "--", everything},
	} {
		base, _ := listen(t, nil, args...)
		for version, suite := range conformanceSuites {
			t.Run(before+"/"+version, func(t *testing.T) {
				t.Parallel()
				p := newProgram(t, testEnv(t), append([]string{
					node, npmFile(t, suite.name, "dist", "index.js"), "server", "--url", base + "/mcp", "--suite", "all", "--output-dir", t.TempDir(),
				}, suite.args...)...)
				p.run()
				p.check(t)
				if passed := len(conformancePassed.FindAll(p.stdout.Bytes(), -1)); passed != suite.scenarios {
					t.Errorf("%d scenarios passed, want %d:\n%s", passed, suite.scenarios, p.stdout.Bytes())
				}
			})
		}
	}
}

// conformanceEverything builds the server of the official Go SDK.
func conformanceEverything(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "everything-server")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program,
		"github.com/modelcontextprotocol/go-sdk/conformance/everything-server").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}
