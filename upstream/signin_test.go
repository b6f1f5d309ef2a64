package upstream

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// purse stands between sessions and the wire: it holds the credentials, or an error in their place.
type purse struct {
	next http.RoundTripper

	mu      sync.Mutex
	err     error
	changed chan struct{}
}

// RoundTrip implements http.RoundTripper.
func (p *purse) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	err := p.err
	p.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return p.next.RoundTrip(r)
}

// Changed is what auth.Client has.
func (p *purse) Changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

// set gives requests an error, nil for none, and tells nobody.
func (p *purse) set(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// change is set, and tells who waits.
func (p *purse) change(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
	close(p.changed)
	p.changed = make(chan struct{})
}

// withPurse puts a purse between the sessions of a bubble and the wire.
func (b *bubble) withPurse(err error) *purse {
	srv := b.set.servers[0]
	p := &purse{next: srv.http.Transport, err: err, changed: make(chan struct{})}
	client := *srv.http
	client.Transport = p
	srv.http, srv.changed = &client, p.Changed
	return p
}

func loginRequired() error {
	return &auth.LoginRequiredError{Server: "s", Identity: "i", ID: auth.IDSignIn, Reason: "nobody has signed in yet"}
}

// A server that needs a sign-in, or more rights, at the handshake is asked no more until somebody has signed in; then
// all sessions come back by themselves.
func TestSignInHoldsAndWakes(t *testing.T) {
	for name, err := range map[string]error{
		"login":   loginRequired(),
		"M35 403": &auth.StepUpRequiredError{Server: "s", Identity: "i", ID: auth.IDStepUp, Missing: []string{"mcp:read"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := &mood{}
			m.set(200, "")
			inBubble(t, config.Server{Transport: config.HTTPFirst}, m.ServeHTTP, func(b *bubble) {
				p := b.withPurse(err)
				sessions, release := b.openAll(3)
				defer release()
				status := b.state(sessions[0], SignIn)
				if status.Next != "run plait auth login i" || status.ID == "" {
					b.t.Errorf("status %+v", status)
				}
				time.Sleep(48 * time.Hour) //nolint:forbidigo // fake time
				for _, s := range sessions {
					began := time.Now()
					_, err := b.call(b.t.Context(), s, protocol.ToolsCall)
					b.down(err, SignIn)
					wants(b.t, err, "run plait auth login i", "[PLAIT-AUTH-")
					if time.Since(began) != 0 {
						b.t.Error("the call waited")
					}
				}
				if n := b.requests.Load(); n != 0 {
					b.t.Errorf("%d requests while nobody had signed in", n)
				}
				began := time.Now()
				p.change(nil)
				for _, s := range sessions {
					b.state(s, Ready)
				}
				if time.Since(began) != 0 {
					b.t.Error("they came back late")
				}
			})
		})
	}
}

// A sign-in that ends while a session lasts fails the call, which no server has seen, and holds all sessions.
func TestSignInEndsLater(t *testing.T) {
	m := &mood{}
	m.set(200, "")
	inBubble(t, config.Server{Transport: config.HTTPFirst}, m.ServeHTTP, func(b *bubble) {
		p := b.withPurse(nil)
		s, release := b.open()
		defer release()
		b.state(s, Ready)
		p.set(loginRequired())
		_, err := b.call(b.t.Context(), s, protocol.ToolsCall)
		b.down(err, SignIn)
		if _, ok := errors.AsType[*auth.LoginRequiredError](err); !ok {
			b.t.Errorf("the error %v does not tell who has to sign in", err)
		}
		b.state(s, SignIn)
		n := b.requests.Load()
		time.Sleep(24 * time.Hour) //nolint:forbidigo // fake time
		if b.requests.Load() != n {
			b.t.Error("the server was asked")
		}
		p.change(nil)
		b.state(s, Ready)
		if _, err := b.call(b.t.Context(), s, protocol.ToolsCall); err != nil {
			b.t.Error(err)
		}
	})
}

// A list that is read, a notification and a ping find it out, too.
func TestSignInEndsUnused(t *testing.T) {
	m := &mood{}
	m.set(200, "")
	for name, use := range map[string]func(ctx context.Context, s *Session){
		"list":         func(_ context.Context, s *Session) { s.stale(protocol.Tools) },
		"notification": func(ctx context.Context, s *Session) { s.post(s.current(), Cancellation(ctx, "9")) },
		"level":        func(ctx context.Context, s *Session) { s.SetLevel(ctx, nil, jsonrpc.Raw(`"info"`)) },
		"ping":         func(context.Context, *Session) { time.Sleep(time.Minute) }, //nolint:forbidigo // fake time
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Server{Transport: config.HTTPFirst}
			if name == "ping" {
				cfg.Ping = config.Ping{Interval: 30 * time.Second, Timeout: 5 * time.Second}
			}
			inBubble(t, cfg, m.ServeHTTP, func(b *bubble) {
				p := b.withPurse(nil)
				s, release := b.open()
				defer release()
				s.Want(protocol.Tools)
				b.state(s, Ready)
				p.set(loginRequired())
				use(b.t.Context(), s)
				synctest.Wait()
				time.Sleep(time.Second) //nolint:forbidigo // fake time
				b.state(s, SignIn)
				p.change(nil)
				b.state(s, Ready)
			})
		})
	}
}

