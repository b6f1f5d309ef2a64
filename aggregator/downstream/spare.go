package downstream

import (
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"
)

// spares gives connections on which nothing has come yet as long as those between two requests. A client opens some that
// it does not need at once (net/http does, under load); the request that it sends on one that ends at that moment
// is lost. The connections of TLS, which have said something, stay as they are.
type spares struct{ net.Listener }

// Accept implements net.Listener.
func (s spares) Accept() (net.Conn, error) {
	conn, err := s.Listener.Accept()
	if _, ok := conn.(*tls.Conn); ok || err != nil {
		return conn, err
	}
	return &spare{Conn: conn}, nil
}

// spare is such a connection.
type spare struct {
	net.Conn

	used atomic.Bool // something has come
}

// SetReadDeadline implements net.Conn. Before anything has come it is for the header of the first request.
func (s *spare) SetReadDeadline(t time.Time) error {
	if !t.IsZero() && !s.used.Load() {
		t = t.Add(unusedTime - headerTime)
	}
	return s.Conn.SetReadDeadline(t)
}

// Read implements net.Conn.
func (s *spare) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if n > 0 && !s.used.Swap(true) {
		_ = s.Conn.SetReadDeadline(time.Now().Add(headerTime)) // what cannot do that has none
	}
	return n, err
}

// CloseWrite has the client read what was written before the connection ends: net/http asks for it.
func (s *spare) CloseWrite() error {
	if half, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
