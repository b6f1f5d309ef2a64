//go:build unix

package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

func guardianPID(g *Guardian) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cmd == nil {
		return 0
	}
	return g.cmd.Process.Pid
}

// alive reports whether the process runs; one that only waits to be reaped by its parent does not.
func alive(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist) || !isDir("/proc/self")
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// isGuard reports whether a guardian is past its start, as far as one can tell.
func isGuard(pid int) bool {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return err != nil && !isDir("/proc/self") || string(name) == "guardian\n"
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

func gone(t *testing.T, what string, pid int) {
	t.Helper()
	if pid <= 1 {
		t.Fatalf("%s has process id %d", what, pid)
	}
	eventually(t, fmt.Sprintf("the end of %s (%d)", what, pid), func() bool { return !alive(pid) })
}

// The signal that ended the child is in the error.
func TestStdioExitBySignal(t *testing.T) {
	t.Parallel()
	c := openChild(t, Options{Server: childOf("server")})
	pending := callNever(t, c, "1")
	if err := syscall.Kill(c.child.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var exit *ExitError
	if err := <-pending; !errors.As(err, &exit) || exit.Status != "signal: killed" {
		t.Errorf("error %v", err)
	}
	awaitEvent(t, "the end of the Conn", c.finished)
	if errors.Is(syscall.Kill(c.child.cmd.Process.Pid, 0), syscall.ESRCH) {
		return
	}
	t.Error("a zombie is left")
}

// A child that ignores the end of its stdin and SIGTERM is killed, with its group and in bounded time.
func TestStdioStubbornChildIsKilled(t *testing.T) {
	t.Parallel()
	for name, hurry := range map[string]bool{"in time": false, "in a hurry": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := openChild(t, Options{Server: childOf("stubborn")})
			var child, grandchild int
			callInto(t, c, "pid", "{}", &child)
			callInto(t, c, "spawn", `"stubborn"`, &grandchild)
			ctx, cancel := context.WithCancel(boundedContext(t))
			defer cancel()
			if hurry {
				cancel()
			}
			if err := c.Close(ctx); err != nil {
				t.Error(err)
			}
			if got := describe(c.child.cmd.ProcessState); got != "signal: killed" {
				t.Errorf("the child ended with %s", got)
			}
			gone(t, "the child", child)
			gone(t, "the grandchild", grandchild)
		})
	}
}

// What a child leaves behind in its group ends with it, and cannot hold up Close by holding its pipes (mcp-go kills
// only the child: PR 183).
func TestStdioGroupIsKilled(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"deaf", "stubborn"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			c := openChild(t, Options{Server: childOf("server")})
			var grandchild int
			callInto(t, c, "spawn", `"`+role+`"`, &grandchild)
			_, err := c.Call(boundedContext(t), "1", jsonrpc.NewRequest("1", "leave", nil))
			var exit *ExitError
			if !errors.As(err, &exit) || exit.Status != "exit status 0" {
				t.Errorf("error %v", err)
			}
			gone(t, "the grandchild", grandchild)
			awaitEvent(t, "the end of the Conn", c.finished)
		})
	}
}