// M33: one call that needs more rights fails for itself. The session goes on.
func TestM33StepUpIsAboutOneCall(t *testing.T) {
	m := &mood{}
	m.set(200, "")
	inBubble(t, config.Server{Transport: config.HTTPFirst}, m.ServeHTTP, func(b *bubble) {
		p := b.withPurse(nil)
		s, release := b.open()
		defer release()
		b.state(s, Ready)
		p.set(&auth.StepUpRequiredError{Server: "s", Identity: "i", ID: auth.IDStepUp, Missing: []string{"w"}})
		_, err := b.call(b.t.Context(), s, protocol.ToolsCall)
		wants(b.t, err, "the right w", "run plait auth login i", "[PLAIT-AUTH-004]")
		p.set(nil)
		b.state(s, Ready)
		if _, err := b.call(b.t.Context(), s, protocol.ToolsCall); err != nil {
			b.t.Error(err)
		}
	})
}

// Credentials that are refused park the server, whatever a person might do; others end that by themselves.
func TestRefusedIdentityParks(t *testing.T) {
	m := &mood{}
	m.set(200, "")
	inBubble(t, config.Server{Transport: config.HTTPFirst}, m.ServeHTTP, func(b *bubble) {
		p := b.withPurse(&auth.RefusedError{
			Server: "s", Identity: "i", ID: auth.IDClientRefused, Reason: "client credentials refused", Advice: "check clientSecret",
		})
		s, release := b.open()
		defer release()
		b.state(s, Parked)
		time.Sleep(time.Hour) //nolint:forbidigo // fake time
		_, err := b.call(b.t.Context(), s, protocol.ToolsCall)
		b.down(err, Parked)
		wants(b.t, err, "client credentials refused", "check clientSecret", "[PLAIT-AUTH-006]")
		p.change(nil)
		b.state(s, Ready)
	})
}

// M25: an authorization server that is away is waited for as a server is, and never asks a person to sign in.
func TestM25UnavailableWaits(t *testing.T) {
	m := &mood{}
	m.set(200, "")
	inBubble(t, config.Server{Transport: config.HTTPFirst}, m.ServeHTTP, func(b *bubble) {
		p := b.withPurse(&auth.UnavailableError{Server: "s", Identity: "i", ID: auth.IDUnavailable, Reason: "503"})
		s, release := b.open()
		defer release()
		b.state(s, Waiting)
		time.Sleep(10 * time.Minute) //nolint:forbidigo // fake time
		_, err := b.call(b.t.Context(), s, protocol.ToolsCall)
		b.down(err, Waiting)
		wants(b.t, err, "cannot renew the sign-in right now (503)", "[PLAIT-AUTH-007]")
		p.set(nil)
		time.Sleep(longWait + time.Minute) //nolint:forbidigo // fake time
		b.state(s, Ready)
		p.set(&auth.UnavailableError{Server: "s", Identity: "i", ID: auth.IDUnavailable, Reason: "503"})
		_, err = b.call(b.t.Context(), s, protocol.ToolsCall)
		wants(b.t, err, "cannot renew the sign-in right now (503)")
		b.state(s, Ready)
	})
}

