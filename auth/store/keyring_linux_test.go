package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/auth/store/keyringtest"
)

// hung bounds what would otherwise wait for ever.
const hung = 30 * time.Second

// helper is the command that makes the test binary the helper of a keyring.
func helper(tb testing.TB) []string {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	return []string{self, store.HelperArg}
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
	k := store.NewKeyring(helper(t))
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
	if err := k.Unlock(t.Context()); err != nil {
		t.Errorf("Unlock of what is not locked: %v", err)
	}
}

// TestKeyringSaysWhyItGivesNothing asks keyrings that cannot be used: each says why, soon, and no question reaches a
// person.
func TestKeyringSaysWhyItGivesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		start func(tb testing.TB) *keyringtest.Session
		want  store.Reason
	}{
		"no bus": {func(tb testing.TB) *keyringtest.Session {
			tb.Helper()
			s := keyringtest.StartBus(tb)
			s.Hide()
			return s
		}, store.ReasonAbsent},
		"no service":    {keyringtest.StartBus, store.ReasonAbsent},
		"no collection": {keyringtest.StartEmpty, store.ReasonAbsent},
		"locked": {func(tb testing.TB) *keyringtest.Session {
			tb.Helper()
			s := keyringtest.StartUnlocked(tb)
			s.Lock(tb)
			return s
		}, store.ReasonLocked},
		"silent bus": {keyringtest.StartBus, store.ReasonSilent},
		"silent": {func(tb testing.TB) *keyringtest.Session {
			tb.Helper()
			s := keyringtest.StartUnlocked(tb)
			s.Freeze(tb)
			return s
		}, store.ReasonSilent},
	} {
		t.Run(name, func(t *testing.T) {
			session := c.start(t)
			asked := session.HangPrompter(t)
			if name == "silent bus" {
				session.FreezeBus(t)
			}
			session.Enter(t)
			ctx, cancel := context.WithTimeout(t.Context(), hung)
			defer cancel()
			k := store.NewKeyring(helper(t))
			_, err := k.Get(ctx, "svc", "a")
			if got := reason(t, err); got != c.want {
				t.Errorf("Get: %s (%v), want %s", got, err, c.want)
			}
			if got := reason(t, k.Set(ctx, "svc", "a", "x")); got != c.want {
				t.Errorf("Set: %s, want %s", got, c.want)
			}
			if got := reason(t, k.Delete(ctx, "svc", "a")); got != c.want {
				t.Errorf("Delete: %s, want %s", got, c.want)
			}
			select {
			case <-asked:
				t.Error("somebody was asked for a password")
			default:
			}
			if left := session.Processes(t, store.HelperArg); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestPrompterThatNeverAnswers unlocks a keyring while the program that asks for its password hangs.
func TestPrompterThatNeverAnswers(t *testing.T) {
	session := keyringtest.StartUnlocked(t)
	session.Lock(t)
	asked := session.HangPrompter(t)
	session.Enter(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel() // the person gives up
	}()
	if err := store.NewKeyring(helper(t)).Unlock(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Unlock: %v", err)
	}
	if left := session.Processes(t, store.HelperArg); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestHelperThatCannotBeStarted(t *testing.T) {
	for name, command := range map[string][]string{
		"missing": {filepath.Join(t.TempDir(), "none")},
		"other":   {"/bin/echo", "{}{}"},
		"mute":    {"/bin/true"},
	} {
		_, err := store.NewKeyring(command).Get(t.Context(), "svc", "a")
		if got := reason(t, err); got != store.ReasonBroken {
			t.Errorf("%s: %s", name, got)
		}
	}
}
