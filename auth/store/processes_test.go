package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

type counter struct{ N int }

// process returns a command that runs one of the programs of TestMain.
func process(tb testing.TB, name string, args ...string) *exec.Cmd {
	tb.Helper()
	if testing.Short() {
		tb.Skip("starts processes")
	}
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(tb.Context(), self, args...)
	cmd.Env = append(os.Environ(), programVariable+"="+name)
	return cmd
}

// openAt returns a store whose key is in a file.
func openAt(dir string) (*store.Store, error) {
	return store.Open(store.Options{Credentials: config.Credentials{Store: "file", Path: dir}})
}

// countUp adds 1 to a record, so many times: by compare and swap, or under a lock.
func countUp(args []string) error {
	times, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	ctx := context.Background()
	s, err := openAt(args[0])
	if err != nil {
		return err
	}
	for range times {
		if args[2] == "lock" {
			err = underLock(ctx, s)
		} else {
			err = bySwap(ctx, s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func bySwap(ctx context.Context, s *store.Store) error {
	for {
		var c counter
		generation, err := s.Load(ctx, store.Grants, store.Key("c"), &c)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		c.N++
		if _, err = s.Save(ctx, store.Grants, store.Key("c"), generation, c); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

func underLock(ctx context.Context, s *store.Store) error {
	unlock, err := s.Lock(ctx, "counter")
	if err != nil {
		return err
	}
	defer unlock()
	var c counter
	if _, err := s.Load(ctx, store.Grants, store.Key("c"), &c); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	c.N++
	return s.Put(ctx, store.Grants, store.Key("c"), c)
}

// TestManyProcessesWriteOneRecord loses no addition, however the processes keep out of each other's way, and none of
// them ever sees a record that is damaged.
func TestManyProcessesWriteOneRecord(t *testing.T) {
	const processes, goroutines, times = 4, 4, 8
	for _, way := range []string{"swap", "lock"} {
		t.Run(way, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "auth")
			var group sync.WaitGroup
			for range processes {
				group.Go(func() {
					if out, err := process(t, "count", dir, strconv.Itoa(times), way).CombinedOutput(); err != nil {
						t.Errorf("%v: %s", err, out)
					}
				})
			}
			s := openStore(t, dir)
			for range goroutines {
				group.Go(func() {
					for range times {
						add := bySwap
						if way == "lock" {
							add = underLock
						}
						if err := add(t.Context(), s); err != nil {
							t.Error(err)
						}
					}
				})
			}
			group.Wait()
			var c counter
			if _, err := s.Load(t.Context(), store.Grants, store.Key("c"), &c); err != nil || c.N != (processes+goroutines)*times {
				t.Errorf("%d %v, want %d", c.N, err, (processes+goroutines)*times)
			}
			if found := aside(t, dir); len(found) > 0 {
				t.Errorf("aside: %q", found)
			}
		})
	}
}

// TestKilledWriterLeavesAWholeRecord kills a process that writes without end: what it leaves can be read and written.
func TestKilledWriterLeavesAWholeRecord(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "auth")
	s := openStore(t, dir)
	changes, err := s.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var last counter
	for range 5 {
		cmd := process(t, "count", dir, "1000000", "lock")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for before := last; last.N <= before.N; {
			select {
			case <-changes:
			case <-t.Context().Done():
			}
			if _, err := s.Load(t.Context(), store.Grants, store.Key("c"), &last); err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if err := underLock(t.Context(), s); err != nil {
			t.Fatalf("after a kill: %v", err)
		}
	}
	if found := aside(t, dir); len(found) > 0 {
		t.Errorf("aside: %q", found)
	}
}

// TestChangesAreTold tells of changes, whoever made them.
func TestChangesAreTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "auth")
	memory, err := store.Open(store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ watched, changed *store.Store }{
		"memory":          {memory, memory},
		"the same store":  {openStore(t, dir), nil},
		"another process": {openStore(t, dir), openStore(t, dir)},
	} {
		t.Run(name, func(t *testing.T) {
			if c.changed == nil {
				c.changed = c.watched
			}
			first, err := c.watched.Watch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			second, err := c.watched.Watch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				if err := c.changed.Put(t.Context(), store.Grants, store.Key("a"), counter{i}); err != nil {
					t.Fatal(err)
				}
				<-first
				<-second
			}
			if err := c.changed.Remove(t.Context(), store.Grants, store.Key("a")); err != nil {
				t.Fatal(err)
			}
			<-first
		})
	}
	closed := openStore(t, dir)
	if err := errors.Join(closed.Close(), closed.Close()); err != nil {
		t.Error(err)
	}
	if _, err := closed.Watch(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestLockEndsWithItsProcess takes a lock over from a process that was killed.
func TestLockEndsWithItsProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "auth")
	s := openStore(t, dir)
	cmd := process(t, "count", dir, "1000000", "lock")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for ok := true; ok; { // until the other has it
		var unlock func()
		var err error
		if unlock, ok, err = s.TryLock("counter"); err != nil {
			t.Fatal(err)
		}
		if ok {
			unlock()
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	unlock, err := s.Lock(t.Context(), "counter")
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

// TestErrorsKeepValues checks that what cannot be written is not told.
func TestErrorsKeepValues(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "auth"))
	err := s.Put(t.Context(), store.Grants, store.Key("a"), map[string]any{"token": "canary", "f": func() {}})
	if err == nil {
		t.Fatal("a function was stored")
	}
	if text := fmt.Sprintf("%v %+v", err, err); strings.Contains(text, "canary") {
		t.Error(text)
	}
	if err := s.Put(t.Context(), store.Grants, store.Key("a"), string(make([]byte, 5<<20))); err == nil {
		t.Error("a record of 5 MiB was stored")
	}
}
