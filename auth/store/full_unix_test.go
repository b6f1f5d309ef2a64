//go:build unix

package store_test

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/plait-mcp/plait/auth/store"
)

// fillDisk saves a record while no file may grow, and once more when it may.
func fillDisk(args []string) error {
	ctx := context.Background()
	s, err := openAt(args[0])
	if err != nil {
		return err
	}
	first, err := s.Save(ctx, store.Grants, store.Key("a"), 0, counter{1})
	if err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ)
	full := limit
	full.Cur = 16
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full); err != nil {
		return err
	}
	_, err = s.Save(ctx, store.Grants, store.Key("a"), first, counter{2})
	if e, ok := errors.AsType[*store.WriteError](err); !ok || !errors.Is(e, syscall.EFBIG) {
		return fmt.Errorf("save on a full disk: %w", err)
	}
	var got counter
	if now, err := s.Load(ctx, store.Grants, store.Key("a"), &got); err != nil || now != first || got.N != 1 {
		return fmt.Errorf("what was there before: %v %w", got, err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if left, err := filepath.Glob(filepath.Join(args[0], "*", ".tmp-*")); err != nil || len(left) > 0 {
		return fmt.Errorf("left behind: %q %w", left, err)
	}
	_, err = s.Save(ctx, store.Grants, store.Key("a"), first, counter{2})
	return err
}

// TestM38FullDisk keeps what was there when a record cannot be written, says so by type, and writes it later.
func TestM38FullDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "auth")
	if out, err := process(t, "full", dir).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	var got counter
	if _, err := openStore(t, dir).Load(t.Context(), store.Grants, store.Key("a"), &got); err != nil || got.N != 2 {
		t.Errorf("%v %v", got, err)
	}
}
