package auth

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/register"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/auth/wallet"
	"github.com/plait-mcp/plait/config"
)

// inHand is a handler that is reached without a network.
type inHand func(w http.ResponseWriter, r *http.Request)

// RoundTrip implements http.RoundTripper.
func (h inHand) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	h(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// clockwork is a client that is signed in, in fake time, with the servers that it knows.
type clockwork struct {
	t *testing.T
	m *Manager
	c *Client

	mu     sync.Mutex // for the servers; the test itself looks while nothing else runs
	good   time.Time  // until when the token of the server is good
	token  string
	life   time.Duration
	issued []time.Time // when a token was asked for
	late   int         // requests that came with a token that was over
	refuse bool        // whatever comes
	status int         // of the token endpoint; 0 for success
	header http.Header // of its answers
}

// inFakeTime runs f with a client that signed in just now, with tokens that live for a while.
func inFakeTime(t *testing.T, life time.Duration, f func(w *clockwork)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &clockwork{t: t, life: life, header: http.Header{}}
		w.m = NewManager(t.Context(), Options{})
		defer w.m.Close()
		identity := config.NewIdentity("api", config.GrantAuto)
		identity.Implicit = true
		c, err := w.m.Client(&config.Server{Name: "api", URL: "http://127.0.0.1/mcp", Identity: identity})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.static.next.RegisterProtocol("http", inHand(w.serve))
		c.site.bare = &http.Client{Transport: inHand(w.serveAS)}
		w.c = c
		w.signIn()
		f(w)
	})
}

// signIn saves a sign-in as any process does.
func (w *clockwork) signIn() {
	w.t.Helper()
	md := &discovery.Metadata{Issuer: "http://127.0.0.1", TokenEndpoint: "http://127.0.0.1/token"}
	b := &bond{Found: &discovery.Found{Resource: w.c.site.server.URL, Server: md}, Grant: store.Key("grant")}
	now := time.Now().Round(0)
	w.token, w.good = "token-0", now.Add(w.life)
	rec := &wallet.Record{Issuer: md.Issuer, Metadata: md, Client: &register.Client{ID: "c", Method: "none"}, Refresh: "refresh-0", SignedIn: now}
	rec.Take(w.c.site.server.URL, &grant.Token{Access: w.token, Obtained: now, Expires: w.good})
	s := w.m.opts.Store
	if err := errors.Join(s.Put(w.t.Context(), store.Grants, b.Grant, rec), s.Put(w.t.Context(), bonds, w.c.site.key(), b)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *clockwork) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse || r.Header.Get("Authorization") != "Bearer "+w.token || !time.Now().Before(w.good) {
		w.late++
		rw.WriteHeader(http.StatusUnauthorized)
	}
}

func (w *clockwork) serveAS(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.URL.Path != "/token" {
		rw.WriteHeader(http.StatusNotFound)
		return
	}
	w.issued = append(w.issued, time.Now())
	maps.Copy(rw.Header(), w.header)
	rw.Header().Set("Content-Type", "application/json")
	if w.status != 0 {
		rw.WriteHeader(w.status)
		return
	}
	n := len(w.issued)
	w.token, w.good = fmt.Sprintf("token-%d", n), time.Now().Add(w.life)
	fmt.Fprintf(rw, `{"access_token":%q,"token_type":"Bearer","expires_in":%d,"refresh_token":"refresh-%d"}`, w.token, int(w.life.Seconds()), n)
}

// set changes how the servers behave.
func (w *clockwork) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// seen returns how many tokens were asked for, and how many requests came in vain.
func (w *clockwork) seen() (renewals, late int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.issued), w.late
}

