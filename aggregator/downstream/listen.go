package downstream

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Bounds of connections.
const (
	headerTime  = 10 * time.Second // for the header of a request
	unusedTime  = 2 * time.Minute  // for the next request on a connection
	headerBytes = 64 << 10
	partingTime = 5 * time.Second // for connections, when all sessions have ended
)

// takesLonger is what the client of a call hears that outlasts the drain.
const takesLonger = "plait ends, and this took longer than it waits; send it again when plait runs"

// Serve serves the connections of l until ctx ends or l breaks, and closes both l and h. The end of ctx is no error.
func (h *HTTP) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, IdleTimeout: unusedTime, MaxHeaderBytes: headerBytes,
		ConnContext: h.connections.enter, ConnState: h.connections.leave, DisableGeneralOptionsHandler: true,
		ErrorLog: h.options.Log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(spares{l}) }()
	var err error
	select {
	case err = <-ended:
		h.Close() //nolint:contextcheck // the sessions have a life of their own
	case <-ctx.Done():
		h.Close() //nolint:contextcheck // as above
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), partingTime)
		defer cancel()
		if server.Shutdown(bounded) != nil {
			_ = server.Close()
		}
		err = <-ended
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Close ends all sessions and waits for that. Calls in flight get HTTPOptions.Drain, and what belongs to them is sent; those
// that take longer are answered with an error, so that no client waits for them. Neither sessions nor requests are taken
// meanwhile. It may be called more than once.
func (h *HTTP) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	sessions, drain := h.all(), h.rules.Load().drain
	if busy := slices.ContainsFunc(sessions, func(s *session) bool { return !s.exchange.idle() }); busy {
		h.options.Log.Info("ending: calls in flight come to their end", "sessions", len(sessions), "drain", drain)
	}
	var all sync.WaitGroup
	var late atomic.Int64
	for _, s := range sessions {
		all.Go(func() {
			s.exchange.finish(h.life(), drain)
			late.Add(int64(s.exchange.giveUp(h.life(), takesLonger)))
			h.drop(s)
		})
	}
	all.Wait()
	if n := late.Load(); n > 0 {
		h.options.Log.Warn("calls took longer than the drain and were answered with an error", "calls", n, "drain", drain)
	}
	h.end()
	h.work.Wait()
	h.crew.close()
}

// Ending reports whether nothing new is taken, because of Close or the end of Serve.
func (h *HTTP) Ending() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}
