//go:build linux || darwin

package control

import (
	"net"
	"os"
)

// isOwn reports whether the user of this process, or root, is at the other end.
func isOwn(c *net.UnixConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	own := false
	err = raw.Control(func(fd uintptr) {
		user, err := peer(int(fd))
		own = err == nil && (user == 0 || int(user) == os.Geteuid())
	})
	return err == nil && own
}
