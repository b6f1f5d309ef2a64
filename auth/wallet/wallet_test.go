package wallet_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/auth/wallet"
	"github.com/plait-mcp/plait/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const resource = "https://api.example/mcp"

// shop is a place where tokens are numbered.
type shop struct {
	identity *config.Identity
	asked    atomic.Int32
	err      error
}

func (s *shop) Identity() *config.Identity        { return s.identity }
func (s *shop) Resource() string                  { return resource }
func (s *shop) Renewable(rec *wallet.Record) bool { return rec.Refresh != "" }

func (s *shop) Renew(_ context.Context, held *wallet.Held) (*wallet.Record, error) {
	n := s.asked.Add(1)
	if s.err != nil {
		return nil, s.err
	}
	next := held.Record().Clone()
	next.Take(resource, token(fmt.Sprintf("token-%d", n)))
	return next, nil
}

func token(access string) *grant.Token {
	now := time.Now()
	return &grant.Token{Access: access, Refresh: "refresh of " + access, Obtained: now, Expires: now.Add(time.Hour)}
}

// process is a wallet as one process has it; its renewals end with the test.
func process(t *testing.T, kept *store.Store) *wallet.Wallet {
	t.Helper()
	var work sync.WaitGroup
	t.Cleanup(work.Wait)
	return wallet.New(wallet.Options{Store: kept, Go: func(renewal func(context.Context)) error {
		work.Go(func() { renewal(context.WithoutCancel(t.Context())) })
		return nil
	}})
}

// signedIn returns a store that has a grant without a token, and its key.
func signedIn(t *testing.T, as *config.Identity) (kept *store.Store, key string) {
	t.Helper()
	kept, err := store.Open(store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	key = store.Key("grant")
	held, err := process(t, kept).Grant(key).Hold(t.Context(), as)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	if !held.Replace(t.Context(), &wallet.Record{Identity: as.Name, Refresh: "refresh", SignedIn: time.Now().Round(0)}) {
		t.Fatal("not saved")
	}
	return kept, key
}

// TestOneAsks has many in several processes want a token at once: one asks for it. One that its server refused is
// replaced once, too, and given to nobody any more.
func TestOneAsks(t *testing.T) {
	at := &shop{identity: config.NewIdentity("api", config.GrantAuto)}
	kept, key := signedIn(t, at.identity)
	grants := []*wallet.Grant{process(t, kept).Grant(key), process(t, kept).Grant(key), process(t, kept).Grant(key)}
	for round, refused := range []string{"", "token-1", "token-2"} {
		want := fmt.Sprintf("token-%d", round+1)
		var all sync.WaitGroup
		for i := range 60 {
			all.Go(func() {
				if got, _, err := grants[i%len(grants)].Token(t.Context(), at, refused); err != nil || got.Access != want {
					t.Errorf("%v, %v instead of %s", got, err, want)
				}
			})
		}
		all.Wait()
		if n := int(at.asked.Load()); n != round+1 {
			t.Fatalf("asked %d times for %s", n, want)
		}
		if got, _, err := grants[0].Token(t.Context(), at, "token-0"); err != nil || got.Access != want {
			t.Errorf("%v, %v after an older one was refused", got, err)
		}
	}
}

// TestEnd has the authorization server say that a grant is void: nobody asks again, in no process, and access tokens
// that the identity wants kept nowhere stay out of the store.
func TestEnd(t *testing.T) {
	at := &shop{identity: config.NewIdentity("api", config.GrantAuto)}
	at.identity.CacheAccessToken = false
	kept, key := signedIn(t, at.identity)
	g := process(t, kept).Grant(key)
	if _, _, err := g.Token(t.Context(), at, ""); err != nil {
		t.Fatal(err)
	}
	held, err := g.Hold(t.Context(), at.identity)
	if err != nil {
		t.Fatal(err)
	}
	_, is := errors.AsType[*wallet.ExpiredError](held.End(t.Context(), "revoked"))
	held.Release()
	rec, err := process(t, kept).Grant(key).Read(t.Context())
	if !is || err != nil || rec.Expired() == nil || rec.Refresh != "" || len(rec.Tokens) != 0 {
		t.Errorf("kept %+v with %d tokens, %v", rec.Expired(), len(rec.Tokens), err)
	}
	for _, g := range []*wallet.Grant{g, process(t, kept).Grant(key)} {
		if _, _, err := g.Token(t.Context(), at, "token-1"); !errors.As(err, new(*wallet.ExpiredError)) || at.asked.Load() != 1 {
			t.Errorf("asked %d times: %v", at.asked.Load(), err)
		}
	}
}

// TestPause has the authorization server fail: it is left alone for a while, whoever asks, unless a person wants it tried.
func TestPause(t *testing.T) {
	at := &shop{
		identity: config.NewIdentity("api", config.GrantAuto),
		err:      &grant.Error{Op: "token request", Temporary: true, Status: 503, RetryAfter: time.Minute},
	}
	kept, key := signedIn(t, at.identity)
	g := process(t, kept).Grant(key)
	for i := range 10 {
		_, _, err := g.Token(t.Context(), at, "")
		if paused, is := errors.AsType[*wallet.PausedError](err); err == nil || is != (i > 0) || is && paused.Wait <= 0 {
			t.Errorf("attempt %d: %v", i, err)
		}
	}
	g.Retry()
	if _, _, err := g.Token(t.Context(), at, ""); err == nil || at.asked.Load() != 2 {
		t.Errorf("asked %d times: %v", at.asked.Load(), err)
	}
}
