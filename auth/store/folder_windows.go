package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

const (
	// renamePatience bounds how long somebody may hold the file open that is replaced, renamePause how often one looks.
	renamePatience = 2 * time.Second
	renamePause    = 10 * time.Millisecond
)

// isMine reports whether the file belongs to the user: access is decided by the lists of the folder, and the folder is
// in the profile of the user.
func isMine(fs.FileInfo) bool { return true }

// isOpen reports whether others may do anything with the file: see isMine.
func isOpen(fs.FileInfo) bool { return false }

func open(path string) (*os.File, error) { return os.Open(path) }

// rename puts a file in the place of another. It waits for those who have the other one open.
func rename(ctx context.Context, from, to string) error {
	ctx, cancel := context.WithTimeout(ctx, renamePatience)
	defer cancel()
	for {
		err := os.Rename(from, to)
		if !errors.Is(err, windows.ERROR_SHARING_VIOLATION) && !errors.Is(err, windows.ERROR_ACCESS_DENIED) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(renamePause):
		}
	}
}

// syncFolder does nothing: Windows keeps its folders by itself.
func syncFolder(string) error { return nil }
