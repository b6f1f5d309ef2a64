//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package transport

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// exit learns that a process has exited without reaping it, from a kernel queue.
type exit struct{}

func (exit) prepare(*syscall.SysProcAttr) {}

func (exit) await(pid int) {
	queue, err := unix.Kqueue()
	if err != nil {
		return
	}
	defer unix.Close(queue)
	watch := make([]unix.Kevent_t, 1)
	unix.SetKevent(&watch[0], pid, unix.EVFILT_PROC, unix.EV_ADD|unix.EV_ONESHOT)
	watch[0].Fflags = unix.NOTE_EXIT
	for {
		// Also returns when the process has exited before: ESRCH, as an event or as an error.
		if _, err := unix.Kevent(queue, watch, make([]unix.Kevent_t, 1), nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
