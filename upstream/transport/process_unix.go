//go:build unix

package transport

import (
	"errors"
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

// nonblocking writes to a pipe without waiting. It is for one goroutine, while nobody else uses the file.
type nonblocking struct {
	raw syscall.RawConn
	try func(fd uintptr) bool // writes b, so that a write allocates nothing
	b   []byte
	n   int
	err error
}

func newNonblocking(raw syscall.RawConn) *nonblocking {
	w := &nonblocking{raw: raw}
	w.try = func(fd uintptr) bool {
		w.n, w.err = syscall.Write(int(fd), w.b)
		return true
	}
	return w
}

// write writes as much of b as the pipe takes now.
func (w *nonblocking) write(b []byte) (int, error) {
	w.b = b
	defer func() { w.b = nil }()
	if err := w.raw.Write(w.try); err != nil {
		return 0, err
	}
	if errors.Is(w.err, syscall.EAGAIN) || errors.Is(w.err, syscall.EINTR) {
		return 0, nil
	}
	return w.n, w.err
}
