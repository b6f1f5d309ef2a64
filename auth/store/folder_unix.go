//go:build unix

package store

import (
	"context"
	"io/fs"
	"os"
	"syscall"
)

// isMine reports whether the file belongs to the user of this process.
func isMine(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// isOpen reports whether others may do anything with the file.
func isOpen(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 != 0 }

// open opens a file that is no symbolic link, and does not wait for the other end of a pipe.
func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
}

// rename puts a file in the place of another.
func rename(_ context.Context, from, to string) error { return os.Rename(from, to) }

// syncFolder makes renames in a folder last.
func syncFolder(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}
