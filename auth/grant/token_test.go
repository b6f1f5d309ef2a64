package grant_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/config"
)

// get gets a token of a server that answers in a way.
func get(t *testing.T, h http.HandlerFunc, change func(*config.Identity)) *grant.Token {
	t.Helper()
	s := serve(t, h)
	e := newEndpoint(t, s.URL, config.GrantAuthorizationCode)
	if change != nil {
		change(e.Identity)
	}
	token, err := e.Refresh(t.Context(), "old", nil, "")
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// near reports whether a token lives about so long.
func near(t *grant.Token, lifetime time.Duration) bool {
	if lifetime == 0 {
		return t.Expires.IsZero()
	}
	return (time.Until(t.Expires) - lifetime).Abs() < time.Minute
}

func jwtOf(claims map[string]any) string {
	body, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none"}`)) + "." + encode(body) + "." + encode([]byte("signature"))
}

func TestTokenAnswers(t *testing.T) {
	const form, object = "application/x-www-form-urlencoded", "application/json"
	slack := func(i *config.Identity) { i.TokenPath = "authed_user" }
	id := func(i *config.Identity) { i.Bearer = "idToken" }
	for name, c := range map[string]struct {
		h       http.HandlerFunc
		change  func(*config.Identity)
		access  string
		refresh string
		scope   string
		life    time.Duration
	}{
		"whole":          {says(200, object, `{"access_token":"a","refresh_token":"r","scope":"x y","expires_in":3600}`), nil, "a", "r", "x y", time.Hour},
		"float":          {says(200, object, `{"access_token":"a","expires_in":3600.5}`), nil, "a", "old", "", time.Hour},
		"exponent":       {says(200, object, `{"access_token":"a","expires_in":3.6e3}`), nil, "a", "old", "", time.Hour},
		"text":           {says(200, object, `{"access_token":"a","expires_in":"3600"}`), nil, "a", "old", "", time.Hour},
		"text of float":  {says(200, object, `{"access_token":"a","expires_in":" 3600.25 "}`), nil, "a", "old", "", time.Hour},
		"null":           {says(200, object, `{"access_token":"a","expires_in":null}`), nil, "a", "old", "", 0},
		"nought":         {says(200, object, `{"access_token":"a","expires_in":0}`), nil, "a", "old", "", 0},
		"negative":       {says(200, object, `{"access_token":"a","expires_in":-5}`), nil, "a", "old", "", 0},
		"nonsense":       {says(200, object, `{"access_token":"a","expires_in":"soon","token_type":7}`), nil, "a", "old", "", 0},
		"M30 absent":     {says(200, object, `{"access_token":"a"}`), nil, "a", "old", "", 0},
		"form":           {says(200, form, `access_token=a&refresh_token=r&scope=x&expires_in=3600&token_type=bearer`), nil, "a", "r", "x", time.Hour},
		"form as text":   {says(200, "text/plain", `access_token=a&expires_in=3600.7`), nil, "a", "old", "", time.Hour},
		"JSON as text":   {says(200, "text/plain", `{"access_token":"a","expires_in":3600}`), nil, "a", "old", "", time.Hour},
		"JSON as a form": {says(200, form, `{"access_token":"a","expires_in":3600}`), nil, "a", "old", "", time.Hour},
		"201":            {says(201, object, `{"access_token":"a"}`), nil, "a", "old", "", 0},
		"byte order":     {says(200, object, "\ufeff"+`{"access_token":"a"}`), nil, "a", "old", "", 0},
		"list of scopes": {says(200, object, `{"access_token":"a","scope":["x","y"]}`), nil, "a", "old", "x y", 0},
		"empty error":    {says(200, object, `{"access_token":"a","error":""}`), nil, "a", "old", "", 0},
		"null error":     {says(200, object, `{"access_token":"a","error":null}`), nil, "a", "old", "", 0},
		"Slack":          {says(200, object, `{"ok":true,"access_token":"bot","authed_user":{"access_token":"user","refresh_token":"r","scope":"x","expires_in":3600}}`), slack, "user", "r", "x", time.Hour},
		"no such path":   {says(200, object, `{"access_token":"a"}`), slack, "a", "old", "", 0},
		"ID token":       {gives(map[string]any{"access_token": "a", "expires_in": 60, "id_token": jwtOf(map[string]any{"exp": time.Now().Add(time.Hour).Unix()})}), id, "eyJ", "old", "", time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			token := get(t, c.h, c.change)
			if !strings.HasPrefix(token.Access, c.access) || token.Refresh != c.refresh || token.Scope != c.scope || token.Type == "7" {
				t.Errorf("access %q, refresh %q, scope %q", token.Access, token.Refresh, token.Scope)
			}
			if !near(token, c.life) {
				t.Errorf("expires %s", token.Expires)
			}
		})
	}
}

