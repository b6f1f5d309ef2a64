package wallet

import (
	"testing"
	"time"

	"github.com/plait-mcp/plait/auth/grant"
)

// TestEarliness tells when tokens are renewed, by how long they live.
func TestEarliness(t *testing.T) {
	for _, tt := range []struct{ life, configured, want time.Duration }{
		{0, 0, 0},
		{2 * time.Second, 0, 0},
		{9 * time.Second, 0, 0},
		{10 * time.Second, 0, 2 * time.Second},
		{time.Minute, 0, 12 * time.Second},
		{5 * time.Minute, 0, 30 * time.Second},
		{10 * time.Minute, 0, time.Minute},
		{time.Hour, 0, 5 * time.Minute},
		{30 * 24 * time.Hour, 0, 5 * time.Minute},
		{time.Hour, 10 * time.Minute, 10 * time.Minute},
		{time.Hour, 2 * time.Hour, 30 * time.Minute},
	} {
		now := time.Now()
		token := &grant.Token{Obtained: now, Expires: now.Add(tt.life)}
		if tt.life == 0 {
			token.Expires = time.Time{}
		}
		if got := earliness(token, tt.configured); got != tt.want {
			t.Errorf("%s with %s: %s, want %s", tt.life, tt.configured, got, tt.want)
		}
		for range 100 {
			if tt.want == 0 {
				break
			}
			early := token.Expires.Sub(dueAt(token, tt.configured))
			if early < tt.want*4/5 || early > tt.want*6/5 {
				t.Fatalf("%s: renewed %s before its end", tt.life, early)
			}
		}
	}
}

// TestOver goes by the wall clock alone: a computer that slept has another one that stood still.
func TestOver(t *testing.T) {
	token := &grant.Token{Access: "a", Expires: time.Now().Add(time.Hour).Round(0)}
	before, after := token.Expires.Add(-time.Second), token.Expires.Add(time.Second)
	if isOver(token, before) || !isOver(token, after) || isOver(&grant.Token{Access: "a"}, after) {
		t.Error("it is over too early, or never")
	}
}
