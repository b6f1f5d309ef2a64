package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

// place returns credentials with a key file in a new folder, and the path of a record in it.
func place(tb testing.TB, key string) (config.Credentials, string) {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "auth")
	return config.Credentials{Store: "file", Path: dir}, filepath.Join(dir, string(store.Grants), key+".json")
}

func put(tb testing.TB, s *store.Store, key, name string) {
	tb.Helper()
	if err := s.Put(tb.Context(), store.Grants, key, record{Name: name}); err != nil {
		tb.Fatal(err)
	}
}

// TestM37DamagedRecordIsPutAside damages a file in each way a crash or a hand can. It counts as not there, is kept aside,
// is told of once, and makes room.
func TestM37DamagedRecordIsPutAside(t *testing.T) {
	key, other := store.Key("a"), store.Key("b")
	ways := map[string]func(good, another []byte) []byte{
		"empty":        func([]byte, []byte) []byte { return nil },
		"zeros":        func(good, _ []byte) []byte { return make([]byte, len(good)) },
		"doubled":      func(good, _ []byte) []byte { return append(bytes.Clone(good), good...) },
		"no JSON":      func([]byte, []byte) []byte { return []byte("torn") },
		"null":         func([]byte, []byte) []byte { return []byte("null") },
		"a string":     func([]byte, []byte) []byte { return []byte(`"x"`) },
		"no nonce":     func(good, _ []byte) []byte { return change(good, "nonce", "") },
		"other nonce":  func(good, _ []byte) []byte { return change(good, "nonce", "AAAAAAAAAAAAAAAA") },
		"other text":   func(good, _ []byte) []byte { return change(good, "ct", "AAAA") },
		"version 0":    func(good, _ []byte) []byte { return change(good, "v", 0) },
		"no kid":       func(good, _ []byte) []byte { return change(good, "kid", "") },
		"another file": func(_, another []byte) []byte { return another },
	}
	for i := range 20 {
		ways[fmt.Sprintf("cut at %d/20", i)] = func(good, _ []byte) []byte { return good[:len(good)*i/20] }
	}
	for name, damage := range ways {
		t.Run(name, func(t *testing.T) {
			c, path := place(t, key)
			s, log := openWith(t, c, nil)
			put(t, s, key, "a")
			put(t, s, other, "b")
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			another, err := os.ReadFile(filepath.Join(filepath.Dir(path), other+".json"))
			if err != nil {
				t.Fatal(err)
			}
			bad := damage(good, another)
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			var got record
			for range 2 {
				if _, err := s.Load(t.Context(), store.Grants, key, &got); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("Load: %v", err)
				}
			}
			found := aside(t, c.Path)
			if len(found) != 1 {
				t.Fatalf("aside: %q", found)
			}
			if kept, err := os.ReadFile(found[0]); err != nil || !bytes.Equal(kept, bad) {
				t.Errorf("what is kept aside is something else: %v", err)
			}
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Save(t.Context(), store.Grants, key, 0, record{Name: "new"}); err != nil {
				t.Errorf("Save over it: %v", err)
			}
			lines := log.warnings()
			if len(lines) != 1 || !strings.Contains(lines[0], "saved sign-ins cannot be decrypted") {
				t.Errorf("warnings: %q", lines)
			}
			if _, err := s.Load(t.Context(), store.Grants, other, &got); err != nil || got.Name != "b" {
				t.Errorf("the record beside it: %v", err)
			}
			if keys, err := s.List(t.Context(), store.Grants); err != nil || len(keys) != 2 {
				t.Errorf("List: %q %v", keys, err)
			}
		})
	}
}

// change sets a member of an envelope.
func change(data []byte, name string, value any) []byte {
	var members map[string]any
	if err := json.Unmarshal(data, &members); err != nil {
		panic(err)
	}
	members[name] = value
	out, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return out
}

// TestM37LostKey loses the key file: what it sealed stays until something new takes its place.
func TestM37LostKey(t *testing.T) {
	key := store.Key("a")
	c, path := place(t, key)
	s, _ := openWith(t, c, nil)
	put(t, s, key, "a")
	if err := os.Remove(filepath.Join(c.Path, "key")); err != nil {
		t.Fatal(err)
	}
	s, log := openWith(t, c, nil)
	var got record
	if _, err := s.Load(t.Context(), store.Grants, key, &got); !errors.Is(err, store.ErrNotFound) || !exists(t, path) {
		t.Errorf("Load: %v", err)
	}
	if len(log.warnings()) != 1 || !strings.Contains(log.warnings()[0], "their key is gone") {
		t.Errorf("%q", log.warnings())
	}
	if _, err := s.Save(t.Context(), store.Grants, key, 0, record{Name: "new"}); err != nil || len(aside(t, c.Path)) != 1 {
		t.Errorf("Save: %v, aside %q", err, aside(t, c.Path))
	}

	if err := os.WriteFile(filepath.Join(c.Path, "key"), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ = openWith(t, c, nil)
	_, err := s.Load(t.Context(), store.Grants, key, &got)
	if e, ok := errors.AsType[*store.KeyError](err); !ok || !strings.Contains(e.Error(), "holds no key; remove it") {
		t.Errorf("a key file that is damaged: %v", err)
	}
}

// TestNewerRecordStays finds a record that a later version wrote.
func TestNewerRecordStays(t *testing.T) {
	key := store.Key("a")
	for name, newer := range map[string]func([]byte) []byte{
		"version": func(good []byte) []byte { return change(good, "v", 2) },
		"key":     func(good []byte) []byte { return change(good, "kid", "tpm-0123456789abcdef") },
	} {
		t.Run(name, func(t *testing.T) {
			c, path := place(t, key)
			s, _ := openWith(t, c, nil)
			put(t, s, key, "a")
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, newer(good), 0o600); err != nil {
				t.Fatal(err)
			}
			var got record
			if _, err := s.Load(t.Context(), store.Grants, key, &got); err == nil || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "newer plait") {
				t.Errorf("Load: %v", err)
			}
			if _, err := s.Save(t.Context(), store.Grants, key, 0, record{}); err == nil || len(aside(t, c.Path)) != 0 {
				t.Errorf("Save: %v", err)
			}
			put(t, s, key, "new")
			if len(aside(t, c.Path)) != 1 {
				t.Errorf("Put: %q", aside(t, c.Path))
			}
		})
	}
}

