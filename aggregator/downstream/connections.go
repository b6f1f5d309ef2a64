package downstream

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// connections bounds the connections of clients. When there are too many, one that serves nothing makes room: the one
// that does so for longest, of the address that has the most, and of those that have never served a session if there are
// any. So who opens connections and sends nothing, or little by little, is in nobody's way but its own, and a client
// between two requests, which may be sending the next one, keeps its connection. There is no bound for one address:
// behind a proxy all clients have the same.
type connections struct {
	mu      sync.Mutex
	limit   int
	all     map[net.Conn]*connection
	network map[netip.Prefix]int // how many an address has
}

// connection is one of a client. What it holds is guarded by connections.
type connection struct {
	socket  net.Conn
	from    netip.Prefix
	serving int       // requests of a session
	served  bool      // some have been
	since   time.Time // when it served last
	surplus bool      // there is no room for it: it is only told so
}

// surplus is how many connections are told that there is no room for them, at a time; more are closed.
const surplus = 64

func newConnections(limit int) *connections {
	return &connections{limit: limit, all: map[net.Conn]*connection{}, network: map[netip.Prefix]int{}}
}

// bound changes how many there may be; those that are there stay.
func (c *connections) bound(limit int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = limit
}

// connectionKey is where the context of a request has its connection.
type connectionKey struct{}

// enter implements http.Server.ConnContext.
func (c *connections) enter(ctx context.Context, socket net.Conn) context.Context {
	n := &connection{socket: socket, from: addressOf(socket.RemoteAddr()), since: time.Now()}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[socket] = n
	c.network[n.from]++
	if len(c.all) > c.limit {
		if idle := c.idlest(n); idle != nil {
			cut(idle.socket)
			c.remove(idle)
		} else if n.surplus = true; len(c.all) > c.limit+surplus {
			cut(socket)
		}
	}
	return context.WithValue(ctx, connectionKey{}, n)
}

// cut closes a connection and waits for nobody: TLS would say good-bye, for seconds to a client that does not read.
func cut(socket net.Conn) {
	if secure, ok := socket.(*tls.Conn); ok {
		socket = secure.NetConn()
	}
	_ = socket.Close()
}

// idlest returns which has to go for a new one, nil for none. The state is locked.
func (c *connections) idlest(newest *connection) *connection {
	var found *connection
	for _, n := range c.all {
		if n.serving > 0 || n == newest {
			continue
		}
		if found == nil || c.yields(n, found) {
			found = n
		}
	}
	return found
}

// yields reports whether a connection has to go before another. The state is locked.
func (c *connections) yields(n, other *connection) bool {
	switch mine, theirs := c.network[n.from], c.network[other.from]; {
	case mine != theirs:
		return mine > theirs
	case n.served != other.served:
		return other.served
	}
	return n.since.Before(other.since)
}

// leave implements http.Server.ConnState.
func (c *connections) leave(socket net.Conn, state http.ConnState) {
	if state != http.StateClosed && state != http.StateHijacked {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.all[socket]; n != nil {
		c.remove(n)
	}
}

// remove forgets a connection. The state is locked.
func (c *connections) remove(n *connection) {
	delete(c.all, n.socket)
	if c.network[n.from]--; c.network[n.from] == 0 {
		delete(c.network, n.from)
	}
}

// use notes that the connection of a request serves a session, until done is called.
func (c *connections) use(r *http.Request) (done func()) {
	n := connectionOf(r)
	if n == nil {
		return func() {}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n.serving++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		n.serving--
		n.served = true
		n.since = time.Now()
	}
}

// isSurplus reports whether there is no room for the connection of a request.
func (c *connections) isSurplus(r *http.Request) bool {
	n := connectionOf(r)
	if n == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return n.surplus
}

// connectionOf returns the connection that a request came over, nil for one that Serve has not accepted.
func connectionOf(r *http.Request) *connection {
	n, _ := r.Context().Value(connectionKey{}).(*connection)
	return n
}

// sameNetwork is how many bits of an IPv6 address tell networks apart: whoever has one has all addresses in it.
const sameNetwork = 64

// addressOf returns whose connection it is.
func addressOf(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap()
	from, err := ip.WithZone("").Prefix(min(ip.BitLen(), sameNetwork))
	if err != nil {
		return netip.Prefix{}
	}
	return from
}
