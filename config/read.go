package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// look notes that what a file holds, or that it is not there, decides what is loaded.
func (l *loader) look(path string) {
	if absolute, err := filepath.Abs(path); err == nil && !slices.Contains(l.files, absolute) {
		l.files = append(l.files, absolute)
	}
}

// readFile reads a file that is not larger than limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errIsFolder
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, tooLargeError(limit)
	}
	return data, err
}

// tooLargeError is the limit in bytes that a file exceeds.
type tooLargeError int64

func (e tooLargeError) Error() string { return fmt.Sprintf("is larger than %d MiB", e>>20) }

var errIsFolder = errors.New("is a folder, not a file")

// fileProblem says why a configuration file cannot be used.
func fileProblem(path string, err error) Problems {
	if errors.Is(err, fs.ErrNotExist) {
		return whole(path, IDFile, "does not exist", "check the path")
	}
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return whole(path, IDFile, "cannot be read: "+pathErr.Err.Error(), "")
	}
	if _, ok := errors.AsType[tooLargeError](err); ok {
		return whole(path, IDBounds, err.Error(), "this is hardly a configuration file")
	}
	return whole(path, IDFile, err.Error(), "")
}

// unreadable says why a file that is named cannot be used.
func unreadable(name string, err error) string {
	return fmt.Sprintf("file %q %s", name, fileProblem(name, err)[0].Msg)
}
