//go:build unix

package transport

import (
	"os"
	"syscall"
)

// group is the process group of a child. Its id is the process id of the leader, which the kernel gives to nobody
// else while the leader is not reaped or another member lives.
type group struct {
	id       int
	guardian *Guardian
	exit     exit
}

// launch starts the leader. The guardian runs before it and is told right after.
func (p *process) launch(g *Guardian) error {
	g.prepare()
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.group.exit.prepare(p.cmd.SysProcAttr)
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.group.id, p.group.guardian = p.cmd.Process.Pid, g
	g.add(p.group.id)
	return nil
}

// awaitExit blocks until the leader has exited. The leader stays unreaped, so its group can still be killed by its id.
func (p *process) awaitExit() { p.group.exit.await(p.group.id) }

// terminate asks every member of the group to exit.
func (p *process) terminate() { p.signal(syscall.SIGTERM) }

// kill ends every member of the group.
func (p *process) kill() { p.signal(syscall.SIGKILL) }

// signal reaches the whole group. An error means that nobody is left.
func (p *process) signal(sig syscall.Signal) { _ = syscall.Kill(-p.group.id, sig) }

// reap takes the group from the guardian and then releases the leader, after which its id may be used anew. Nothing
// else may be called afterwards.
func (p *process) reap() *os.ProcessState {
	p.group.guardian.remove(p.group.id)
	_ = p.cmd.Wait() // the state says it better
	return p.cmd.ProcessState
}

// writeNow writes as much of b as the pipe takes without waiting. f must be in use by nobody else.
func writeNow(raw syscall.RawConn, b []byte) (n int, err error) {
	if e := raw.Write(func(fd uintptr) bool {
		n, err = syscall.Write(int(fd), b)
		return true
	}); e != nil {
		return 0, e
	}
	if n < 0 {
		n = 0
	}
	if err == syscall.EAGAIN || err == syscall.EINTR {
		err = nil
	}
	return n, err
}