// TestM28NoNewRefreshToken keeps a refresh token that the server gives no other for, and knows how long it lives.
func TestM28NoNewRefreshToken(t *testing.T) {
	token := get(t, gives(map[string]any{"access_token": "a", "refresh_expires_in": 1800}), nil)
	if token.Refresh != "old" || (time.Until(token.RefreshExpires)-30*time.Minute).Abs() > time.Minute {
		t.Errorf("%q until %s", token.Refresh, token.RefreshExpires)
	}
	if token = get(t, gives(map[string]any{"access_token": "a", "refresh_token": "new", "refresh_token_expires_in": "60"}), nil); token.Refresh != "new" {
		t.Errorf("%q", token.Refresh)
	}
}

// TestM29NoRefreshToken exchanges a code at a server that gives no refresh token.
func TestM29NoRefreshToken(t *testing.T) {
	s := serve(t, gives(map[string]any{"access_token": "a", "expires_in": 3600}))
	token, err := newEndpoint(t, s.URL, config.GrantAuthorizationCode).Exchange(t.Context(), grant.Code{Code: "c", Verifier: "v"})
	if err != nil || token.Refresh != "" || !near(token, time.Hour) {
		t.Errorf("%v %v", token, err)
	}
}

// TestM30Lifetime takes the claims of a token as a hint when the answer tells no lifetime.
func TestM30Lifetime(t *testing.T) {
	now := time.Now().Unix()
	const hour = 3600
	for name, c := range map[string]struct {
		token string
		life  time.Duration
	}{
		"exp":               {jwtOf(map[string]any{"exp": now + hour}), time.Hour},
		"exp and iat":       {jwtOf(map[string]any{"exp": now + hour, "iat": now}), time.Hour},
		"half used":         {jwtOf(map[string]any{"exp": now + hour/2, "iat": now - hour/2}), time.Hour / 2},
		"float":             {jwtOf(map[string]any{"exp": float64(now) + hour + .5}), time.Hour},
		"no exp":            {jwtOf(map[string]any{"iat": now}), 0},
		"exp is a text":     {jwtOf(map[string]any{"exp": "tomorrow"}), 0},
		"opaque":            {"opaque", 0},
		"dots":              {"a.b.c", 0},
		"encrypted":         {"a.b.c.d.e", 0},
		"a year and a half": {jwtOf(map[string]any{"exp": now + 365*24*hour*3/2}), 365 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			if token := get(t, gives(map[string]any{"access_token": c.token}), nil); !near(token, c.life) {
				t.Errorf("expires in %s", time.Until(token.Expires))
			}
		})
	}
}

// TestM43Skew has a server whose clock is another one: lifetimes count from the receipt, and who is wrong is told.
func TestM43Skew(t *testing.T) {
	for _, ahead := range []time.Duration{-7 * time.Minute, 7 * time.Minute, 0} {
		date := func(h http.HandlerFunc) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Date", time.Now().Add(-ahead).UTC().Format(http.TimeFormat))
				h(w, r)
			}
		}
		theirs := time.Now().Add(-ahead).Unix()
		claims := map[string]any{"exp": theirs + 600, "iat": theirs, "nbf": theirs}
		for name, h := range map[string]http.HandlerFunc{
			"expires_in": gives(map[string]any{"access_token": jwtOf(claims), "expires_in": 600}),
			"exp":        gives(map[string]any{"access_token": jwtOf(claims)}),
			"exp alone":  gives(map[string]any{"access_token": jwtOf(map[string]any{"exp": theirs + 600})}),
		} {
			token := get(t, date(h), nil)
			if (time.Until(token.Expires) - 10*time.Minute).Abs() > 5*time.Second {
				t.Errorf("%s, %s ahead: expires in %s", name, ahead, time.Until(token.Expires))
			}
			if (token.Skew - ahead).Abs() > 3*time.Second {
				t.Errorf("%s ahead is %s", ahead, token.Skew)
			}
		}
		text := grant.SkewText(ahead)
		if (text == "") != (ahead == 0) {
			t.Errorf("%s ahead: %q", ahead, text)
		}
		_, err := refresh(t, date(says(http.StatusBadRequest, "application/json", `{"error":"invalid_client"}`)))
		if strings.Contains(err.Error(), "clock is 7 min") != (ahead != 0) {
			t.Errorf("%s ahead: %v", ahead, err)
		}
	}
}

// TestTokenHides prints a token in every way.
func TestTokenHides(t *testing.T) {
	token := &grant.Token{Access: canary + "1", Refresh: canary + "2", ID: canary + "3"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, shown := range []string{fmt.Sprintf(verb, token), fmt.Sprintf(verb, *token), fmt.Sprintf(verb, []any{token})} {
			if strings.Contains(shown, "CANARY") || strings.Contains(shown, "43414e") {
				t.Errorf("%s shows %s", verb, shown)
			}
		}
	}
	sealed, err := json.Marshal(token)
	if err != nil || strings.Count(string(sealed), "CANARY") != 3 {
		t.Errorf("a store would lose it: %s %v", sealed, err)
	}
}
