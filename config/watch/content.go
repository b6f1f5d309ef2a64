package watch

import (
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// maxSize is how many bytes of a file count: no configuration is larger.
const maxSize = 4 << 20

// content stands for what a file holds.
type content struct {
	state contentState
	sum   [sha256.Size]byte
}

type contentState uint8

const (
	isAbsent  contentState = iota
	isForeign              // it cannot be read, or is a folder, a pipe or the like
	isRead
)

// readAll returns what the files hold.
func readAll(files []string) map[string]content {
	all := map[string]content{}
	for _, name := range files {
		all[name] = readContent(name)
	}
	return all
}

// readContent returns what a file holds, as far as it would be read.
func readContent(name string) content {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return content{state: isAbsent}
	}
	if err != nil || !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return content{state: isForeign}
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return content{state: isAbsent}
	}
	if err != nil {
		return content{state: isForeign}
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(f, maxSize+1)); err != nil {
		return content{state: isForeign}
	}
	return content{isRead, [sha256.Size]byte(h.Sum(nil))}
}

// writtenLately tells whether a file was written to in the last seconds.
func writtenLately(name string) bool {
	const lately = 5 * time.Second
	info, err := os.Stat(name)
	return err == nil && time.Since(info.ModTime()) < lately
}
