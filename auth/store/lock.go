package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

const (
	locksFolder = "locks"
	// lockPause is how often one looks whether another process let go.
	lockPause = 20 * time.Millisecond
)

// isPlain reports whether a file can be named so on every platform. The locks of the store itself begin with a dot.
func isPlain(name string) bool {
	const letters, longest = "abcdefghijklmnopqrstuvwxyz0123456789", 100
	name = strings.TrimPrefix(name, ".")
	return name != "" && len(name) <= longest && strings.Contains(letters, name[:1]) && strings.Trim(name, letters+"_-") == ""
}

// Names of locks of the store itself.
const (
	keyLock     = ".key"
	writePrefix = ".write-" // and the kind
)

// locks are the locks of a folder: a queue within the process, a kernel lock between processes. The files stay.
type locks struct {
	folder *folder // nil: between goroutines only

	mu    sync.Mutex
	queue map[string]chan struct{} // holds one token while somebody has the lock
}

func newLocks(f *folder) *locks { return &locks{folder: f, queue: map[string]chan struct{}{}} }

// Lock waits until no goroutine and no process has the lock of that name, or until ctx ends. unlock may be called more
// than once, by any goroutine; a process that ends, in whatever way, lets go.
func (s *Store) Lock(ctx context.Context, name string) (unlock func(), err error) {
	return s.locks.lock(ctx, public(name))
}

// public returns the name of a lock that is none of the store's own.
func public(name string) string {
	if strings.HasPrefix(name, ".") {
		return Key(name)
	}
	return name
}

// TryLock is Lock that does not wait: ok says whether the lock was free.
func (s *Store) TryLock(name string) (unlock func(), ok bool, err error) {
	name = public(name)
	place := s.locks.place(name)
	select {
	case place <- struct{}{}:
	default:
		return nil, false, nil
	}
	file, err := s.locks.file(name)
	if err != nil {
		<-place
		return nil, false, err
	}
	if file != nil {
		if ok, err = file.TryLock(); !ok || err != nil {
			<-place
			return nil, false, lockError(file, err)
		}
	}
	return release(place, file), true, nil
}

func (l *locks) lock(ctx context.Context, name string) (func(), error) {
	place := l.place(name)
	select {
	case place <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	file, err := l.file(name)
	if err == nil && file != nil {
		_, err = file.TryLockContext(ctx, lockPause)
		err = lockError(file, err)
	}
	if err != nil {
		<-place
		return nil, err
	}
	return release(place, file), nil
}

// place returns the queue of a lock.
func (l *locks) place(name string) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queue[name] == nil {
		l.queue[name] = make(chan struct{}, 1)
	}
	return l.queue[name]
}

// file returns the file of a lock, nil without a folder.
func (l *locks) file(name string) (*flock.Flock, error) {
	if l.folder == nil {
		return nil, nil //nolint:nilnil // no file is needed
	}
	if err := l.folder.make(locksFolder); err != nil {
		return nil, err
	}
	if !isPlain(name) {
		name = "x-" + Key(name)
	}
	path := filepath.Join(l.folder.path(locksFolder), name+".lock")
	if info, err := os.Lstat(path); err == nil {
		if err := checkFile(path, info); err != nil {
			return nil, err
		}
	}
	return flock.New(path, flock.SetPermissions(0o600)), nil
}

func release(place chan struct{}, file *flock.Flock) func() {
	return sync.OnceFunc(func() {
		if file != nil {
			_ = file.Close() // the kernel lets go of the lock with the file
		}
		<-place
	})
}

func lockError(file *flock.Flock, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &WriteError{Path: file.Path(), Err: err}
}
