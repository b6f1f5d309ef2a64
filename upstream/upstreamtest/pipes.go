package upstreamtest

import (
	"context"
	"net"
	"sync"
)

// Pipes is a network in memory for tests in a synctest bubble, where no real time passes: an HTTP server listens on it,
// and Dial connects to it. Any goroutine may call its methods.
type Pipes struct {
	incoming chan net.Conn
	done     chan struct{}
	once     sync.Once

	mu    sync.Mutex
	conns []net.Conn // the server's ends
}

// NewPipes returns a network that has one listener.
func NewPipes() *Pipes { return &Pipes{incoming: make(chan net.Conn), done: make(chan struct{})} }

// Dial connects to the listener, whatever the address (net.Dialer.DialContext).
func (p *Pipes) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	p.mu.Lock()
	p.conns = append(p.conns, far)
	p.mu.Unlock()
	select {
	case p.incoming <- far:
		return near, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Cut cuts all connections.
func (p *Pipes) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

// Accept implements net.Listener.
func (p *Pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.incoming:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *Pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

// Addr implements net.Listener.
func (p *Pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }
