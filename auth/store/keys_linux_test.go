package store_test

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/auth/store/keyringtest"
	"github.com/plait-mcp/plait/config"
)

// TestKeyInTheKeyring keeps the key where it belongs, and nothing is lost while the keyring cannot be used.
func TestKeyInTheKeyring(t *testing.T) {
	for _, mode := range []string{"auto", "keyring"} {
		t.Run(mode, func(t *testing.T) {
			session := keyringtest.StartUnlocked(t)
			session.Enter(t)
			c := config.Credentials{Store: mode, Path: filepath.Join(t.TempDir(), "auth")}
			key := store.Key("grant")

			first, log := openWith(t, c, helper(t))
			if err := first.Put(t.Context(), store.Grants, key, record{Name: "n"}); err != nil {
				t.Fatal(err)
			}
			if exists(t, filepath.Join(c.Path, "key")) || first.Backend() != "keyring" || len(log.warnings()) > 0 {
				t.Errorf("backend %s, %q", first.Backend(), log.warnings())
			}
			kek, err := store.NewKeyring(helper(t)).Get(t.Context(), "plait", "kek-v1")
			if err != nil || len(kek) < 44 {
				t.Errorf("the key in the keyring: %d bytes, %v", len(kek), err)
			}
			if _, err := first.Secret(t.Context(), "plait", "kek-v1"); err == nil {
				t.Error("the key is to be had as a secret")
			}

			session.Lock(t)
			second, _ := openWith(t, c, helper(t))
			var got record
			_, err = second.Load(t.Context(), store.Grants, key, &got)
			if e, ok := errors.AsType[*store.KeyError](err); !ok || e.Source != "keyring" || errors.Is(err, store.ErrNotFound) ||
				!strings.Contains(err.Error(), "the OS keyring is locked; unlock it with plait secrets unlock") {
				t.Errorf("Load while the keyring is locked: %v", err)
			}
			_, err = second.Save(t.Context(), store.Grants, store.Key("other"), 0, record{})
			if _, ok := errors.AsType[*store.KeyError](err); !ok {
				t.Errorf("Save while the keyring is locked: %v", err)
			}
			if found := aside(t, c.Path); len(found) > 0 || exists(t, filepath.Join(c.Path, "key")) {
				t.Errorf("put aside: %q", found)
			}
			if _, err := first.Load(t.Context(), store.Grants, key, &got); err != nil {
				t.Errorf("who had the key before: %v", err)
			}

			session.Unlock(t)
			if _, err := second.Load(t.Context(), store.Grants, key, &got); err != nil || got.Name != "n" {
				t.Errorf("after it was unlocked: %v %v", got, err)
			}
		})
	}
}