// TestKeyOfTheConfiguration seals with credentials.key.
func TestKeyOfTheConfiguration(t *testing.T) {
	key := store.Key("a")
	c, _ := place(t, key)
	c.Store = "auto"
	for name, text := range map[string]config.Secret{
		"passphrase": "correct horse battery staple", "base64": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
	} {
		c.Key = text
		s, _ := openWith(t, c, nil)
		put(t, s, key, name)
		if s.Backend() != "credentials.key" || exists(t, filepath.Join(c.Path, "key")) {
			t.Errorf("%s: backend %s", name, s.Backend())
		}
		s, _ = openWith(t, c, nil)
		var got record
		if _, err := s.Load(t.Context(), store.Grants, key, &got); err != nil || got.Name != name {
			t.Errorf("%s: %v %v", name, got, err)
		}
		for _, other := range []config.Secret{"", "another key of many words"} {
			c.Key = other
			s, _ = openWith(t, c, nil)
			_, err := s.Load(t.Context(), store.Grants, key, &got)
			if e, ok := errors.AsType[*store.KeyError](err); !ok || e.Source != "config" || !strings.Contains(err.Error(), "credentials.key") {
				t.Errorf("%s with key %t: %v", name, other != "", err)
			}
		}
	}
	put(t, openStore(t, c.Path), key, "again") // whoever signs in again needs no former key
	c.Key = "short"
	if _, err := store.Open(store.Options{Credentials: c}); err == nil || strings.Contains(err.Error(), "short") ||
		!strings.Contains(err.Error(), "openssl rand") {
		t.Errorf("a short key: %v", err)
	}
}

// TestA17UnsafePlacesAreRefused refuses what others can change, and what leads elsewhere.
func TestA17UnsafePlacesAreRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("access lists, not modes")
	}
	key := store.Key("a")
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	move := func(path string) error {
		if err := os.Rename(path, elsewhere); err != nil {
			return err
		}
		return os.Symlink(elsewhere, path)
	}
	record := "grants/" + key + ".json"
	for name, c := range map[string]struct {
		spoil func(path string) error
		at    string
		want  string
	}{
		"readable folder":   {func(p string) error { return os.Chmod(p, 0o755) }, ".", "is open to others; run chmod 700"},
		"folder 0644":       {func(p string) error { return os.Chmod(p, 0o644) }, ".", "is open to others; run chmod 700"},
		"folder of a group": {func(p string) error { return os.Chmod(p, 0o770) }, "grants", "is open to others; run chmod 700"},
		"linked folder":     {move, ".", "is a symbolic link"},
		"linked subfolder":  {move, "grants", "is a symbolic link"},
		"linked record":     {move, record, "is not a regular file"},
		"readable record":   {func(p string) error { return os.Chmod(p, 0o644) }, record, "is open to others; run chmod 600"},
		"record as folder": {func(p string) error {
			return errors.Join(os.Remove(p), os.Mkdir(p, 0o700))
		}, record, "is not a regular file"},
		"readable key": {func(p string) error { return os.Chmod(p, 0o640) }, "key", "is open to others; run chmod 600"},
		"linked key":   {move, "key", "is not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			os.RemoveAll(elsewhere)
			where, _ := place(t, key)
			s, _ := openWith(t, where, nil)
			put(t, s, key, "a")
			if err := c.spoil(filepath.Join(where.Path, c.at)); err != nil {
				t.Fatal(err)
			}
			s, _ = openWith(t, where, nil)
			var got struct{}
			for what, err := range map[string]error{
				"Load": func() error { _, err := s.Load(t.Context(), store.Grants, key, &got); return err }(),
				"Put":  s.Put(t.Context(), store.Grants, key, "new"),
			} {
				e, ok := errors.AsType[*store.UnsafeError](err)
				if !ok || !strings.Contains(e.Error(), c.want) {
					t.Errorf("%s: %v, want %q", what, err, c.want)
				}
			}
			if len(aside(t, where.Path)) > 0 {
				t.Errorf("aside: %q", aside(t, where.Path))
			}
		})
	}
}
