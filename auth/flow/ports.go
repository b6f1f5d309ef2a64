package flow

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// spare is how long a port is held for a sign-in that is about to begin.
const spare = time.Minute

// decide is the lock of those who take a port or find out who has it.
const decide = "callback"

// portLock returns the lock of whoever listens on a port. It lies beside the port because a port tells not who has it.
func portLock(port int) string { return "callback-" + strconv.Itoa(port) }

// ports are those that this process listens on.
type ports struct {
	b    *Broker
	turn chan struct{} // full while somebody looks at or changes what is below
	held map[int]*port
	over bool
}

// port is one that this process listens on, with its lock.
type port struct {
	number int
	unlock func()
	server *server
	until  time.Time // it is held till then although nothing needs it
}

func newPorts(b *Broker) *ports {
	return &ports{b: b, turn: make(chan struct{}, 1), held: map[int]*port{}}
}

// listen sees to it that this process or another one of plait listens on number, 0 for any port, and returns it.
func (b *Broker) listen(ctx context.Context, number int) (int, error) {
	p := b.ports
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-p.turn }()
	if number == 0 {
		for n := range p.held {
			number = n // one is as good as another
		}
	}
	if held, ok := p.held[number]; ok {
		held.until = time.Now().Add(spare)
		return number, nil
	}
	if p.over {
		return 0, errClosed
	}
	// who has this lock knows that whoever has the lock of a port listens on it: both are done under this one
	unlock, err := b.store.Lock(ctx, decide)
	if err != nil {
		return 0, fmt.Errorf("listen for the answer of the authorization server: %w", err)
	}
	defer unlock()
	return p.take(ctx, number)
}

// take binds number, 0 for any port, unless a sibling has it. The turn and the lock are the caller's.
func (p *ports) take(ctx context.Context, number int) (int, error) {
	unlock := func() {}
	if number != 0 {
		free, ok, err := p.b.store.TryLock(portLock(number))
		if err != nil {
			return 0, fmt.Errorf("listen for the answer of the authorization server: %w", err)
		}
		if !ok {
			return number, nil // a sibling listens there, and finishes our sign-ins as well
		}
		unlock = free
	}
	listeners, err := bind(ctx, p.b.callback.Bind, number)
	if err != nil {
		unlock()
		return 0, &PortError{Port: number, Err: err}
	}
	if number == 0 {
		number = portOf(listeners[0])
		free, ok, err := p.b.store.TryLock(portLock(number))
		if err != nil || !ok {
			for _, l := range listeners {
				l.Close()
			}
			return 0, &PortError{Port: number, Err: errors.Join(err, syscall.EADDRINUSE)}
		}
		unlock = free
	}
	if p.b.callback.Bind != "" {
		p.b.log.Warn("listening for sign-ins on an address that others may reach", "address", p.b.callback.Bind, "port", number)
	}
	p.held[number] = &port{
		number: number, unlock: unlock, server: p.b.serve(context.WithoutCancel(ctx), number, listeners), until: time.Now().Add(spare),
	}
	p.b.nudge()
	return number, nil
}

// tend takes over needed ports that nobody holds any more and lets go of those that nobody needs. It returns when to
// look again.
func (p *ports) tend(ctx context.Context, needed map[int]bool) time.Duration {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return idle
	}
	defer func() { <-p.turn }()
	for n, held := range p.held {
		if !needed[n] && time.Now().After(held.until) && !p.b.wanted(ctx, n) {
			p.release(ctx, held)
		}
	}
	next := idle
	if len(needed)+len(p.held) > 0 {
		next = look
	}
	for n := range needed {
		if p.held[n] == nil {
			next = takeover
			p.takeOver(ctx, n)
		}
	}
	return next
}

// takeOver takes a port that a sibling held, if that one has gone.
func (p *ports) takeOver(ctx context.Context, n int) {
	unlock, ok, err := p.b.store.TryLock(decide)
	if err != nil || !ok {
		return // somebody else is just about it
	}
	defer unlock()
	if _, err := p.take(ctx, n); err != nil {
		p.b.log.Debug("cannot listen for the answer of the authorization server", "err", err)
		return
	}
	if p.held[n] != nil {
		p.b.log.Info("taking over the sign-ins that are under way", "port", n)
	}
}

// release stops listening on a port. The listening ends before the lock does: whoever gets the lock finds it free.
func (p *ports) release(ctx context.Context, held *port) {
	delete(p.held, held.number)
	held.server.close(ctx)
	held.unlock()
}

// close lets go of everything, for ever.
func (p *ports) close(ctx context.Context) {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	p.over = true
	var wait sync.WaitGroup
	for _, held := range p.held {
		wait.Go(func() {
			held.server.close(ctx)
			held.unlock()
		})
	}
	wait.Wait()
	clear(p.held)
}

// bind listens on a port, 0 for any, of both loopback addresses or of one that is configured. A browser may take
// either for "localhost", so a stranger on one of them makes the port unusable.
func bind(ctx context.Context, address string, number int) ([]net.Listener, error) {
	if address != "" {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", hostPort(address, number))
		if err != nil {
			return nil, cause(err)
		}
		return []net.Listener{l}, nil
	}
	listeners, err := bindBoth(ctx, number)
	for again := 1; number == 0 && again < anyTries && isTaken(err); again++ { // free on one address need not be free on the other
		listeners, err = bindBoth(ctx, number)
	}
	return listeners, err
}

// anyTries is how many free ports are tried.
const anyTries = 10

func bindBoth(ctx context.Context, number int) ([]net.Listener, error) {
	how := &net.ListenConfig{}
	four, err := how.Listen(ctx, "tcp4", hostPort("127.0.0.1", number))
	if err != nil {
		return nil, cause(err)
	}
	six, err := how.Listen(ctx, "tcp6", hostPort("::1", portOf(four)))
	switch {
	case err == nil:
		return []net.Listener{four, six}, nil
	case isTaken(err):
		four.Close()
		return nil, cause(err)
	}
	return []net.Listener{four}, nil // there is no IPv6 here
}

// isTaken reports whether a stranger is why a port cannot be had.
func isTaken(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EACCES) || errors.Is(err, errTaken) || errors.Is(err, errForbidden)
}

// What Windows says where others say EADDRINUSE and EACCES: WSAEADDRINUSE and WSAEACCES.
const (
	errTaken     = syscall.Errno(10048)
	errForbidden = syscall.Errno(10013)
)

// cause returns what the system said, without the address that a PortError names.
func cause(err error) error {
	if sys, ok := errors.AsType[syscall.Errno](err); ok {
		return sys
	}
	return err
}

func portOf(l net.Listener) int {
	a, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0
	}
	return a.Port
}
