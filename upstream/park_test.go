package upstream

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// mood is what a server answers: its status, 200 for the truth, and its Retry-After.
type mood struct {
	status atomic.Int64
	after  atomic.Value
	calls  atomic.Bool // only calls are answered so
}

func (m *mood) set(status int, after string) {
	m.status.Store(int64(status))
	m.after.Store(after)
}

// ServeHTTP implements http.Handler.
func (m *mood) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if m.status.Load() == 200 || m.calls.Load() && r.ContentLength != callLength {
		rpc(w, r, map[string]string{"tools/call": `{"content":[]}`, "tools/list": `{"tools":[]}`})
		return
	}
	if after, _ := m.after.Load().(string); after != "" {
		w.Header().Set("Retry-After", after)
	}
	w.WriteHeader(int(m.status.Load()))
}

// callLength is how long the call is that a bubble makes.
const callLength = int64(len(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}`))

// wants fails the test unless err has all the words in its text.
func wants(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
}

// state fails the test unless the session is in the state.
func (b *bubble) state(s *Session, want State) Status {
	b.t.Helper()
	synctest.Wait()
	status := s.Status()
	if status.State != want {
		b.t.Fatalf("state %s, want %s: %v", status.State, want, status.Err)
	}
	if (want == Parked || want == Waiting) && (status.Next == "" || status.ID == "" || status.Err == nil) {
		b.t.Errorf("the status does not say what to do: %+v", status)
	}
	return status
}

// A server that refuses the credentials at the handshake is parked for all clients until somebody has it tried.
func TestRefusedCredentialsPark(t *testing.T) {
	for _, status := range []int{401, 403} {
		m := &mood{}
		m.set(status, "")
		inBubble(t, config.Server{Transport: config.HTTPFirst}, m.ServeHTTP, func(b *bubble) {
			s, release := b.open()
			defer release()
			b.state(s, Parked)
			time.Sleep(48 * time.Hour) //nolint:forbidigo // fake time
			late, releaseLate := b.open()
			defer releaseLate()
			since := b.state(late, Parked).Since
			for _, each := range []*Session{s, late} {
				began := time.Now()
				_, err := b.call(b.t.Context(), each, protocol.ToolsCall)
				b.down(err, Parked)
				wants(b.t, err, "parked", "give it credentials in headers", "plait reload", "[PLAIT-SRV-005]")
				if time.Since(began) != 0 {
					b.t.Error("the call waited")
				}
			}
			if n := b.requests.Load(); n != 1 {
				b.t.Errorf("%d requests", n)
			}
			m.set(200, "")
			late.Retry()
			b.state(s, Ready)
			b.state(late, Ready)
			if time.Since(since) != 0 {
				b.t.Error("the state began at another time")
			}
		})
	}
}

// 401 in the middle of a session parks the server; 403 of one call is about that call.
func TestCredentialsRefusedLater(t *testing.T) {
	m := &mood{}
	m.calls.Store(true)
	m.set(200, "")
	inBubble(t, config.Server{Transport: config.HTTPFirst}, m.ServeHTTP, func(b *bubble) {
		s, release := b.open()
		defer release()
		b.state(s, Ready)
		m.set(403, "")
		_, err := b.call(b.t.Context(), s, protocol.ToolsCall)
		wants(b.t, err, `server "s"`, "403", "do not allow this call", "[PLAIT-SRV-005]")
		b.state(s, Ready)
		m.set(401, "")
		_, err = b.call(b.t.Context(), s, protocol.ToolsCall)
		wants(b.t, err, "401", "parked", "[PLAIT-SRV-005]")
		b.state(s, Parked)
		n := b.requests.Load()
		time.Sleep(24 * time.Hour) //nolint:forbidigo // fake time
		_, err = b.call(b.t.Context(), s, protocol.ToolsCall)
		b.down(err, Parked)
		if b.requests.Load() != n {
			b.t.Error("a parked server was asked")
		}
		m.set(200, "")
		s.Retry()
		if _, err := b.call(b.t.Context(), s, protocol.ToolsCall); err != nil {
			b.t.Error(err)
		}
	})
}

// A session that lasts does not make credentials good again that another one found refused.
func TestParkedWhileAnotherSessionLasts(t *testing.T) {
	m := &mood{}
	m.calls.Store(true)
	m.set(200, "")
	inBubble(t, config.Server{Transport: config.HTTPFirst}, m.ServeHTTP, func(b *bubble) {
		s, release := b.open()
		defer release()
		other, releaseOther := b.open()
		defer releaseOther()
		b.wait(time.Second)
		m.set(401, "")
		_, err := b.call(b.t.Context(), s, protocol.ToolsCall)
		wants(b.t, err, "401")
		b.wait(time.Hour)
		b.state(s, Parked)
		b.state(other, Ready)
	})
}

// A server that asks for time gets it, at most an hour, whether it says how long or until when.
func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		name  string
		after func() string
		least time.Duration
		most  time.Duration
	}{
		{"seconds", func() string { return "600" }, 10 * time.Minute, 10*time.Minute + time.Second},
		{"date", func() string { return time.Now().Add(10 * time.Minute).UTC().Format(http.TimeFormat) }, 10*time.Minute - time.Second, 10*time.Minute + time.Second},
		{"a day", func() string { return "86400" }, time.Hour, time.Hour + time.Second},
		{"the past", func() string { return time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat) }, 0, time.Minute},
		{"nonsense", func() string { return "soon" }, 0, time.Minute},
	} {
		for _, status := range []int{429, 503} {
			t.Run(c.name, func(t *testing.T) {
				m := &mood{}
				inBubble(t, config.Server{Transport: config.HTTPOnly}, m.ServeHTTP, func(b *bubble) {
					m.set(status, c.after())
					began := time.Now()
					s, release := b.open()
					defer release()
					retry := b.state(s, Waiting).Retry
					if wait := retry.Sub(began); wait < c.least || wait > c.most {
						b.t.Errorf("the next attempt is due in %s", wait)
					}
					if c.least > 0 {
						_, err := b.call(b.t.Context(), s, protocol.ToolsCall)
						b.down(err, Waiting)
						wants(b.t, err, "plait tries again in", "[PLAIT-SRV-006]")
						time.Sleep(time.Until(retry) - time.Second) //nolint:forbidigo // fake time
						if n := b.requests.Load(); n != 1 {
							b.t.Errorf("%d requests", n)
						}
					}
					m.set(200, "")
					time.Sleep(time.Until(retry) + time.Second) //nolint:forbidigo // fake time
					b.state(s, Ready)
				})
			})
		}
	}
}

// A call that is answered 429 fails, says how long to wait, and is not repeated.
func TestCallIsAnswered429(t *testing.T) {
	m := &mood{}
	m.calls.Store(true)
	m.set(429, "90")
	inBubble(t, config.Server{Transport: config.HTTPOnly}, m.ServeHTTP, func(b *bubble) {
		s, release := b.open()
		defer release()
		b.state(s, Ready)
		n := b.requests.Load()
		_, err := b.call(b.t.Context(), s, protocol.ToolsCall)
		wants(b.t, err, `server "s"`, "429", "asks to wait 1m30s, then try again", "[PLAIT-SRV-006]")
		if got := b.requests.Load() - n; got != 1 {
			b.t.Errorf("%d requests", got)
		}
		b.state(s, Ready)
	})
}

// An open breaker lets one session at a time probe the server, and tells calls when it does. Success closes it
// for all.
func TestBreakerOpensAndCloses(t *testing.T) {
	m := &mood{}
	m.set(500, "")
	var now, most atomic.Int64
	handler := func(w http.ResponseWriter, r *http.Request) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer now.Add(-1)
		time.Sleep(time.Second) //nolint:forbidigo // fake time
		m.ServeHTTP(w, r)
	}
	inBubble(t, config.Server{Transport: config.HTTPOnly}, handler, func(b *bubble) {
		sessions, release := b.openAll(20)
		defer release()
		time.Sleep(time.Minute) //nolint:forbidigo // fake time
		if n := most.Load(); n > tolerated {
			b.t.Errorf("%d attempts at a time while nothing was known", n)
		}
		if b.failures() < tolerated {
			b.t.Fatal("the breaker is closed")
		}
		most.Store(0)
		n := b.requests.Load()
		for _, s := range sessions {
			synctest.Wait()
			state, began := s.Status().State, time.Now()
			_, err := b.call(b.t.Context(), s, protocol.ToolsCall)
			if state == Waiting { // not that which probes
				b.down(err, Waiting)
				wants(b.t, err, "500", "plait tries again in", "plait doctor s", "[PLAIT-SRV-004]")
				if time.Since(began) != 0 {
					b.t.Error("a call waited")
				}
			}
		}
		time.Sleep(time.Hour) //nolint:forbidigo // fake time
		if most.Load() > 1 {
			b.t.Errorf("%d probes at a time", most.Load())
		}
		if got := b.requests.Load() - n; got < 2 || got > 60 {
			b.t.Errorf("%d probes in an hour", got)
		}
		m.set(200, "")
		time.Sleep(longWait + time.Minute) //nolint:forbidigo // fake time
		for _, s := range sessions {
			b.state(s, Ready)
		}
		if b.failures() != 0 {
			b.t.Error("the breaker did not close")
		}
	})
}

// A person who has a server tried again waits for nothing.
func TestRetry(t *testing.T) {
	for name, handler := range deadServers {
		if handler == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			var up atomic.Bool
			inBubble(t, config.Server{Transport: config.HTTPFirst}, func(w http.ResponseWriter, r *http.Request) {
				if up.Load() {
					rpc(w, r, map[string]string{"tools/call": `{"content":[]}`})
				} else {
					handler(w, r)
				}
			}, func(b *bubble) {
				s, release := b.open()
				defer release()
				time.Sleep(12 * time.Hour) //nolint:forbidigo // fake time
				up.Store(true)
				s.Retry()
				began := time.Now()
				if _, err := b.call(b.t.Context(), s, protocol.ToolsCall); err != nil {
					b.t.Fatal(err)
				}
				if wait := time.Since(began); wait > 30*time.Second { // that of an attempt under way
					b.t.Errorf("the call waited %s", wait)
				}
				status := b.state(s, Ready)
				if status.Version != "2025-11-25" || status.ID != "" || status.Next != "" || status.Err != nil {
					b.t.Errorf("status %+v", status)
				}
			})
		})
	}
}
