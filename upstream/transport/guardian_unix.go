//go:build unix

package transport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// guardianArg is the only argument of plait as a guardian.
	guardianArg = "guardian-of-child-processes"
	// guardianPatience bounds how long plait waits for its guardian to listen, guardianGrace how long to end.
	guardianPatience = 2 * time.Second
	guardianGrace    = 10 * time.Second
)

// Guardian ends the children of plait when plait itself is killed and can do nothing any more. It is plait, executed
// once more, at the other end of a pipe on which it is told which process groups there are; when the pipe closes it
// kills those that are left. It starts with the first child and is started again when somebody killed it. A plait has
// one Guardian, made by whoever makes the Conns. Any goroutine may use it; nil guards nothing.
type Guardian struct {
	log hclog.Logger

	mu     sync.Mutex
	groups map[int]struct{}
	cmd    *exec.Cmd  // nil: not running
	ended  chan error // gets the result of cmd.Wait
	pipe   *os.File
	closed bool
}

// NewGuardian returns a Guardian that does not run yet. Close must be called after all Conns are closed.
func NewGuardian(log hclog.Logger) *Guardian {
	if log == nil {
		log = hclog.NewNullLogger()
	}
	return &Guardian{log: log, groups: map[int]struct{}{}}
}

// IsGuardian reports whether args, with which a program was started, ask it to be a guardian: then it must call
// RunGuardian with its standard input before anything else, and exit.
func IsGuardian(args []string) bool { return len(args) == 2 && args[1] == guardianArg }

// RunGuardian reads "+GROUP" and "-GROUP" lines until in ends, and then kills the groups that are left. It ignores the
// signals that end plait: whoever sends them to both leaves plait time to end its children in good order.
func RunGuardian(in io.Reader) {
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	debug.SetGCPercent(20)
	debug.SetMemoryLimit(8 << 20)
	hide()
	guard(in)
}

func guard(in io.Reader) {
	self := syscall.Getpgrp()
	groups := map[int]struct{}{}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		line := lines.Text()
		id, err := strconv.Atoi(strings.TrimLeft(line, "+-"))
		if err != nil || id <= 1 || id == self {
			continue // no group of a child: 0 and -1 would reach much more than that
		}
		if line[0] == '+' {
			groups[id] = struct{}{}
		} else {
			delete(groups, id)
		}
	}
	for id := range groups {
		_ = syscall.Kill(-id, syscall.SIGKILL) // an error means that nobody is left
	}
}

// hide gives the guardian a name of its own on Linux, so that killall with plait's name leaves it alive.
func hide() {
	if runtime.GOOS == "linux" {
		_ = os.WriteFile(fmt.Sprintf("/proc/self/task/%d/comm", os.Getpid()), []byte("guardian"), 0)
	}
}

// Close ends the guardian, which kills the groups that are still there, and waits for it; it is bounded.
func (g *Guardian) Close() error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	if g.cmd == nil {
		return nil
	}
	g.pipe.Close()
	hung := time.AfterFunc(guardianGrace, func() { _ = g.cmd.Process.Kill() })
	defer hung.Stop()
	err := <-g.ended
	g.cmd, g.pipe = nil, nil
	if err != nil {
		return fmt.Errorf("end the guardian: %w", err)
	}
	return nil
}

// prepare starts the guardian if it does not run.
func (g *Guardian) prepare() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.runs() {
		g.discard()
		g.launch()
	}
}

// runs reports whether the guardian lives. The pipe cannot tell: a child that is just being started may hold the other
// end of it for a moment. mu is held.
func (g *Guardian) runs() bool { return g.cmd != nil && len(g.ended) == 0 }

// add has the group killed when plait dies.
func (g *Guardian) add(id int) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.groups[id] = struct{}{}
	g.tell('+', id)
}

// remove takes back add. It must be called before the leader of the group is reaped, because then the id may soon
// mean somebody else.
func (g *Guardian) remove(id int) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.groups, id)
	g.tell('-', id)
}

// tell sends one line, or starts the guardian anew, which tells it everything. mu is held.
func (g *Guardian) tell(sign byte, id int) {
	if g.runs() && g.write(fmt.Sprintf("%c%d\n", sign, id)) == nil {
		return
	}
	g.discard()
	if len(g.groups) > 0 {
		g.launch()
	}
}

func (g *Guardian) write(s string) error {
	_ = g.pipe.SetWriteDeadline(time.Now().Add(guardianPatience)) // a stopped guardian must not stop plait
	_, err := g.pipe.WriteString(s)
	return err
}

// discard ends a guardian that does not listen. It dies before the pipe closes, so it kills nobody. mu is held.
func (g *Guardian) discard() {
	if g.cmd == nil {
		return
	}
	_ = g.cmd.Process.Kill()
	_ = <-g.ended //nolint:staticcheck // it was killed: how does not matter
	g.pipe.Close()
	g.cmd, g.pipe = nil, nil
}

// launch starts the guardian and tells it all groups. Without a guardian plait still works, so the error is logged.
// mu is held.
func (g *Guardian) launch() {
	if g.closed {
		return
	}
	if err := g.execute(); err != nil {
		g.log.Warn("no guardian: if plait is killed, its child processes stay", "err", err)
		return
	}
	var all strings.Builder
	for id := range g.groups {
		fmt.Fprintf(&all, "+%d\n", id)
	}
	if all.Len() == 0 {
		return
	}
	if err := g.write(all.String()); err != nil {
		g.log.Warn("the guardian does not listen: if plait is killed, its child processes stay", "err", err)
		g.discard()
	}
}

// execute starts this program as a guardian in a session of its own, where the terminal's signals do not reach it.
func (g *Guardian) execute() error {
	file, err := executable()
	if err != nil {
		return err
	}
	in, pipe, err := os.Pipe()
	if err != nil {
		return err
	}
	defer in.Close()
	cmd := &exec.Cmd{
		Path: file, Args: []string{"plait", guardianArg}, Dir: "/", Stdin: in,
		Env:         []string{"GOMAXPROCS=1", "GORACE=" + os.Getenv("GORACE")}, // which lets tests end at once
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := cmd.Start(); err != nil {
		pipe.Close()
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // Close and discard wait for it
	g.cmd, g.ended, g.pipe = cmd, ended, pipe
	return nil
}

// executable returns the file of this program. On Linux it is found even when its file was replaced or removed.
func executable() (string, error) {
	if runtime.GOOS == "linux" {
		const self = "/proc/self/exe"
		if _, err := os.Stat(self); err == nil || !errors.Is(err, os.ErrNotExist) {
			return self, nil
		}
	}
	return os.Executable()
}
