package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/plait-mcp/plait/auth/store"
)

// noSpace mounts a small disk and saves a record while it is full, and once more when it is not.
func noSpace(args []string) error {
	if err := syscall.Mount("tmpfs", args[0], "tmpfs", 0, "size=64k,mode=0700"); err != nil {
		return fmt.Errorf("%s: %w", cannotMount, err)
	}
	ctx, filler := context.Background(), filepath.Join(args[0], "filler")
	s, err := openAt(filepath.Join(args[0], "auth"))
	if err != nil {
		return err
	}
	first, err := s.Save(ctx, store.Grants, store.Key("a"), 0, counter{1})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("fill the disk: %w", err)
	}
	_, err = s.Save(ctx, store.Grants, store.Key("a"), first, counter{2})
	if e, ok := errors.AsType[*store.WriteError](err); !ok || !errors.Is(e, syscall.ENOSPC) {
		return fmt.Errorf("save on a full disk: %w", err)
	}
	var got counter
	if now, err := s.Load(ctx, store.Grants, store.Key("a"), &got); err != nil || now != first || got.N != 1 {
		return fmt.Errorf("what was there before: %v %w", got, err)
	}
	if err := os.Remove(filler); err != nil {
		return err
	}
	_, err = s.Save(ctx, store.Grants, store.Key("a"), first, counter{2})
	return err
}

const cannotMount = "mount a small disk"

// TestM38NoSpace fills a disk of its own, where it may mount one.
func TestM38NoSpace(t *testing.T) {
	cmd := process(t, "no-space", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || strings.Contains(string(out), cannotMount) {
		t.Skipf("no disk of its own: %v %s", err, out) // TestM38FullDisk needs none
	}
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