// A grandchild that leaves the group and keeps the pipes does not hold up Close. It tells its process id once it has
// left.
func TestStdioEscapedGrandchild(t *testing.T) {
	t.Parallel()
	setsid, err := exec.LookPath("setsid")
	if err != nil && os.Getenv("PLAIT_TEST_REQUIRE") == "all" {
		t.Fatal("needs the program setsid (util-linux)")
	} else if err != nil {
		t.Skip("needs the program setsid (util-linux)")
	}
	s := &config.Server{Name: "sh", Command: "/bin/sh", Args: []string{"-c", setsid + ` /bin/sh -c 'echo "$$" >&2; exec sleep 1000' & cat >/dev/null`}}
	c := openChild(t, Options{Server: s})
	eventually(t, "its process id", func() bool { return c.stderr.tail() != "" })
	if err := c.Close(boundedContext(t)); err != nil {
		t.Error(err)
	}
	var pid int
	if _, err := fmt.Sscan(c.stderr.tail(), &pid); err != nil {
		t.Fatal(err)
	}
	if !alive(pid) {
		t.Error("the test is no good: the grandchild is gone")
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

// When plait is killed, its guardian kills the children and grandchildren, which ignore everything else.
func TestGuardianAfterKill(t *testing.T) {
	t.Parallel()
	plait := exec.Command(os.Args[0])
	plait.Env = append(os.Environ(), childRole+"=plait")
	plait.Stderr = os.Stderr
	out, err := plait.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := plait.Start(); err != nil {
		t.Fatal(err)
	}
	var child, grandchild, guardian int
	if _, err := fmt.Fscan(bufio.NewReader(out), &child, &grandchild, &guardian); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-child, syscall.SIGKILL) }) // if the guardian did not
	for _, pid := range []int{child, grandchild, guardian} {
		if !alive(pid) {
			t.Errorf("process %d does not run", pid)
		}
	}
	// What a terminal or a service manager sends to all ends only plait.
	eventually(t, "the guardian", func() bool { return isGuard(guardian) })
	if err := syscall.Kill(guardian, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := plait.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = plait.Wait()
	gone(t, "the child", child)
	gone(t, "the grandchild", grandchild)
	gone(t, "the guardian", guardian)
}

// The guardian starts with the first child, again after it was killed, and ends with Close.
func TestGuardianLife(t *testing.T) {
	t.Parallel()
	g := NewGuardian(nil)
	if pid := guardianPID(g); pid != 0 {
		t.Errorf("it runs before the first child: %d", pid)
	}
	a := openChild(t, Options{Server: childOf("server"), Guardian: g})
	first := guardianPID(g)
	b := openChild(t, Options{Server: childOf("server"), Guardian: g})
	if again := guardianPID(g); again != first || !alive(first) {
		t.Errorf("two guardians: %d and %d", first, again)
	}
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	gone(t, "the guardian", first)
	if err := b.Close(boundedContext(t)); err != nil { // notices
		t.Error(err)
	}
	eventually(t, "the second guardian", func() bool {
		g.prepare() // as the next child would
		return guardianPID(g) != first
	})
	second := guardianPID(g)
	callChild(t, a, "1", "echo", "{}")
	if err := g.Close(); err != nil { // too early: it does its work
		t.Error(err)
	}
	gone(t, "the guardian", second)
	awaitEvent(t, "the end of the child", a.finished)
	if err := g.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// A guardian kills what it was told and was not told to forget, and nothing that is no child.
func TestGuardianTable(t *testing.T) {
	t.Parallel()
	var pids [2]int
	var children [2]*exec.Cmd
	for i := range children {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childRole+"=deaf")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		children[i], pids[i] = cmd, cmd.Process.Pid
	}
	own := syscall.Getpgrp()
	guard(strings.NewReader(fmt.Sprintf("+%d\n+%d\n\n+0\n+1\n+-1\n-\nx\n+%d\n++\n-%d\n", pids[0], pids[1], own, pids[1])))
	_ = children[0].Wait()
	if got := children[0].ProcessState.String(); got != "signal: killed" {
		t.Errorf("the group that was left ended with %s", got)
	}
	if !alive(pids[1]) {
		t.Error("the group that was taken back is gone")
	}
	_ = children[1].Process.Kill()
	_ = children[1].Wait()
}

// No process is left unreaped.
func TestStdioLeavesNoZombie(t *testing.T) {
	t.Parallel()
	for i := range 5 {
		c := openChild(t, Options{Server: childOf("server")})
		if i%2 == 0 {
			_, _ = c.Call(boundedContext(t), "1", jsonrpc.NewRequest("1", "crash", nil))
		}
		if err := c.Close(boundedContext(t)); err != nil {
			t.Error(err)
		}
		if err := syscall.Kill(c.child.cmd.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d is still there", c.child.cmd.Process.Pid)
		}
	}
}
