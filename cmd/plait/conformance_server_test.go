package main_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// conformanceServers is how many scenarios for servers of 2025-11-25 the suite has.
const conformanceServers = 33

// TestConformanceServer lets the official suite judge plait's listener in front of the server that the official Go SDK
// has for that, over each wire.
func TestConformanceServer(t *testing.T) {
	t.Parallel()
	node := nodeJS(t, 22)
	suite := npmFile(t, "@modelcontextprotocol/conformance", "dist", "index.js")
	everything := conformanceEverything(t)
	port := startServer(t, func(port string) (cmd *exec.Cmd, listens string) {
		address := "127.0.0.1:" + port
		cmd = exec.CommandContext(context.Background(), everything, "-stateless=false", "-http", address)
		cmd.Env = testEnv(t)
		return cmd, "listening at " + address
	})
	for wire, server := range map[string]map[string]any{
		"http":  {"url": "http://127.0.0.1:" + strconv.Itoa(port) + "/mcp", "prefix": ""},
		"stdio": {"command": everything, "prefix": ""},
	} {
		t.Run(wire, func(t *testing.T) {
			t.Parallel()
			file := configFile(t, map[string]any{"everything": server})
			base, _ := listen(t, nil, "serve", "--stdio=false", "--http", ":0", "--config", file)
			p := newProgram(t, testEnv(t), node, suite, "server", "--url", base+"/mcp", "--suite", "all", "--spec-version", "2025-11-25",
				"--output-dir", t.TempDir())
			p.run()
			p.check(t)
			passed := 0
			for line := range strings.Lines(p.stdout.String()) {
				if strings.HasPrefix(line, "✓ ") && strings.Contains(line, ", 0 failed") {
					passed++
				}
			}
			if passed != conformanceServers {
				t.Errorf("%d scenarios passed, want %d:\n%s", passed, conformanceServers, p.stdout.Bytes())
			}
		})
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