// TestM36KeyringMissingLockedOrHanging starts without a key where the keyring cannot be used.
func TestM36KeyringMissingLockedOrHanging(t *testing.T) {
	for name, start := range map[string]func(tb testing.TB) *keyringtest.Session{
		"missing": keyringtest.StartBus,
		"locked": func(tb testing.TB) *keyringtest.Session {
			tb.Helper()
			s := keyringtest.StartUnlocked(tb)
			s.Lock(tb)
			return s
		},
		"hanging": func(tb testing.TB) *keyringtest.Session {
			tb.Helper()
			s := keyringtest.StartUnlocked(tb)
			s.Freeze(tb)
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			session := start(t)
			session.HangPrompter(t)
			session.Enter(t)
			c := config.Credentials{Store: "keyring", Path: filepath.Join(t.TempDir(), "auth")}
			strict, _ := openWith(t, c, helper(t))
			err := strict.Put(t.Context(), store.Grants, store.Key("a"), record{})
			if _, ok := errors.AsType[*store.KeyError](err); !ok {
				t.Errorf("store: keyring: %v", err)
			}
			keyFile := filepath.Join(c.Path, "key")
			if exists(t, keyFile) {
				t.Fatal("store: keyring made a key file")
			}

			c.Store = "auto"
			auto, log := openWith(t, c, helper(t))
			for _, name := range []string{"a", "b"} {
				if err := auto.Put(t.Context(), store.Grants, store.Key(name), record{Name: name}); err != nil {
					t.Fatal(err)
				}
			}
			lines := log.warnings()
			if len(lines) != 1 || !strings.Contains(lines[0], "OS keyring cannot be used") || !strings.Contains(lines[0], keyFile) {
				t.Errorf("warnings: %q", lines)
			}
			if want := "key file " + keyFile + " (0600)"; auto.Backend() != want {
				t.Errorf("backend %q, want %q", auto.Backend(), want)
			}
			again, log := openWith(t, c, helper(t))
			var got record
			if _, err := again.Load(t.Context(), store.Grants, store.Key("b"), &got); err != nil || got.Name != "b" || len(log.warnings()) > 0 {
				t.Errorf("the next process: %v %v %q", got, err, log.warnings())
			}
			if left := session.Processes(t, store.HelperArg); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestKeyFileGoesOn uses the key file on when a keyring appears, and finds what a keyring sealed meanwhile.
func TestKeyFileGoesOn(t *testing.T) {
	session := keyringtest.StartUnlocked(t)
	session.Lock(t)
	session.Enter(t)
	c := config.Credentials{Store: "auto", Path: filepath.Join(t.TempDir(), "auth")}
	s, _ := openWith(t, c, helper(t))
	if err := s.Put(t.Context(), store.Grants, store.Key("a"), record{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	session.Unlock(t)
	s, _ = openWith(t, c, helper(t))
	if err := s.Put(t.Context(), store.Grants, store.Key("b"), record{Name: "b"}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.NewKeyring(helper(t)).Get(t.Context(), "plait", "kek-v1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a key in the keyring, too: %v", err)
	}

	// Whoever says keyring now gets one, and what the file sealed is still there.
	c.Store = "keyring"
	s, _ = openWith(t, c, helper(t))
	var got record
	if _, err := s.Load(t.Context(), store.Grants, store.Key("a"), &got); err != nil || got.Name != "a" {
		t.Errorf("%v %v", got, err)
	}
	if err := s.Put(t.Context(), store.Grants, store.Key("c"), record{Name: "c"}); err != nil {
		t.Fatal(err)
	}
	c.Store = "auto"
	s, _ = openWith(t, c, helper(t))
	for _, name := range []string{"a", "b", "c"} {
		if _, err := s.Load(t.Context(), store.Grants, store.Key(name), &got); err != nil || got.Name != name {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}

	// Whoever says file wants no keyring: what it sealed counts as lost, and makes room.
	c.Store = "file"
	s, log := openWith(t, c, helper(t))
	if _, err := s.Load(t.Context(), store.Grants, store.Key("c"), &got); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("sealed by the keyring: %v", err)
	}
	if len(log.warnings()) != 1 || len(aside(t, c.Path)) != 0 {
		t.Errorf("%q, aside %q", log.warnings(), aside(t, c.Path))
	}
	if _, err := s.Save(t.Context(), store.Grants, store.Key("c"), 0, record{Name: "new"}); err != nil || len(aside(t, c.Path)) != 1 {
		t.Errorf("%v, aside %q", err, aside(t, c.Path))
	}
}

// TestKeyOfAnotherKeyring loses the key in the keyring: records stay until something new takes their place.
func TestKeyOfAnotherKeyring(t *testing.T) {
	c := config.Credentials{Store: "auto", Path: filepath.Join(t.TempDir(), "auth")}
	keyringtest.StartUnlocked(t).Enter(t)
	s, _ := openWith(t, c, helper(t))
	if err := s.Put(t.Context(), store.Grants, store.Key("a"), record{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	keyringtest.StartUnlocked(t).Enter(t)
	s, log := openWith(t, c, helper(t))
	var got record
	for range 2 {
		if _, err := s.Load(t.Context(), store.Grants, store.Key("a"), &got); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%v", err)
		}
	}
	if len(log.warnings()) != 1 || !strings.Contains(log.warnings()[0], "their key is gone; sign in again") {
		t.Errorf("%q", log.warnings())
	}
	if _, err := s.Save(t.Context(), store.Grants, store.Key("a"), 0, record{Name: "b"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context(), store.Grants, store.Key("a"), &got); err != nil || got.Name != "b" || len(aside(t, c.Path)) != 1 {
		t.Errorf("%v %v", got, err)
	}
}

// TestOneKeyForAll has many stores make the key at once.
func TestOneKeyForAll(t *testing.T) {
	for name, start := range map[string]func(tb testing.TB) *keyringtest.Session{
		"keyring": keyringtest.StartUnlocked, "none": keyringtest.StartBus,
	} {
		t.Run(name, func(t *testing.T) {
			start(t).Enter(t)
			c := config.Credentials{Store: "auto", Path: filepath.Join(t.TempDir(), "auth")}
			const many = 8
			var group sync.WaitGroup
			for i := range many {
				s, _ := openWith(t, c, helper(t))
				group.Go(func() {
					if err := s.Put(t.Context(), store.Grants, store.Key(string(rune('a'+i))), record{}); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			s, _ := openWith(t, c, helper(t))
			var got record
			for i := range many {
				if _, err := s.Load(t.Context(), store.Grants, store.Key(string(rune('a'+i))), &got); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestSecretsInTheKeyring keeps secrets in the keyring, and in the store while there is none.
func TestSecretsInTheKeyring(t *testing.T) {
	session := keyringtest.StartUnlocked(t)
	session.Enter(t)
	c := config.Credentials{Store: "auto", Path: filepath.Join(t.TempDir(), "auth")}
	s, _ := openWith(t, c, helper(t))
	ctx := t.Context()
	if place, err := s.SetSecret(ctx, "svc", "a/b", "canary"); err != nil || place != store.InKeyring {
		t.Fatalf("%s %v", place, err)
	}
	if got, err := store.NewKeyring(helper(t)).Get(ctx, "svc", "a/b"); err != nil || got != "canary" {
		t.Errorf("in the keyring: %q %v", got, err)
	}
	if err := store.NewKeyring(helper(t)).Set(ctx, "svc", "foreign", "f"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Secret(ctx, "svc", "foreign"); err != nil || got != "f" {
		t.Errorf("what another program stored: %q %v", got, err)
	}
	if names, err := s.SecretNames(ctx); err != nil || len(names) != 1 || names[0] != "svc/a/b" {
		t.Errorf("%q %v", names, err)
	}
	session.Lock(t)
	if _, err := s.Secret(ctx, "svc", "a/b"); reason(t, err) != store.ReasonLocked {
		t.Error(err)
	}
	if _, err := s.Secret(ctx, "svc", "never"); reason(t, err) != store.ReasonLocked {
		t.Errorf("nobody can know whether it is there: %v", err)
	}
	session.Unlock(t)
	if err := s.RemoveSecret(ctx, "svc", "a/b"); err != nil {
		t.Error(err)
	}
	if _, err := s.Secret(ctx, "svc", "a/b"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	if err := s.RemoveSecret(ctx, "svc", "a/b"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	if err := s.Unlock(ctx); err != nil {
		t.Error(err)
	}
}
