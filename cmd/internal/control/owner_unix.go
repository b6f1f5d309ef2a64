//go:build unix

package control

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// isMine reports whether the file belongs to the user of this process.
func isMine(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// isAlive reports whether a process with that id runs.
func isAlive(pid int) bool {
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
