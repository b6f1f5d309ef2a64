package transport

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// exit learns that a process has exited without reaping it, from a descriptor of the process (Linux 5.3), so that a
// hundred children do not take a hundred threads.
type exit struct{ fd *int }

func (e *exit) prepare(attr *syscall.SysProcAttr) {
	e.fd = new(-1)
	attr.PidFD = e.fd
}

func (e *exit) await(pid int) {
	if *e.fd >= 0 && e.poll() {
		return
	}
	for errors.Is(exited(unix.P_PID, pid, 0), unix.EINTR) {
	}
}

// poll reports whether it could wait; it closes the descriptor.
func (e *exit) poll() bool {
	if unix.SetNonblock(*e.fd, true) != nil {
		unix.Close(*e.fd)
		return false
	}
	f := os.NewFile(uintptr(*e.fd), "process")
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	var result error
	err = raw.Read(func(fd uintptr) bool {
		for {
			result = exited(unix.P_PIDFD, int(fd), unix.WNOHANG)
			if !errors.Is(result, unix.EINTR) {
				return !errors.Is(result, errRunning)
			}
		}
	})
	return err == nil && result == nil
}

var errRunning = errors.New("the process is running")

// exited returns nil when the process has exited, and otherwise waits for that unless flags say not to.
func exited(idType, id, flags int) error {
	var info unix.Siginfo
	if err := unix.Waitid(idType, id, &info, unix.WEXITED|unix.WNOWAIT|flags, nil); err != nil {
		return err
	}
	if info.Signo == 0 {
		return errRunning
	}
	return nil
}
