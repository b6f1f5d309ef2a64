package store_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

type record struct{ Name, Secret string }

// openStore returns a store whose key is in a file below dir.
func openStore(tb testing.TB, dir string) *store.Store {
	tb.Helper()
	s, err := store.Open(store.Options{Credentials: config.Credentials{Store: "file", Path: dir}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func stores(tb testing.TB) map[string]*store.Store {
	tb.Helper()
	memory, err := store.Open(store.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return map[string]*store.Store{"memory": memory, "file": openStore(tb, filepath.Join(tb.TempDir(), "plait", "auth"))}
}

func TestRecordsComeBackAsTheyWereSaved(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			key := store.Key("identity", "issuer")
			var got record
			if _, err := s.Load(t.Context(), store.Grants, key, &got); !errors.Is(err, store.ErrNotFound) || !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("before it was saved: %v", err)
			}
			first, err := s.Save(t.Context(), store.Grants, key, 0, record{"a", "b"})
			if err != nil {
				t.Fatal(err)
			}
			if gen, err := s.Load(t.Context(), store.Grants, key, &got); err != nil || gen != first || got != (record{"a", "b"}) {
				t.Fatalf("Load: %v %d %v, want generation %d", got, gen, err, first)
			}
			second, err := s.Save(t.Context(), store.Grants, key, first, record{"a", "c"})
			if err != nil || second <= first {
				t.Fatalf("second Save: %d %v", second, err)
			}
			for _, stale := range []uint64{0, first, second + 1} {
				if _, err := s.Save(t.Context(), store.Grants, key, stale, record{}); !errors.Is(err, store.ErrConflict) {
					t.Errorf("Save with generation %d: %v", stale, err)
				}
			}
			if keys, err := s.List(t.Context(), store.Grants); err != nil || len(keys) != 1 || keys[0] != key {
				t.Errorf("List: %q %v", keys, err)
			}
			if err := s.Remove(t.Context(), store.Grants, key); err != nil {
				t.Fatal(err)
			}
			if err := s.Remove(t.Context(), store.Grants, key); err != nil {
				t.Errorf("Remove of what is not there: %v", err)
			}
			third, err := s.Save(t.Context(), store.Grants, key, 0, record{})
			if err != nil || third <= second {
				t.Errorf("generation after Remove: %d %v, want more than %d", third, err, second)
			}
		})
	}
}

func TestAnyTextCanBeAKey(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			for _, key := range []string{"", "x/y", "../../etc/passwd", "CON", "ä\x00", "SERVICE/KEY"} {
				if err := s.Put(t.Context(), store.Secrets, key, record{Name: key}); err != nil {
					t.Fatalf("%q: %v", key, err)
				}
				var got record
				if _, err := s.Load(t.Context(), store.Secrets, key, &got); err != nil || got.Name != key {
					t.Errorf("%q: %v %v", key, got, err)
				}
			}
			keys, err := s.List(t.Context(), store.Secrets)
			if err != nil || len(keys) != 6 {
				t.Errorf("%q %v", keys, err)
			}
		})
	}
	if _, err := openStore(t, t.TempDir()).Save(t.Context(), "../x", "k", 0, 1); err == nil {
		t.Error("a kind that leads out of the folder")
	}
}

func TestA17NothingIsReadableByOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("access lists, not modes")
	}
	dir := filepath.Join(t.TempDir(), "deep", "auth")
	s := openStore(t, dir)
	if err := s.Put(t.Context(), store.Grants, store.Key("a"), record{Secret: "canary"}); err != nil {
		t.Fatal(err)
	}
	unlock, err := s.Lock(t.Context(), "any")
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	files := 0
	err = filepath.WalkDir(filepath.Dir(dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		} else {
			files++
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s: %v", path, info.Mode())
		}
		return nil
	})
	if err != nil || files < 4 {
		t.Errorf("%d files, %v", files, err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "grants", store.Key("a")+".json"))
	if err != nil || len(data) == 0 {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte("canary")) {
		t.Errorf("in clear: %s", data)
	}
}

func TestLocksExclude(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			unlock, err := s.Lock(t.Context(), "a lock of any name/ä")
			if err != nil {
				t.Fatal(err)
			}
			if _, ok, err := s.TryLock("a lock of any name/ä"); ok || err != nil {
				t.Errorf("TryLock of what is held: %v %v", ok, err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := s.Lock(ctx, "a lock of any name/ä"); !errors.Is(err, context.Canceled) {
				t.Errorf("Lock with a context that ended: %v", err)
			}
			unlock()
			unlock()
			again, ok, err := s.TryLock("a lock of any name/ä")
			if !ok || err != nil {
				t.Fatalf("TryLock of what is free: %v %v", ok, err)
			}
			again()
		})
	}
}