// M32: a server that refuses tokens that were just issued for it is tried again, later and later.
func TestM32RefusedTokensWait(t *testing.T) {
	m := &mood{}
	m.set(200, "")
	inBubble(t, config.Server{Transport: config.HTTPFirst}, m.ServeHTTP, func(b *bubble) {
		p := b.withPurse(&auth.RefusedError{Server: "s", ID: auth.IDTokenRefused, Reason: "rejects tokens", Advice: "explain"})
		s, release := b.open()
		defer release()
		b.state(s, Waiting)
		p.set(nil)
		time.Sleep(longWait) //nolint:forbidigo // fake time
		b.state(s, Ready)
		p.set(&auth.RefusedError{Server: "s", ID: auth.IDTokenRefused, Reason: "rejects tokens", Advice: "explain"})
		_, err := b.call(b.t.Context(), s, protocol.ToolsCall)
		wants(b.t, err, "rejects tokens", "[PLAIT-AUTH-008]")
		b.state(s, Ready)
	})
}

// A command or file that gave no token is asked again, later and later: its service, or its network, may have been away.
func TestSourceIsAskedAgain(t *testing.T) {
	m := &mood{}
	m.set(200, "")
	inBubble(t, config.Server{Transport: config.HTTPFirst}, m.ServeHTTP, func(b *bubble) {
		p := b.withPurse(&auth.RefusedError{Server: "s", ID: auth.IDSource, Reason: "the command fails", Advice: "run it by hand"})
		s, release := b.open()
		defer release()
		b.state(s, Waiting)
		_, err := b.call(b.t.Context(), s, protocol.ToolsCall)
		wants(b.t, err, "the command fails", "run it by hand", "[PLAIT-AUTH-015]")
		p.set(nil)
		time.Sleep(longWait) //nolint:forbidigo // fake time
		b.state(s, Ready)
	})
}

// A sign-in during an attempt that fails for want of it is not overlooked.
func TestSignInDuringTheAttempt(t *testing.T) {
	m := &mood{}
	m.set(200, "")
	inBubble(t, config.Server{Transport: config.HTTPFirst}, m.ServeHTTP, func(b *bubble) {
		p := b.withPurse(nil)
		slow := &late{purse: p}
		b.set.servers[0].http.Transport = slow
		s, release := b.open()
		defer release()
		b.state(s, Ready)
		if slow.failed != 1 {
			b.t.Errorf("%d attempts failed", slow.failed)
		}
	})
}

// late is a purse whose first request fails, after the sign-in that it missed.
type late struct {
	*purse

	failed int
}

// RoundTrip implements http.RoundTripper.
func (l *late) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.failed == 0 {
		l.failed++
		l.change(nil)
		return nil, loginRequired()
	}
	return l.purse.RoundTrip(r)
}

// watcher is a client that counts what it is told of sign-ins.
type watcher struct {
	nobody

	mu   sync.Mutex
	told []State
}

// SignInChanged implements Client.
func (w *watcher) SignInChanged(s *Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, s.Status().State)
}

// Clients hear once that a sign-in is needed, and once that it is not.
func TestClientsHearOfSignIns(t *testing.T) {
	m := &mood{}
	m.set(200, "")
	inBubble(t, config.Server{Transport: config.HTTPFirst}, m.ServeHTTP, func(b *bubble) {
		p := b.withPurse(loginRequired())
		w := &watcher{}
		sessions := b.set.Open(w, Hello{Version: protocol.Latest}, []*config.Server{b.set.servers[0].cfg})
		defer b.set.Release(w, sessions)
		b.state(sessions[0], SignIn)
		p.change(loginRequired()) // in vain
		b.state(sessions[0], SignIn)
		p.change(nil)
		b.state(sessions[0], Ready)
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.told) != 2 || w.told[0] != SignIn || w.told[1] != Ready {
			b.t.Errorf("told %v", w.told)
		}
	})
}
