package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/config"
)

// idPort is the id of the error that an address cannot be listened to.
const idPort = "PLAIT-CMD-005"

// wires are an address that is listened to, and the certificate that is shown there. They are nothing when there is no
// address.
type wires struct {
	listen string // as the configuration has it
	files  config.ServeTLS
	inner  net.Listener
	tls    *certificate // nil for plain HTTP
}

// socket is a net.Listener whose address and certificate may change while it serves. Connections that came to another
// address, or without TLS where there is TLS now, are closed when their requests had some time.
type socket struct {
	drain time.Duration
	done  chan struct{} // closed by Close
	work  sync.WaitGroup

	mu      sync.Mutex
	wires   wires
	changed chan struct{} // closed when wires change
	conns   map[net.Conn]bool
}

var _ net.Listener = (*socket)(nil)

func newSocket(drain time.Duration) *socket {
	return &socket{drain: drain, done: make(chan struct{}), changed: make(chan struct{}), conns: map[net.Conn]bool{}}
}

// prepare opens what an endpoint needs that is not open yet.
func (s *socket) prepare(ctx context.Context, to config.ServeHTTP, log hclog.Logger) (wires, error) {
	s.mu.Lock()
	w := s.wires
	s.mu.Unlock()
	var err error
	switch {
	case to.TLS == config.ServeTLS{}:
		w.tls = nil
	case w.tls == nil || w.files != to.TLS:
		if w.tls, err = openCertificate(to.TLS, log); err != nil {
			return w, err
		}
	}
	w.files = to.TLS
	if to.Listen == w.listen && w.inner != nil {
		return w, nil
	}
	before := w
	w.listen = to.Listen
	w.inner, err = listen(ctx, net.ListenConfig{}, to.Listen)
	if isTaken(err) && before.inner != nil && overlap(before.listen, to.Listen) {
		w.inner, err = listenBeside(ctx, before.inner, to.Listen)
	}
	return w, err
}

// listen opens an address.
func listen(ctx context.Context, open net.ListenConfig, address string) (net.Listener, error) {
	l, err := open.Listen(ctx, "tcp", address)
	if err == nil {
		return l, nil
	}
	hint := "choose another address"
	switch {
	case isTaken(err):
		hint = "another program listens there, perhaps another plait (see plait status): end it, or choose another port"
	case errors.Is(err, syscall.EACCES):
		hint = "ports below 1024 need rights of their own: choose a higher one"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "this machine does not have that address: choose one of its own, or 0.0.0.0 for all"
	}
	return nil, usagef("cannot listen at %s: %w; %s [%s]", address, err, hint, idPort)
}

// isTaken reports whether an address cannot be listened to because somebody else does.
func isTaken(err error) bool {
	const ofWindows = syscall.Errno(10048) // WSAEADDRINUSE
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, ofWindows)
}

// overlap reports whether two addresses may be in each other's way, as 127.0.0.1:80 and 0.0.0.0:80 are.
func overlap(a, b string) bool {
	_, first, err := net.SplitHostPort(a)
	_, second, _ := net.SplitHostPort(b)
	return err == nil && first == second
}

// listenBeside opens an address that a listener of ours is in the way of, which goes on. Nobody else gets in between.
func listenBeside(ctx context.Context, ours net.Listener, address string) (net.Listener, error) {
	set := func(l net.Listener, on int) {
		tcp, ok := l.(*net.TCPListener)
		if !ok {
			return
		}
		if c, err := tcp.SyscallConn(); err == nil {
			_ = share(c, on) // what cannot be shared is taken
		}
	}
	set(ours, 1)
	defer set(ours, 0)
	l, err := listen(ctx, net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return share(c, 1) }}, address)
	if err == nil {
		set(l, 0)
	}
	return l, err
}

// adopt uses other wires, and returns the address that is listened to, "" for none. After Close there is none.
func (s *socket) adopt(w wires) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.done:
		if w.inner != nil {
			_ = w.inner.Close()
		}
		return ""
	default:
	}
	before := s.wires
	s.wires = w
	close(s.changed)
	s.changed = make(chan struct{})
	if before.inner != w.inner || (before.tls == nil) != (w.tls == nil) {
		old := s.conns
		s.conns = map[net.Conn]bool{}
		s.work.Go(func() { s.part(old) })
	}
	if before.inner != nil && before.inner != w.inner {
		_ = before.inner.Close()
	}
	if w.inner == nil {
		return ""
	}
	return w.inner.Addr().String()
}

// remind warns of a certificate that ends soon.
func (s *socket) remind() {
	s.mu.Lock()
	c := s.wires.tls
	s.mu.Unlock()
	if c != nil {
		c.remind()
	}
}

// part closes connections when they had their time.
func (s *socket) part(old map[net.Conn]bool) {
	timer := time.NewTimer(s.drain)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.done: // who serves them closes them
		return
	}
	s.mu.Lock()
	var open []net.Conn
	for c := range old {
		open = append(open, c)
	}
	s.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
}

// Accept implements net.Listener.
func (s *socket) Accept() (net.Conn, error) {
	for {
		s.mu.Lock()
		inner, changed := s.wires.inner, s.changed
		s.mu.Unlock()
		if inner == nil {
			select {
			case <-changed:
				continue
			case <-s.done:
				return nil, net.ErrClosed
			}
		}
		c, err := inner.Accept()
		if err == nil {
			return s.take(c), nil
		}
		s.mu.Lock()
		replaced := s.wires.inner != inner
		s.mu.Unlock()
		select {
		case <-s.done:
			return nil, net.ErrClosed
		default:
		}
		if !replaced {
			return nil, err
		}
	}
}

// take keeps an eye on a connection.
func (s *socket) take(c net.Conn) net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &watched{Conn: c, socket: s, among: s.conns}
	s.conns[w] = true
	if s.wires.tls != nil {
		return tls.Server(w, s.wires.tls.server)
	}
	return w
}

// watched is a connection that tells its socket when it is closed.
type watched struct {
	net.Conn

	socket *socket
	among  map[net.Conn]bool
}

// Close implements net.Conn.
func (w *watched) Close() error {
	w.socket.mu.Lock()
	delete(w.among, w)
	w.socket.mu.Unlock()
	return w.Conn.Close()
}

// CloseWrite lets http.Server end an answer to a client that still sends.
func (w *watched) CloseWrite() error {
	if tcp, ok := w.Conn.(*net.TCPConn); ok {
		return tcp.CloseWrite()
	}
	return w.Close()
}

// Close implements net.Listener.
func (s *socket) Close() error {
	s.mu.Lock()
	inner := s.wires.inner
	select {
	case <-s.done:
		s.mu.Unlock()
		return nil
	default:
	}
	close(s.done)
	s.mu.Unlock()
	var err error
	if inner != nil {
		err = inner.Close()
	}
	s.work.Wait()
	return err
}

// Addr implements net.Listener.
func (s *socket) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wires.inner == nil {
		return &net.TCPAddr{}
	}
	return s.wires.inner.Addr()
}
