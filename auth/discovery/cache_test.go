package discovery_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plait-mcp/plait/auth/challenge"
	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/config"
)

// shelf is a cache that others may look into.
type shelf struct {
	mu   sync.Mutex
	kept map[string][]byte
}

func (s *shelf) Load(_ context.Context, key string, into any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, ok := s.kept[key]
	if !ok {
		return errors.New("nothing is there")
	}
	return json.Unmarshal(text, into)
}

func (s *shelf) Save(_ context.Context, key string, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[key], _ = json.Marshal(value)
}

func TestCache(t *testing.T) {
	t.Parallel()
	cached := func(d doc, control string) any {
		return func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Cache-Control", control)
			_ = json.NewEncoder(rw).Encode(d)
		}
	}
	for name, c := range map[string]struct {
		control string
		first   string // the challenge of the first time
		then    string // that of the second
		change  func(req *discovery.Request, e *discovery.Entry)
		again   bool // it is looked for again
		keep    time.Duration
	}{
		"kept for a day":              {keep: 24 * time.Hour},
		"as long as the server says":  {control: "public, max-age=3600", keep: time.Hour},
		"not for ever":                {control: "max-age=99999999", keep: 24 * time.Hour},
		"at least five minutes":       {control: "no-store", keep: 5 * time.Minute},
		"the challenge says the same": {first: `Bearer resource_metadata="https://` + prm + `"`, then: `Bearer resource_metadata="https://` + prm + `", scope="b"`, keep: 24 * time.Hour},
		"the challenge says nothing":  {first: `Bearer resource_metadata="https://` + prm + `"`, then: "Bearer", keep: 24 * time.Hour},
		"the challenge says another":  {first: "Bearer", then: `Bearer resource_metadata="https://` + prm + `?x"`, again: true, keep: 24 * time.Hour},
		"looked for since":            {change: func(req *discovery.Request, _ *discovery.Entry) { req.Since = time.Now().Add(-time.Hour) }, keep: 24 * time.Hour},
		"looked for anew":             {change: func(req *discovery.Request, _ *discovery.Entry) { req.Since = time.Now() }, again: true, keep: 24 * time.Hour},
		"by a clock that was wrong": {change: func(_ *discovery.Request, e *discovery.Entry) {
			e.At = time.Now().AddDate(1, 0, 0)
			e.Until = e.At.Add(time.Hour)
		}, again: true, keep: 24 * time.Hour},
		"another identity": {
			change: func(req *discovery.Request, _ *discovery.Entry) { req.Identity = &config.Identity{Name: "other"} }, again: true, keep: 24 * time.Hour,
		},
		"too old": {change: func(_ *discovery.Request, e *discovery.Entry) { e.Until = time.Now() }, again: true, keep: 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := resource(mcp, "https://as.example")
			d["scopes_supported"] = []string{"a"}
			w := newWorld(t, map[string]any{prm: cached(d, c.control), asDoc: server("https://as.example", nil)})
			kept := &shelf{kept: map[string][]byte{}}
			var steps []discovery.Step
			req := discovery.Request{HTTP: w.client, URL: mcp, Identity: &config.Identity{}, Cache: kept, Trail: func(s discovery.Step) { steps = append(steps, s) }}
			req.Challenge, _ = challenge.Bearer(http.Header{"Www-Authenticate": {c.first}})
			began := time.Now()
			first, err := discovery.Resolve(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			var e discovery.Entry
			if err := kept.Load(t.Context(), discovery.Key(req), &e); err != nil {
				t.Fatal(err)
			}
			if e.Until.Before(began.Add(c.keep).Truncate(0).Add(-time.Second)) || e.Until.After(time.Now().Add(c.keep)) {
				t.Errorf("kept until %s, which is %s later", e.Until, e.Until.Sub(began))
			}
			if c.change != nil {
				key := discovery.Key(req)
				c.change(&req, &e)
				kept.Save(t.Context(), key, e)
			}
			req.Challenge, _ = challenge.Bearer(http.Header{"Www-Authenticate": {c.then}})
			before := w.visited()
			second, err := discovery.Resolve(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if second.Server.TokenEndpoint != first.Server.TokenEndpoint || second.Resource != mcp {
				t.Errorf("found %+v, then %+v", first, second)
			}
			if again := w.visited() != before; again != c.again || again == hasStep(steps, "cache", discovery.Cached, "") {
				t.Errorf("looked again: %t, want %t; steps %+v", again, c.again, steps)
			}
			if strings.Contains(c.then, "scope") != (second.Scopes[0] == "b") {
				t.Errorf("scopes %v: those of the challenge are not of yesterday", second.Scopes)
			}
		})
	}
	t.Run("failures are not kept", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, map[string]any{prm: resource("https://bank.example")})
		kept := &shelf{kept: map[string][]byte{}}
		if _, err := discovery.Resolve(t.Context(), discovery.Request{HTTP: w.client, URL: mcp, Identity: &config.Identity{}, Cache: kept}); err == nil || len(kept.kept) > 0 {
			t.Errorf("error %v, kept %v", err, kept.kept)
		}
	})
}
