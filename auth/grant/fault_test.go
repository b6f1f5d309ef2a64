package grant_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/config"
)

// canary is a refresh token, code or secret that no error may show, not even in part.
const canary = "CANARY-f7Qx0vR2mJ9-pLw3"

// refresh renews a token at a server that answers in a way, and returns the error.
func refresh(t *testing.T, h http.HandlerFunc) (*server, *grant.Error) {
	t.Helper()
	s := serve(t, h)
	e := newEndpoint(t, s.URL, config.GrantAuthorizationCode)
	_, err := e.Refresh(t.Context(), canary, nil, "")
	if err == nil {
		t.Fatal("no error")
	}
	if strings.Contains(err.Error(), canary[:8]) || strings.Contains(fmt.Sprintf("%+v", err), canary[:8]) {
		t.Errorf("the error shows the refresh token: %v", err)
	}
	var refused *grant.Error
	if !errors.As(err, &refused) {
		t.Fatalf("%T %v", err, err)
	}
	return s, refused
}

// TestM25RefreshInTrouble renews at servers that are in trouble: nothing is decided, and they are asked once.
func TestM25RefreshInTrouble(t *testing.T) {
	page := "<!doctype html><title>Bad gateway " + canary + "</title>"
	for name, c := range map[string]struct {
		h     http.HandlerFunc
		says  string
		wait  time.Duration
		spent bool
	}{
		"503":                     {says(http.StatusServiceUnavailable, "text/plain", "try later "+canary), "503", 0, true},
		"503 with an OAuth error": {says(http.StatusServiceUnavailable, "application/json", `{"error":"invalid_grant"}`), "503", 0, true},
		"502 page":                {says(http.StatusBadGateway, "text/html", page), "502 with a page", 0, true},
		"200 page":                {says(http.StatusOK, "text/html", page), "200 with a page", 0, true},
		"200 page of no type":     {says(http.StatusOK, "application/json", " \n"+page), "200 with a page", 0, true},
		"403 page of a portal":    {says(http.StatusForbidden, "text/html", page), "403 with a page", 0, false},
		"401 page":                {says(http.StatusUnauthorized, "text/html", page), "401 with a page", 0, false},
		"200 without a token":     {says(http.StatusOK, "application/json", `{"hello":"`+canary+`"}`), "no token", 0, true},
		"200 and nothing":         {says(http.StatusOK, "application/json", ``), "no token", 0, true},
		"429 with Retry-After": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "17")
			w.WriteHeader(http.StatusTooManyRequests)
		}, "429", 17 * time.Second, false},
		"503 with a date": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", time.Now().Add(time.Hour/2).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusServiceUnavailable)
		}, "503", time.Hour / 2, true},
		"temporarily_unavailable": {says(http.StatusBadRequest, "application/json", `{"error":"temporarily_unavailable"}`), "temporarily_unavailable", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := refresh(t, c.h)
			if !err.Temporary || err.GrantRefused() || err.ClientRefused() {
				t.Errorf("something was decided: %v", err)
			}
			if !strings.Contains(err.Error(), c.says) || err.MaybeSpent != c.spent {
				t.Errorf("%v, spent %t", err, err.MaybeSpent)
			}
			if d := c.wait - err.RetryAfter; d.Abs() > time.Minute {
				t.Errorf("retry after %s", err.RetryAfter)
			}
			if _, n := s.last(); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		s := serve(t, nil)
		s.Close()
		e := newEndpoint(t, s.URL, config.GrantAuthorizationCode)
		_, err := e.Refresh(t.Context(), canary, nil, "")
		var lost *grant.Error
		if !errors.As(err, &lost) || !lost.Temporary || lost.MaybeSpent {
			t.Errorf("%v", err)
		}
	})
}

// drop ends the connection of a request without an answer.
func drop(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
}

