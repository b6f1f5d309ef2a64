//go:build !linux && !darwin

package control

import "net"

// isOwn reports whether the user of this process is at the other end: the folder lets nobody else in.
func isOwn(*net.UnixConn) bool { return true }
