package wallet

import (
	"math/rand/v2"
	"time"

	"github.com/plait-mcp/plait/auth/grant"
)

const (
	// brief is the lifetime below which a token is used until its server refuses it: early renewal would cost more
	// requests than it saves.
	brief = 10 * time.Second
	// short is the lifetime below which a share of it is the time to renew.
	short = 2 * time.Minute
	// leastEarly and mostEarly bound how long before its end a token is renewed that lives longer.
	leastEarly = 30 * time.Second
	mostEarly  = 5 * time.Minute
	// watched is how long after its last use a grant is renewed without being asked for.
	watched = 30 * time.Minute
)

// earliness returns how long before its end a token is renewed, 0 for never; configured is what the identity says, 0
// when it leaves that to plait.
func earliness(t *grant.Token, configured time.Duration) time.Duration {
	life := t.Expires.Sub(t.Obtained)
	switch {
	case t.Expires.IsZero():
		return 0
	case configured > 0:
		return min(configured, life/2)
	case life < brief:
		return 0
	case life < short:
		return life / 5
	}
	return max(leastEarly, min(life/10, mostEarly))
}

// dueAt returns when a token is to be renewed, zero for never. The processes of a user do it at different times, up to
// a fifth of the earliness apart, so that mostly one of them does.
func dueAt(t *grant.Token, configured time.Duration) time.Time {
	early := earliness(t, configured)
	if early <= 0 {
		return time.Time{}
	}
	jitter := time.Duration((rand.Float64()*2 - 1) * 0.2 * float64(early)) //nolint:gosec // nobody gains by guessing it
	return t.Expires.Add(-early + jitter)
}

// isOver reports whether a token has expired by the wall clock, which goes on while a computer sleeps.
func isOver(t *grant.Token, now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// IsYoung reports whether a token was refused that should have lived for long: not because it expired on its way, or
// because its server counts whole seconds.
func IsYoung(t *grant.Token, now time.Time) bool {
	life := t.Expires.Sub(t.Obtained)
	switch {
	case t.Expires.IsZero():
		return true
	case life < brief:
		return false
	}
	return now.Before(t.Expires.Add(-min(life/2, leastEarly)))
}
