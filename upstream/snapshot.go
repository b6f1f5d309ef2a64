package upstream

import (
	"bufio"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

const (
	// The bounds of the folder; what is used least recently goes first.
	maxSnapshot      = 8 << 20
	maxSnapshots     = 1000
	maxSnapshotBytes = 128 << 20
	// maxRemembered bounds those in memory.
	maxRemembered = 300

	snapshotEnd = ".snapshot"
	tempEnd     = ".tmp"
	// tempAge is when a temporary file is left over, and not being written.
	tempAge = time.Hour
)

// Snapshots keeps the last good lists of servers in a folder, a file each. Any goroutine, and any number of
// processes, may use one folder: a file is replaced as a whole, and the last writer wins. A nil *Snapshots
// keeps nothing.
type Snapshots struct {
	dir    string
	maxAge time.Duration
	log    hclog.Logger

	writing sync.Mutex // one writer at a time
	grown   int64      // bytes written since the folder was pruned; -1: it never was. Guarded by writing

	mu   sync.Mutex
	have map[string]memory // by key
}

// memory is a snapshot that was read or written before.
type memory struct {
	*snapshot

	written time.Time // to the disk
}

// OpenSnapshots returns the snapshots in the folder dir, which is made for this user alone. Lists older than
// maxAge are not shown. When the folder cannot be used the log says why, and nil is returned.
func OpenSnapshots(dir string, maxAge time.Duration, log hclog.Logger) *Snapshots {
	if log == nil {
		log = hclog.NewNullLogger()
	}
	if err := claim(dir); err != nil {
		log.Warn("no snapshots are kept", "err", err)
		return nil
	}
	return &Snapshots{dir: dir, maxAge: maxAge, log: log, grown: -1, have: map[string]memory{}}
}

// claim makes a folder that nobody else may write to, or makes sure that it is one.
func claim(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", dir)
	case runtime.GOOS == "windows" || info.Mode().Perm() == 0o700:
		return nil
	}
	return os.Chmod(dir, 0o700) //nolint:gosec // a folder; it fails when another user owns it
}

// load returns the lists of a server as far as they are not too old, nil if none are kept.
func (s *Snapshots) load(key string) *snapshot {
	s.mu.Lock()
	have, ok := s.have[key]
	s.mu.Unlock()
	if !ok {
		if have = s.read(key); have.snapshot == nil {
			return nil
		}
		s.remember(key, have)
	}
	young := *have.snapshot
	for l, k := range young.lists {
		if time.Since(k.read) > s.maxAge {
			young.lists[l] = known{}
		}
	}
	return &young
}

// remember keeps a snapshot in memory. After many reloads most of them are of servers that are no more: then all
// are forgotten, the disk has them.
func (s *Snapshots) remember(key string, m memory) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.have[key]; !ok && len(s.have) >= maxRemembered {
		clear(s.have)
	}
	s.have[key] = m
}

// read reads a file; one that is not what it should be is removed.
func (s *Snapshots) read(key string) memory {
	file, err := s.open(key)
	if err != nil {
		return memory{}
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxSnapshot))
	if err != nil {
		s.log.Debug("a snapshot could not be read", "file", file.Name(), "err", err)
		return memory{}
	}
	m, saved, err := decodeSnapshot(text, key)
	if err != nil {
		s.discard(key, err)
		return memory{}
	}
	return memory{m, saved}
}

// hello returns what a server answered to initialize, nil if that is not kept or too old. It reads no lists.
func (s *Snapshots) hello(key string) jsonrpc.Raw {
	s.mu.Lock()
	have, ok := s.have[key]
	s.mu.Unlock()
	if ok {
		return have.hello
	}
	file, err := s.open(key)
	if err != nil {
		return nil
	}
	defer file.Close()
	line, err := bufio.NewReader(io.LimitReader(file, maxSnapshot)).ReadBytes('\n')
	if err != nil {
		s.discard(key, err)
		return nil
	}
	h, err := decodeHeader(line, key)
	if err != nil {
		s.discard(key, err)
	}
	if err != nil || time.Since(h.Saved) > s.maxAge {
		return nil
	}
	return h.Hello
}

