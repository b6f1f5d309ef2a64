//go:build unix

package cli

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// share says whether another socket of this user may listen where this one does: 1 or 0 (SO_REUSEPORT, socket(7)).
func share(c syscall.RawConn, on int) error {
	var failed error
	if err := c.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, on) }); err != nil {
		return err
	}
	return failed
}
