package flow

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// limits of what listens.
const (
	maxConns    = 128
	maxAtOnce   = 32
	maxHeader   = 8 << 10
	readTimeout = 5 * time.Second
	// answerTimeout is for the exchange of a code and the page that tells how it went.
	answerTimeout = 90 * time.Second
	// farewell is how long closing waits for pages that are being answered.
	farewell = 5 * time.Second
)

// server answers on one port.
type server struct {
	http      *http.Server
	listeners []net.Listener
	cancel    context.CancelFunc // of what is answered
	slots     chan struct{}      // one for each request that is being answered
	work      sync.WaitGroup     // the accepting

	mu    sync.Mutex
	conns map[net.Conn]http.ConnState
}

// serve answers what comes in on the listeners until close, which ends what is being answered with ctx.
func (b *Broker) serve(ctx context.Context, number int, listeners []net.Listener) *server {
	ctx, cancel := context.WithCancel(ctx)
	s := &server{
		listeners: listeners, cancel: cancel,
		slots: make(chan struct{}, maxAtOnce), conns: map[net.Conn]http.ConnState{},
	}
	s.http = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case s.slots <- struct{}{}:
				defer func() { <-s.slots }()
				b.answer(ctx, w, r, number)
			case <-r.Context().Done():
			}
		}),
		ReadTimeout: readTimeout, ReadHeaderTimeout: readTimeout, WriteTimeout: answerTimeout, IdleTimeout: readTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: log.New(io.Discard, "", 0), ConnState: s.changed,
	}
	for _, l := range listeners {
		s.work.Go(func() { _ = s.http.Serve(l) })
	}
	return s
}

// changed counts connections, and turns away those that are too many.
func (s *server) changed(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		if len(s.conns) >= maxConns {
			c.Close()
			return
		}
		s.conns[c] = state
	case http.StateActive, http.StateIdle:
		s.conns[c] = state
	case http.StateClosed, http.StateHijacked:
		delete(s.conns, c)
	}
}

// close stops accepting, lets answers reach the browser, and waits for everything.
func (s *server) close(ctx context.Context) {
	for _, l := range s.listeners {
		l.Close()
	}
	s.work.Wait()
	s.mu.Lock()
	for c, state := range s.conns {
		if state == http.StateNew {
			c.Close() // browsers open connections for later; Shutdown would wait for them
		}
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	_ = s.http.Shutdown(ctx)
	s.cancel()
	_ = s.http.Close()
	for range cap(s.slots) {
		s.slots <- struct{}{}
	}
}
