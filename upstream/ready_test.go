package upstream

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plait-mcp/plait/config"
)

// A call waits for a connection as long as one may take and a moment more, whatever keeps it from being made. It
// waits no longer than its client.
func TestCallsWaitNotForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Session{news: make(chan struct{}), state: Connecting}
		s.settings.Store(&config.Server{Name: "a", ConnectTimeout: time.Minute})
		began := time.Now()
		_, err := s.ready(t.Context())
		var down *DownError
		if !errors.As(err, &down) || down.State != Connecting || down.ID == "" {
			t.Errorf("%v", err)
		}
		if d := time.Since(began); d != time.Minute+soon {
			t.Errorf("it waited %v", d)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("gone"))
		defer cancel()
		if _, err := s.ready(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute+soon+time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
