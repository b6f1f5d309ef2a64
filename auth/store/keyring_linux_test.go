package store_test

import (
	"errors"
	"os"
	"testing"

	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/auth/store/keyringtest"
)

// ring returns a keyring whose helper is the test binary.
func ring(tb testing.TB) *store.Keyring {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	return store.NewKeyring([]string{self, store.HelperArg})
}

func reason(tb testing.TB, err error) store.Reason {
	tb.Helper()
	e, ok := errors.AsType[*store.KeyringError](err)
	if !ok {
		tb.Fatalf("no KeyringError: %v", err)
	}
	return e.Reason
}

func TestKeyringKeepsEntries(t *testing.T) {
	keyringtest.StartUnlocked(t).Enter(t)
	k := ring(t)
	if _, err := k.Get(t.Context(), "svc", "a"); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("what was never set: %v", err)
	}
	for _, value := range []string{"one", "two\nlines \x00 ü", ""} {
		if err := k.Set(t.Context(), "svc", "a", value); err != nil {
			t.Fatal(err)
		}
		if got, err := k.Get(t.Context(), "svc", "a"); err != nil || got != value {
			t.Errorf("got %q %v, want %q", got, err, value)
		}
	}
	if _, err := k.Get(t.Context(), "svc2", "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the same key of another service: %v", err)
	}
	if err := k.Delete(t.Context(), "svc", "a"); err != nil {
		t.Fatal(err)
	}
	if err := k.Delete(t.Context(), "svc", "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Delete of what is not there: %v", err)
	}
}

func TestLockedKeyringIsNotAnEmptyOne(t *testing.T) {
	session := keyringtest.StartUnlocked(t)
	session.Enter(t)
	k := ring(t)
	if err := k.Set(t.Context(), "svc", "a", "value"); err != nil {
		t.Fatal(err)
	}
	session.Lock(t)
	for name, ask := range map[string]func() error{
		"get":    func() error { _, err := k.Get(t.Context(), "svc", "a"); return err },
		"absent": func() error { _, err := k.Get(t.Context(), "svc", "b"); return err },
		"set":    func() error { return k.Set(t.Context(), "svc", "a", "x") },
		"delete": func() error { return k.Delete(t.Context(), "svc", "a") },
	} {
		if got := reason(t, ask()); got != store.ReasonLocked {
			t.Errorf("%s: %s", name, got)
		}
	}
}
