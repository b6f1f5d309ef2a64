package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ReadFile reads a file that is not larger than limit bytes. FileProblem tells a person of the error.
func ReadFile(path string, limit int64) ([]byte, error) {
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
		return nil, ErrIsFolder
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

// ErrIsFolder is why a folder cannot be read as a file.
var ErrIsFolder = errors.New("is a folder, not a file")

// FileProblem says why a configuration file cannot be used.
func FileProblem(path string, err error) Problems {
	if errors.Is(err, fs.ErrNotExist) {
		return WholeFile(path, IDFile, "does not exist", "check the path")
	}
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return WholeFile(path, IDFile, "cannot be read: "+pathErr.Err.Error(), "")
	}
	if _, ok := errors.AsType[tooLargeError](err); ok {
		return WholeFile(path, IDBounds, err.Error(), "this is hardly a configuration file")
	}
	return WholeFile(path, IDFile, err.Error(), "")
}
