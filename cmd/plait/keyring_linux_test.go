package main_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/auth/store/keyringtest"
)

// TestStartingPlaitLeavesNoProcess starts plait where there is no session bus. The keyring would start one; it would
// stay behind.
func TestStartingPlaitLeavesNoProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := t.TempDir()
	marker := filepath.Join(dir, "launched")
	launch := fmt.Sprintf("#!/bin/sh\necho launched >> %s\necho DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent\n", marker)
	bin := filepath.Join(dir, "bin")
	if err := errors.Join(os.Mkdir(bin, 0o700), os.WriteFile(filepath.Join(bin, "dbus-launch"), []byte(launch), 0o700)); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "plait.yaml")
	if err := os.WriteFile(config, []byte(`mcpServers: {a: {command: "true", env: {A: "${keyring:svc/a}"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(testEnv(t), "PATH="+bin+":"+os.Getenv("PATH"))
	env = slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, "DBUS_SESSION_BUS_ADDRESS=") })
	r := rig{dir: dir}
	file := r.build(t, plait, ".")
	for _, args := range [][]string{
		{"version"},
		{"validate", "--config", config},
		{"serve", "--config", config},
		{"secrets", "list"},
		{"secrets", "get", "svc/a"},
		{"secrets", "set", "svc/a"},
		{"secrets", "unlock"},
	} {
		for _, bus := range []string{"", "DBUS_SESSION_BUS_ADDRESS=", "DBUS_SESSION_BUS_ADDRESS=autolaunch:"} {
			p := newProgram(t, append(slices.Clone(env), bus), append([]string{file}, args...)...)
			p.cmd.Stdin = strings.NewReader("")
			if bus == "" {
				p.cmd.Env = env
			}
			p.run() // many of them fail, for want of a keyring
			if data, err := os.ReadFile(marker); err == nil {
				t.Errorf("plait %q with %q started a bus: %s", args, bus, data)
				os.Remove(marker)
			}
		}
	}

	if _, err := os.Stat(fmt.Sprintf("/run/user/%d/bus", os.Getuid())); err == nil {
		return // the keyring would find this one
	}
	p := newProgram(t, env, r.build(t, "unguarded", "./testdata/unguarded"))
	p.run()
	if _, err := os.Stat(marker); err != nil {
		t.Errorf("without the guard no bus is started either, so this test proves nothing: %v", err)
	}
}

// TestPlaitWithAKeyring keeps and finds a secret through the real program, whatever the keyring is like. Nothing waits
// for it longer than it must, and nothing of it is left.
func TestPlaitWithAKeyring(t *testing.T) {
	for name, c := range map[string]struct {
		start func(t *testing.T) *keyringtest.Session
		kept  string // where the secret is
		found string // what plait says when it finds none, and store is keyring
	}{
		"unlocked": {func(t *testing.T) *keyringtest.Session { t.Helper(); return keyringtest.StartUnlocked(t) }, "OS keyring", ""},
		"locked": {func(t *testing.T) *keyringtest.Session {
			t.Helper()
			s := keyringtest.StartUnlocked(t)
			s.Lock(t)
			return s
		}, "sealed store", "the OS keyring is locked"},
		"silent": {func(t *testing.T) *keyringtest.Session {
			t.Helper()
			s := keyringtest.StartUnlocked(t)
			s.Freeze(t)
			return s
		}, "sealed store", "the OS keyring did not answer in time"},
		"without a collection": {func(t *testing.T) *keyringtest.Session { t.Helper(); return keyringtest.StartEmpty(t) }, "sealed store", "no default collection"},
		"absent service":       {func(t *testing.T) *keyringtest.Session { t.Helper(); return keyringtest.StartBus(t) }, "sealed store", "no Secret Service"},
		"absent bus": {func(t *testing.T) *keyringtest.Session {
			t.Helper()
			s := keyringtest.StartBus(t)
			s.Hide()
			return s
		}, "sealed store", "no session bus"},
	} {
		t.Run(name, func(t *testing.T) {
			session := c.start(t)
			asked := session.HangPrompter(t)
			env := append(append(os.Environ(), "GORACE=atexit_sleep_ms=0", "DBUS_SESSION_BUS_ADDRESS="), session.Environ()...)
			config := filepath.Join(t.TempDir(), "plait.yaml")
			if err := os.WriteFile(config, []byte("credentials: {store: keyring, path: ./strict}\nmcpServers: {}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			said := func(input string, args ...string) string {
				t.Helper()
				p := newProgram(t, env, append([]string{plaitProgram(t)}, args...)...)
				p.cmd.Stdin = strings.NewReader(input)
				p.run()
				return p.stdout.String() + p.stderr.String()
			}
			if got := said("canary\n", "secrets", "set", "svc/a"); !strings.Contains(got, "kept svc/a in the "+c.kept) || strings.Contains(got, "canary") {
				t.Errorf("set: %s", got)
			}
			if warned := c.kept != "OS keyring"; warned {
				if again := said("other\n", "secrets", "set", "svc/b"); strings.Contains(again, "key file") {
					t.Errorf("it warns again: %s", again)
				}
			}
			get := said("", "secrets", "get", "--yes", "svc/a")
			if get != "canary\n" {
				t.Errorf("get: %s", get)
			}
			if list := said("", "secrets", "list"); !strings.Contains(list, "svc/a\n") {
				t.Errorf("list: %s", list)
			}
			strict := said("canary\n", "secrets", "set", "svc/c", "--config", config)
			if c.found != "" && !strings.Contains(strict, c.found) {
				t.Errorf("with store: keyring: %s", strict)
			}
			select {
			case <-asked:
				t.Error("somebody was asked for a password")
			default:
			}
			if left := session.Processes(t, "plait"); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestUnlockIsBounded unlocks the keyring while the program hangs that asks for its password.
func TestUnlockIsBounded(t *testing.T) {
	session := keyringtest.StartUnlocked(t)
	session.Lock(t)
	asked := session.HangPrompter(t)
	env := append(append(os.Environ(), "GORACE=atexit_sleep_ms=0"), session.Environ()...)
	p := newProgram(t, env, plaitProgram(t), "secrets", "unlock", "--timeout", "5s")
	p.run()
	if got := p.cmd.ProcessState.ExitCode(); got != 7 {
		t.Errorf("exit %d: %s", got, &p.stderr)
	}
	select {
	case <-asked:
	case <-time.After(hung):
		t.Error("nobody was asked")
	}
	if left := session.Processes(t, store.HelperArg); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestHelperEndsWithPlait kills plait while its helper waits for a keyring that does not answer, or for the bus, which
// it does before its first line.
func TestHelperEndsWithPlait(t *testing.T) {
	for name, hang := range map[string]func(t *testing.T, s *keyringtest.Session){
		"keyring": func(t *testing.T, s *keyringtest.Session) { t.Helper(); s.HangPrompter(t) },
		"bus":     func(t *testing.T, s *keyringtest.Session) { t.Helper(); s.FreezeBus(t) },
	} {
		t.Run(name, func(t *testing.T) {
			session := keyringtest.StartUnlocked(t)
			session.Lock(t)
			hang(t, session)
			cmd := exec.CommandContext(t.Context(), plaitProgram(t), "secrets", "unlock")
			cmd.Env = append(os.Environ(), session.Environ()...)
			cmd.Stderr = io.Discard
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			awaitHelpers(t, session, 1)
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			awaitHelpers(t, session, 0)
		})
	}
}

// awaitHelpers waits until so many helpers run.
func awaitHelpers(t *testing.T, session *keyringtest.Session, want int) {
	t.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.After(hung)
	defer tick.Stop()
	for len(session.Processes(t, store.HelperArg)) != want {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("helpers: %q, want %d", session.Processes(t, store.HelperArg), want)
		}
	}
}
