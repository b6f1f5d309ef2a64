package grant

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// newToken returns what an answer gave.
func newToken(got *oauth2.Token, w *wire, bearer string) (*Token, error) {
	text := func(name string) string {
		s, _ := got.Extra(name).(string)
		return s
	}
	t := &Token{
		Access: got.AccessToken, Type: got.TokenType, Refresh: got.RefreshToken, ID: text("id_token"),
		Scope: text("scope"), Issued: text("issued_token_type"),
		Obtained: w.received.Round(0), // the wall clock: a monotonic one stands still while a computer sleeps
		Skew:     w.skew,
	}
	lifetime := secondsOf(w.fields["expires_in"])
	if bearer == "idToken" {
		if t.ID == "" {
			return nil, &SetupError{Key: "bearer", Err: errors.New("the server gave no ID token; add the scope openid, or remove bearer")}
		}
		t.Access, t.Type, lifetime = t.ID, "Bearer", 0
	}
	if lifetime == 0 {
		lifetime = lifetimeOf(t.Access, t.Obtained, t.Skew)
	}
	if lifetime > 0 {
		t.Expires = t.Obtained.Add(lifetime)
	}
	for _, name := range []string{"refresh_token_expires_in", "refresh_expires_in"} {
		if d := secondsOf(w.fields[name]); d > 0 {
			t.RefreshExpires = t.Obtained.Add(d)
			break
		}
	}
	return t, nil
}

func secondsOf(value any) time.Duration {
	seconds, _ := value.(int64)
	return time.Duration(seconds) * time.Second
}

// lifetimeOf returns how long a JWT lives yet, as a hint: nobody but its audience should look into it. It is 0 when
// that is unknown. A wrong local clock makes no difference when the server told the time, or the token when it was made.
func lifetimeOf(token string, now time.Time, skew time.Duration) time.Duration {
	parts := strings.Split(token, ".")
	if len(parts) != 3 { //nolint:mnd // header, claims, signature
		return 0
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return 0
	}
	var claims struct {
		Exp float64 `json:"exp"`
		Iat float64 `json:"iat"`
	}
	if json.Unmarshal(raw, &claims) != nil || claims.Exp <= 0 {
		return 0
	}
	seconds := func(s float64) time.Duration {
		const year = 365 * 24 * 3600
		return time.Duration(max(0, min(s, year)) * float64(time.Second))
	}
	left := seconds(claims.Exp - float64(now.Add(-skew).Unix()))
	if claims.Iat > 0 && claims.Iat < claims.Exp {
		whole := seconds(claims.Exp - claims.Iat)
		if skew == 0 || whole < left {
			return whole
		}
	}
	return left
}
