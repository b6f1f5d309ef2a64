package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	suffix     = ".json"
	badInfix   = ".bad-"
	tempPrefix = ".tmp-"
	// tempAge is how old a file must be that was never finished, to be removed.
	tempAge = time.Hour
)

// medium is where the files of records are. Names are KIND/FILE.
type medium interface {
	read(name string) ([]byte, error) // fs.ErrNotExist when it is not there
	write(ctx context.Context, name string, data []byte) error
	remove(name string) error
	setAside(name string) (string, error) // renames a file that cannot be used, and returns its new name
	list(kind Kind) ([]string, error)     // names of files
}

// folder is a folder on disk.
type folder struct{ dir string }

func (f *folder) path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

// make makes the folder and the one below it, and checks both.
func (f *folder) make(sub string) error {
	if err := os.MkdirAll(filepath.Dir(f.dir), 0o700); err != nil {
		return &WriteError{Path: f.dir, Err: err}
	}
	for _, dir := range []string{f.dir, filepath.Join(f.dir, sub)} {
		err := os.Mkdir(dir, 0o700)
		if err == nil {
			continue
		}
		if !errors.Is(err, fs.ErrExist) {
			return &WriteError{Path: dir, Err: err}
		}
	}
	return f.check(sub)
}

// check checks the folder and the one below it. The error is fs.ErrNotExist when one is not there.
func (f *folder) check(sub string) error {
	for _, dir := range []string{f.dir, filepath.Join(f.dir, sub)} {
		info, err := os.Lstat(dir)
		if err != nil {
			return err
		}
		if err := checkFolder(dir, info); err != nil {
			return err
		}
	}
	return nil
}

func checkFolder(dir string, info fs.FileInfo) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return &UnsafeError{dir, "is a symbolic link; name the folder itself in credentials.path"}
	case !info.IsDir():
		return &UnsafeError{dir, "is not a folder; remove it"}
	case !isMine(info):
		return &UnsafeError{dir, "belongs to somebody else; name another folder in credentials.path"}
	case isOpen(info):
		return &UnsafeError{dir, "is open to others; run chmod 700 " + dir}
	}
	return nil
}

func checkFile(path string, info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return &UnsafeError{path, "is not a regular file; remove it"}
	case !isMine(info):
		return &UnsafeError{path, "belongs to somebody else; remove it"}
	case isOpen(info):
		return &UnsafeError{path, "is open to others; run chmod 600 " + path}
	}
	return nil
}

// read implements medium.
func (f *folder) read(name string) ([]byte, error) {
	path := f.path(name)
	sub, _, below := strings.Cut(name, "/")
	if !below {
		sub = ""
	}
	if err := f.check(sub); err != nil {
		return nil, err
	}
	before, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if err := checkFile(path, before); err != nil {
		return nil, err
	}
	file, err := open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	after, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkFile(path, after); err != nil { // another file by now, perhaps: then it was renamed to this name
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, maxRecord+1))
	if err == nil && len(data) > maxRecord {
		err = fmt.Errorf("%s has more than %d bytes", path, maxRecord)
	}
	return data, err
}

// write implements medium: whoever reads sees the old file or the new one, also after the machine lost its power.
func (f *folder) write(ctx context.Context, name string, data []byte) error {
	path := f.path(name)
	sub, _, below := strings.Cut(name, "/")
	if !below {
		sub = ""
	}
	if err := f.make(sub); err != nil {
		return err
	}
	temp, err := writeTemp(filepath.Dir(path), data, (*os.File).Sync)
	if err != nil {
		return &WriteError{Path: path, Err: err}
	}
	if err := rename(ctx, temp, path); err != nil {
		return &WriteError{Path: path, Err: errors.Join(err, os.Remove(temp))}
	}
	_ = syncFolder(filepath.Dir(path)) // not every file system can, and the file is in its place already
	return nil
}

// touch puts something else into a file than it held before. It need not be there after the machine lost its power.
func (f *folder) touch(ctx context.Context, name string) error {
	path := f.path(name)
	data := []byte(hex.EncodeToString(randomKey()[:16]) + "\n")
	temp, err := writeTemp(filepath.Dir(path), data, func(*os.File) error { return nil })
	if err == nil {
		err = rename(ctx, temp, path)
	}
	if err != nil {
		return &WriteError{Path: path, Err: err}
	}
	return nil
}

// writeTemp writes a new file into dir, makes it last by sync, and returns its path.
func writeTemp(dir string, data []byte, sync func(*os.File) error) (string, error) {
	file, err := os.CreateTemp(dir, tempPrefix+"*") // 0600
	if err != nil {
		return "", err
	}
	_, err = file.Write(data)
	if err == nil {
		err = sync(file)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(file.Name()))
	}
	return file.Name(), nil
}

// remove implements medium.
func (f *folder) remove(name string) error {
	err := os.Remove(f.path(name))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return &WriteError{Path: f.path(name), Err: err}
}

// setAside implements medium.
func (f *folder) setAside(name string) (string, error) {
	for n := time.Now().UnixNano(); ; n++ {
		bad := name + badInfix + strconv.FormatInt(n, 10)
		if _, err := os.Lstat(f.path(bad)); err == nil {
			continue
		}
		if err := os.Rename(f.path(name), f.path(bad)); err != nil {
			return "", &WriteError{Path: f.path(name), Err: err}
		}
		return bad, nil
	}
}

// list implements medium. It removes what writers left that were killed long ago.
func (f *folder) list(kind Kind) ([]string, error) {
	if err := f.check(string(kind)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(f.path(string(kind)))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		name := string(kind) + "/" + entry.Name()
		if strings.HasPrefix(entry.Name(), tempPrefix) {
			if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > tempAge {
				_ = os.Remove(f.path(name))
			}
			continue
		}
		if strings.HasSuffix(entry.Name(), suffix) {
			names = append(names, name)
		}
	}
	return names, nil
}