// open opens a file, unless it is a link, or too large, or anything else but a file.
func (s *Snapshots) open(key string) (*os.File, error) {
	name := filepath.Join(s.dir, key+snapshotEnd)
	info, err := os.Lstat(name) // nobody else can put a link there afterwards
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSnapshot {
		err := fmt.Errorf("%s, %d bytes", info.Mode(), info.Size())
		s.discard(key, err)
		return nil, err
	}
	return os.Open(name)
}

// discard removes a file that is not what it should be.
func (s *Snapshots) discard(key string, why error) {
	s.log.Warn("a snapshot is not as plait wrote it, it is removed", "file", filepath.Join(s.dir, key+snapshotEnd), "err", why)
	s.remove(key + snapshotEnd)
}

func (s *Snapshots) remove(name string) {
	if err := os.Remove(filepath.Join(s.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Debug("a snapshot could not be removed", "err", err)
	}
}

// save keeps the lists of a server that are known, and what was kept of the others. It writes only what is
// new, or what would be too old soon. It blocks as long as the disk does.
func (s *Snapshots) save(key string, now *snapshot) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	have := s.have[key]
	merged := now.over(have.snapshot)
	due := have.snapshot == nil || time.Since(have.written) > s.maxAge/10 || !merged.equal(have.snapshot)
	s.mu.Unlock()
	s.remember(key, memory{merged, have.written})
	if !due {
		return
	}
	text, err := merged.encode(key, time.Now())
	if err == nil {
		if len(text) > maxSnapshot {
			s.log.Debug("a snapshot is too large, none is kept", "file", filepath.Join(s.dir, key+snapshotEnd), "bytes", len(text))
			s.remove(key + snapshotEnd)
			return
		}
		err = s.write(key, text)
	}
	if err != nil {
		s.log.Warn("a snapshot could not be written", "err", err)
		return
	}
	s.remember(key, memory{merged, time.Now()})
	s.prune(int64(len(text)))
}

// over returns s, completed by the lists of old that it does not know, or knows from longer ago.
func (s *snapshot) over(old *snapshot) *snapshot {
	if old == nil {
		return s
	}
	merged := *s
	if merged.hello == nil {
		merged.hello = old.hello
	}
	for l, k := range old.lists {
		if k.read.After(merged.lists[l].read) {
			merged.lists[l] = k
		}
	}
	return &merged
}

// equal reports whether two snapshots show the same.
func (s *snapshot) equal(other *snapshot) bool {
	for l, k := range s.lists {
		if k.read.IsZero() != other.lists[l].read.IsZero() || !k.equal(other.lists[l]) {
			return false
		}
	}
	return string(s.hello) == string(other.hello)
}

// write replaces a file as a whole. Whether it has reached the disk is not waited for: a file that has not
// does not have its sum.
func (s *Snapshots) write(key string, text []byte) error {
	if err := claim(s.dir); err != nil {
		return err
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	temp := key + "." + rand.Text() + tempEnd
	file, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err == nil {
		err = root.Rename(temp, key+snapshotEnd)
	}
	if err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	return nil
}

// prune removes files that are too old, or too many or too large together, the oldest first, and what writers
// that were killed have left. It looks only when enough was written since it did last.
func (s *Snapshots) prune(written int64) {
	if s.grown >= 0 {
		if s.grown += written + maxSnapshotBytes/maxSnapshots; s.grown < maxSnapshotBytes/10 {
			return
		}
	}
	s.grown = 0
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return
	}
	var files []fs.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue
		}
		age := time.Since(info.ModTime())
		switch {
		case strings.HasSuffix(e.Name(), tempEnd) && age > tempAge:
			s.remove(e.Name())
		case !strings.HasSuffix(e.Name(), snapshotEnd): // not ours
		case age > s.maxAge || !info.Mode().IsRegular():
			s.remove(e.Name())
		default:
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(b.ModTime().Compare(a.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	var total int64
	for i, info := range files {
		if total += info.Size(); i >= maxSnapshots || total > maxSnapshotBytes {
			s.remove(info.Name())
		}
	}
}