// call sends a request and returns its error.
func (w *clockwork) call() error {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.c.site.server.URL, strings.NewReader("{}"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer synctest.Wait()
	resp, err := w.c.HTTP.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// pass lets time pass.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // fake time
	synctest.Wait()
}

// TestRenewedEarly uses a server for half a day: each token is renewed before it is over, once.
func TestRenewedEarly(t *testing.T) {
	inFakeTime(t, time.Hour, func(w *clockwork) {
		for range 12 * 60 {
			if err := w.call(); err != nil {
				t.Fatal(err)
			}
			pass(time.Minute)
		}
		if n, late := w.seen(); late != 0 || n < 12 || n > 14 {
			t.Errorf("%d renewals, %d requests with a token that was over", n, late)
		}
	})
}

// TestIdleIsNotRenewed leaves a server alone: nothing is asked for until it is used again.
func TestIdleIsNotRenewed(t *testing.T) {
	inFakeTime(t, time.Hour, func(w *clockwork) {
		if err := w.call(); err != nil {
			t.Fatal(err)
		}
		pass(48 * time.Hour)
		if n, _ := w.seen(); n != 0 {
			t.Errorf("renewed %d times", n)
		}
		err := w.call()
		if n, late := w.seen(); err != nil || n != 1 || late != 0 {
			t.Errorf("%d renewals, %d late, %v", n, late, err)
		}
	})
}

// TestM25BackOff has the token endpoint fail for hours, in which there is a call every other second: it is asked each few
// minutes, a token that lives is used meanwhile, and no call is told to sign in.
func TestM25BackOff(t *testing.T) {
	inFakeTime(t, time.Hour, func(w *clockwork) {
		w.set(func() { w.status = http.StatusServiceUnavailable })
		for i := range 4 * 60 * 60 / 2 {
			now, err := 2*i, w.call()
			if _, unavailable := errors.AsType[*UnavailableError](err); now < 3590 && err != nil || now > 3610 && !unavailable {
				t.Fatalf("after %d s: %v", now, err)
			}
			pass(2 * time.Second)
		}
		if n, _ := w.seen(); n < 30 || n > 300 {
			t.Errorf("asked %d times in 4 hours", n)
		}
		w.set(func() { w.status = 0 })
		pass(5 * time.Minute)
		if err := w.call(); err != nil {
			t.Error(err)
		}
	})
}

// TestM25RetryAfter has the token endpoint say when to come back.
func TestM25RetryAfter(t *testing.T) {
	inFakeTime(t, time.Hour, func(w *clockwork) {
		pass(2 * time.Hour)
		w.set(func() { w.status = http.StatusTooManyRequests })
		w.set(func() { w.header.Set("Retry-After", "600") })
		err := w.call()
		e, ok := errors.AsType[*UnavailableError](err)
		if !ok {
			t.Fatal(err)
		}
		for range 599 {
			if e, ok = errors.AsType[*UnavailableError](w.call()); !ok {
				t.Fatal("asked too early")
			}
			pass(time.Second)
		}
		if n, _ := w.seen(); n != 1 || !strings.Contains(e.Error(), "plait tries again in ") {
			t.Errorf("asked %d times; %v", n, e)
		}
		w.set(func() { w.status = 0 })
		pass(2 * time.Second)
		if err := w.call(); err != nil {
			t.Error(err)
		}
	})
}

// TestM32Pause has a server refuse all tokens for an hour of calls: it gets a few requests each five minutes, and tokens
// are not issued for nothing.
func TestM32Pause(t *testing.T) {
	inFakeTime(t, time.Hour, func(w *clockwork) {
		w.set(func() { w.refuse = true })
		for range 60 * 60 {
			if _, ok := errors.AsType[*RefusedError](w.call()); !ok {
				if _, ok := errors.AsType[*UnavailableError](w.call()); !ok {
					t.Fatal("a call got through")
				}
			}
			pass(time.Second)
		}
		if n, late := w.seen(); late > 13*2*stopsToClose || n > 13*stopsToClose {
			t.Errorf("%d requests, %d tokens in an hour", late, n)
		}
		w.set(func() { w.refuse = false })
		pass(closedFor)
		if err := w.call(); err != nil {
			t.Error(err)
		}
	})
}

// TestM44Suspended has a computer sleep: what counts is the wall clock, and times of tokens hold no other.
func TestM44Suspended(t *testing.T) {
	inFakeTime(t, time.Hour, func(w *clockwork) {
		pass(2 * time.Hour)
		if err := w.call(); err != nil {
			t.Fatal(err)
		}
		rec := w.m.wallet.Grant(store.Key("grant")).Record()
		for _, token := range rec.Tokens {
			for _, at := range []time.Time{token.Obtained, token.Expires, rec.SignedIn} {
				if strings.Contains(at.String(), "m=") {
					t.Errorf("%s stands still while a computer sleeps", at)
				}
			}
		}
	})
	// The timer of the tender stands still in a sleep, so it never is set for long.
	inFakeTime(t, 24*time.Hour, func(w *clockwork) {
		if err := w.call(); err != nil {
			t.Fatal(err)
		}
		if next := w.m.wallet.Tend(w.t.Context()); next > 30*time.Second {
			t.Errorf("looks again in %s", next)
		}
	})
}

// TestClosedManager starts nothing any more, and nobody waits for it.
func TestClosedManager(t *testing.T) {
	inFakeTime(t, time.Hour, func(w *clockwork) {
		pass(2 * time.Hour)
		w.m.Close()
		if err := w.call(); err == nil {
			t.Error("a token came after the end")
		}
		if _, err := w.m.Begin(w.t.Context(), w.c.site.server, BeginOptions{}); err == nil {
			t.Error("a sign-in began after the end")
		}
	})
}
