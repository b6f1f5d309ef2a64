package discovery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

const (
	cacheShortest = 5 * time.Minute
	cacheLongest  = 24 * time.Hour
)

// Cache keeps what was found, also for other processes. What was not found is never kept. Both methods may be called at
// any time, for any key; a key is a word of hexadecimal digits.
type Cache interface {
	// Load fills in the value that was saved. Any error means that there is none.
	Load(ctx context.Context, key string, into any) error
	// Save keeps a value, which encoding/json can write, if it can: there is nobody to tell that it cannot.
	Save(ctx context.Context, key string, value any)
}

// Entry is what a Cache keeps.
type Entry struct {
	Challenge string    `json:"challenge,omitempty"` // the address of the metadata in the challenge
	Resource  Resource  `json:"resource"`
	Server    *Metadata `json:"server"`
	At        time.Time `json:"at"` // when it was found
	Until     time.Time `json:"until"`
}

// holds reports whether an entry can still be used. One from the future was made by a clock that was wrong, as may be its
// end.
func (e *Entry) holds(since, now time.Time) bool {
	return e.Server != nil && now.Before(e.Until) && !e.At.Before(since) && !e.At.After(now)
}

// Key returns what the cache has for a server and an identity under. Another configuration has another key.
func Key(req Request) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %s", req.URL, req.Identity.Fingerprint())
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// load returns what is known already, if it still holds and the server does not say otherwise by now.
func (r *run) load(ctx context.Context) *Entry {
	if r.Cache == nil {
		return nil
	}
	var e Entry
	if err := r.Cache.Load(ctx, Key(r.Request), &e); err != nil || !e.holds(r.Since, time.Now()) {
		return nil
	}
	if now := r.Challenge.ResourceMetadata(); now != "" && now != e.Challenge {
		return nil
	}
	return &e
}

func (r *run) save(ctx context.Context, resource *Resource, server *Metadata) {
	if r.Cache != nil {
		now := time.Now().Round(0)
		r.Cache.Save(ctx, Key(r.Request), &Entry{
			Challenge: r.Challenge.ResourceMetadata(), Resource: *resource, Server: server,
			At: now, Until: now.Add(max(cacheShortest, time.Duration(r.keep))),
		})
	}
}

// bound is the shortest of some times.
type bound time.Duration

// atMost shortens it, unless d is negative.
func (b *bound) atMost(d time.Duration) {
	if d >= 0 {
		*b = min(*b, bound(d))
	}
}