// TestM26RefreshLost loses the answer to a refresh: the token is sent once more.
func TestM26RefreshLost(t *testing.T) {
	for name, c := range map[string]struct {
		lose int32
		want int
	}{"once": {1, 2}, "twice": {2, 2}} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int32
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if n.Add(1) <= c.lose {
					drop(w)
					return
				}
				fmt.Fprint(w, `{"access_token":"a","token_type":"Bearer"}`)
			})
			token, err := newEndpoint(t, s.URL, config.GrantAuthorizationCode).Refresh(t.Context(), canary, nil, "")
			var lost *grant.Error
			switch {
			case c.lose == 1 && (err != nil || token.Refresh != canary):
				t.Errorf("%v %v", token, err)
			case c.lose > 1 && (!errors.As(err, &lost) || !lost.MaybeSpent || !lost.Temporary):
				t.Errorf("%v", err)
			}
			if _, n := s.last(); n != c.want {
				t.Errorf("%d requests", n)
			}
		})
	}
	t.Run("a server that hangs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			e := inBubble(t, func(r *http.Request) (*http.Response, error) {
				n++
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
			started := time.Now()
			_, err := e.Refresh(t.Context(), canary, nil, "")
			var lost *grant.Error
			if !errors.As(err, &lost) || !lost.MaybeSpent || !lost.Temporary || n != 2 {
				t.Errorf("%v after %d requests", err, n)
			}
			if took := time.Since(started); took != 62*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	})
}

// inBubble returns an endpoint that sends nothing over a network.
func inBubble(t *testing.T, f trip) *grant.Endpoint {
	t.Helper()
	e := newEndpoint(t, "https://as.example", config.GrantDeviceCode)
	e.HTTP = &http.Client{Transport: f}
	return e
}

// TestRefreshOfOneWhoLeaves ends the context of a caller while the refresh token is with the server: the answer is not
// lost.
func TestRefreshOfOneWhoLeaves(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		leave()
		fmt.Fprint(w, `{"access_token":"a","token_type":"Bearer","refresh_token":"next"}`)
	})
	e := newEndpoint(t, s.URL, config.GrantAuthorizationCode)
	token, err := e.Refresh(ctx, canary, nil, "")
	if err != nil || token.Refresh != "next" {
		t.Errorf("%v %v", token, err)
	}
	if _, err := e.Refresh(ctx, canary, nil, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("after it left: %v", err)
	}
	if _, n := s.last(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// TestM24CodeLost loses the answer to an authorization code, which must not be sent again.
func TestM24CodeLost(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { drop(w) })
	e := newEndpoint(t, s.URL, config.GrantAuthorizationCode)
	_, err := e.Exchange(t.Context(), grant.Code{Code: canary, Verifier: canary + "v", RedirectURI: "http://127.0.0.1/callback"})
	var lost *grant.Error
	if !errors.As(err, &lost) || !lost.MaybeSpent || !lost.Temporary || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("%v", err)
	}
	if _, n := s.last(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// TestM45Redirect has the token endpoint point elsewhere, where nothing may arrive.
func TestM45Redirect(t *testing.T) {
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			other := serve(t, says(http.StatusOK, "application/json", `{"access_token":"a"}`))
			_, err := refresh(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", other.URL+"/elsewhere?token="+canary)
				w.WriteHeader(status)
			})
			host, _ := strings.CutPrefix(other.URL, "http://")
			if _, n := other.last(); n != 0 {
				t.Error("the other server was asked")
			}
			if !strings.Contains(err.Error(), "redirects to "+host+"/elsewhere") || !strings.Contains(err.Error(), "refusing") {
				t.Errorf("%v", err)
			}
			if err.Temporary || err.GrantRefused() {
				t.Errorf("%+v", err)
			}
		})
	}
}

// TestLongAnswer bounds what is read.
func TestLongAnswer(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusBadRequest} {
		_, err := refresh(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"access_token":"`)
			for range 40 {
				_, _ = io.WriteString(w, strings.Repeat("a", 1<<16))
			}
			_, _ = io.WriteString(w, `"}`)
		})
		if !strings.Contains(err.Error(), "longer than 1 MiB") || !err.MaybeSpent {
			t.Errorf("%v", err)
		}
	}
}

