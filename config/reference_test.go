package config_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/config"
)

// runsFile names the file into which the test binary, when it plays a command that prints a secret, writes that it ran.
const runsFile = "PLAIT_TEST_RUNS"

func TestMain(m *testing.M) {
	if runs := os.Getenv(runsFile); runs != "" {
		os.Exit(tellSecret(runs))
	}
	os.Exit(m.Run())
}

// tellSecret prints the arguments, fails, or prints too much.
func tellSecret(runs string) int {
	f, err := os.OpenFile(runs, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 1
	}
	defer f.Close()
	fmt.Fprintln(f, strings.Join(os.Args[1:], " "))
	switch os.Args[1] {
	case "fail":
		fmt.Fprintln(os.Stdout, "s3cret")
		return 3
	case "hang":
		if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
			_, _ = l.Accept() // nobody connects
		}
		return 0
	case "flood":
		for range 3 << 10 {
			fmt.Fprintln(os.Stdout, strings.Repeat("s3cret ", 100))
		}
		return 0
	}
	fmt.Fprintf(os.Stdout, "s3cret %s\n", strings.Join(os.Args[1:], "|"))
	return 0
}

// TestSecretReferences checks what secret references stand for, and that a command runs only where it is needed.
func TestSecretReferences(t *testing.T) {
	folder := folderOf(t, `
-- plait.yaml --
allowCommands: true
mcpServers:
  a:
    url: https://example.com/${file:sub/token}
    headers: {A: "Bearer ${exec:${TEST_BINARY} a 'b  c' \"$$HOME\"}", B: "${exec:${TEST_BINARY} a 'b  c' \"$$HOME\"}", C: "${file:crlf}"}
  bad: {command: npx, args: ["${exec:${TEST_BINARY} fail}", "${exec:${TEST_BINARY} flood}"]}
  off: {disabled: true, command: "${exec:${TEST_BINARY} off}"}
  notchosen: {command: "${exec:${TEST_BINARY} notchosen}"}
-- sub/token --
s3cret-token
-- crlf --
line#CR
`)
	path, runs := filepath.Join(folder, "plait.yaml"), filepath.Join(folder, "runs")
	t.Setenv(runsFile, runs)
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := config.Options{Servers: []string{"a", "bad"}, Offline: true, LookupEnv: func(name string) (string, bool) {
		if name == "TEST_BINARY" {
			return "'" + binary + "'", true
		}
		return environment(name)
	}}
	cfg, err := config.Load(t.Context(), path, o)
	if err != nil || len(cfg.Problems()) > 0 || cfg.Servers[0].Headers["A"] != "" {
		t.Errorf("offline: %+v, %v, %v", cfg, err, cfg.Problems())
	}
	if _, err := os.Stat(runs); err == nil {
		t.Error("a command ran offline")
	}
	o.Offline = false
	if cfg, err = config.Load(t.Context(), path, o); err != nil {
		t.Fatal(err)
	}
	a := cfg.Servers[0]
	const said = "s3cret a|b  c|$HOME"
	if d := cmp.Diff(map[string]string{"A": "Bearer " + said, "B": said, "C": "line"}, reveal(a.Headers)); d != "" {
		t.Errorf("Headers (-want +got):\n%s", d)
	}
	if want := "https://example.com/s3cret-token"; a.URL != want {
		t.Errorf("URL %q, want %q", a.URL, want)
	}
	held := map[string]bool{}
	for _, s := range a.Secrets {
		held[s.Reveal()] = true
	}
	if d := cmp.Diff(map[string]bool{said: true, "s3cret-token": true, "line": true}, held); d != "" {
		t.Errorf("Secrets (-want +got):\n%s", d)
	}
	problems := strings.ReplaceAll(cfg.Problems().Error(), binary, "BINARY")
	want := path + `:6:30: mcpServers.bad.args[0]: command "BINARY" fails: exit status 3; run it by hand to see why [PLAIT-CFG-015]` + "\n" +
		path + `:6:61: mcpServers.bad.args[1]: command "BINARY" prints more than 1 MiB; print the secret alone [PLAIT-CFG-015]`
	if d := cmp.Diff(want, problems); d != "" {
		t.Errorf("problems (-want +got):\n%s", d)
	}
	ran, err := os.ReadFile(runs)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(ran), "\n"); got != 3 || strings.Contains(string(ran), "off") || strings.Contains(string(ran), "notchosen") {
		t.Errorf("commands that ran:\n%s", ran)
	}
}

// TestSecretCommandHangs ends a command that does not end by itself.
func TestSecretCommandHangs(t *testing.T) {
	folder := folderOf(t, `
-- plait.yaml --
allowCommands: true
mcpServers:
  a: {command: npx, args: ["${exec:${TEST_BINARY} hang}"]}
`)
	t.Setenv(runsFile, filepath.Join(folder, "runs"))
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	cfg, err := config.Load(ctx, filepath.Join(folder, "plait.yaml"), config.Options{LookupEnv: func(name string) (string, bool) {
		return "'" + binary + "'", name == "TEST_BINARY"
	}})
	if err != nil || !strings.Contains(cfg.Problems().Error(), "does not end within 10s; run it by hand to see why [PLAIT-CFG-015]") {
		t.Errorf("Load = %v, %v", cfg.Problems(), err)
	}
}

func reveal(secrets map[string]config.Secret) map[string]string {
	all := map[string]string{}
	for name, s := range secrets {
		all[name] = s.Reveal()
	}
	return all
}