// TestRefused reads the ways in which servers refuse.
func TestRefused(t *testing.T) {
	const form, object = "application/x-www-form-urlencoded", "application/json"
	for name, c := range map[string]struct {
		h    http.HandlerFunc
		want string // what holds
		text string // what the error has
	}{
		"M22 scope":             {says(http.StatusBadRequest, object, `{"error":"invalid_scope","error_description":"no mcp:admin"}`), "scope", `invalid_scope ("no mcp:admin")`},
		"M23 resource":          {says(http.StatusBadRequest, object, `{"error":"invalid_target"}`), "resource", "invalid_target"},
		"M23 Entra ID":          {says(http.StatusBadRequest, object, `{"error":"invalid_request","error_description":"AADSTS9010010: The resource parameter"}`), "resource", "AADSTS9010010"},
		"grant":                 {says(http.StatusBadRequest, object, `{"error":"invalid_grant"}`), "grant", "invalid_grant"},
		"GitHub, 200":           {says(http.StatusOK, form, `error=invalid_grant&error_description=The+code+is+gone`), "grant", "The code is gone"},
		"200 and an object":     {says(http.StatusOK, object, `{"error":"invalid_grant"}`), "grant", "invalid_grant"},
		"Slack, ok: false":      {says(http.StatusOK, object, `{"ok":false,"error":"invalid_grant"}`), "grant", "invalid_grant"},
		"ok: false, no more":    {says(http.StatusOK, object, `{"ok":false,"access_token":"x"}`), "", "error"},
		"client":                {says(http.StatusUnauthorized, object, `{"error":"invalid_client"}`), "client", "invalid_client"},
		"401 and nothing":       {says(http.StatusUnauthorized, "text/plain", `no`), "client", "401 Unauthorized"},
		"Supabase, 422":         {says(http.StatusUnprocessableEntity, object, `{"message":"Unrecognized client_id"}`), "client", "Unrecognized client_id"},
		"error is an object":    {says(http.StatusBadRequest, object, `{"error":{"status":"INVALID_ARGUMENT","message":"bad"}}`), "", "INVALID_ARGUMENT (\"bad\")"},
		"a sentence for code":   {says(http.StatusBadRequest, object, `{"error":"you used `+canary+`"}`), "", "400 Bad Request"},
		"the secret for code":   {says(http.StatusBadRequest, object, `{"error":"`+canary+`"}`), "", "400 Bad Request"},
		"echo":                  {says(http.StatusBadRequest, object, `{"error":"invalid_grant","error_description":"token `+canary+` is old"}`), "grant", "token [redacted] is old"},
		"echo of a part":        {says(http.StatusBadRequest, object, `{"error":"invalid_grant","error_description":"token `+canary[:12]+`… is old"}`), "grant", "token [redacted]… is old"},
		"a key of its own":      {says(http.StatusBadRequest, object, `{"error":"invalid_grant","error_description":"trace eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.x"}`), "grant", "trace [redacted]"},
		"control characters":    {says(http.StatusBadRequest, object, `{"error":"invalid_grant","error_description":"a\u001b[2Jb\r\nc\u0000"}`), "grant", "a [2Jb c"},
		"a number for an error": {says(http.StatusBadRequest, object, `{"error":400}`), "", "400 Bad Request"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := refresh(t, c.h)
			got := map[string]bool{"scope": err.ScopeRefused(), "resource": err.ResourceRefused(), "grant": err.GrantRefused(), "client": err.ClientRefused()}
			for what, is := range got {
				if is != (what == c.want) {
					t.Errorf("%s: %t", what, is)
				}
			}
			if err.Temporary || !strings.Contains(err.Error(), c.text) {
				t.Errorf("temporary %t: %v", err.Temporary, err)
			}
			if len([]rune(err.Description)) > 200 {
				t.Errorf("%d characters", len(err.Description))
			}
		})
	}
}

// TestM42ClientCredentialsRefused refuses a client by itself: one request, and an error that says who was refused.
func TestM42ClientCredentialsRefused(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusBadRequest} {
		s := serve(t, says(status, "application/json", `{"error":"invalid_client","error_description":"bad secret `+canary+`"}`))
		e := newEndpoint(t, s.URL, config.GrantClientCredentials)
		e.Client.Secret = canary
		_, err := e.ClientCredentials(t.Context(), nil, "")
		var refused *grant.Error
		if !errors.As(err, &refused) || !refused.ClientRefused() || refused.Temporary || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%v", err)
		}
		if _, n := s.last(); n != 1 {
			t.Errorf("%d requests", n)
		}
	}
}
