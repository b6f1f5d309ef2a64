package cli

import (
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/config"
)

// TestSocketNeverStops moves an endpoint to an address that its own is in the way of: the old one is listened to until the
// new one is open, and goes on when that cannot be had. A connection that nobody has accepted yet tells.
func TestSocketNeverStops(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs addresses that are in each other's way, and 127.0.0.2")
	}
	for name, taken := range map[string]bool{"open": false, "taken": true} {
		t.Run(name, func(t *testing.T) {
			s := newSocket(time.Second)
			defer s.Close()
			at := func(address string) (wires, error) {
				return s.prepare(t.Context(), config.ServeHTTP{Listen: address}, hclog.NewNullLogger())
			}
			w, err := at("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			old := s.adopt(w)
			_, port, _ := net.SplitHostPort(old)
			w.listen = old
			s.adopt(w)
			if taken {
				other, err := net.Listen("tcp", "127.0.0.2:"+port)
				if err != nil {
					t.Fatal(err)
				}
				defer other.Close()
			}
			waiting, err := net.Dial("tcp", old)
			if err != nil {
				t.Fatal(err)
			}
			defer waiting.Close()

			w, err = at("0.0.0.0:" + port)
			if (err != nil) != taken {
				t.Fatalf("the new address: %v", err)
			}
			arrives(t, s, waiting)
			late, err := net.Dial("tcp", old)
			if err != nil {
				t.Fatal(err)
			}
			defer late.Close()
			arrives(t, s, late)
			if taken {
				return
			}
			if now := s.adopt(w); now != "[::]:"+port && now != "0.0.0.0:"+port {
				t.Errorf("listens at %s", now)
			}
			elsewhere, err := net.Dial("tcp", "127.0.0.2:"+port)
			if err != nil {
				t.Fatal(err)
			}
			defer elsewhere.Close()
			arrives(t, s, elsewhere)
			if other, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
				t.Error("another program may listen there, too")
				_ = other.Close()
			}
		})
	}
}

// TestSocketAfterClose changes the address of an endpoint that has ended meanwhile: nothing is listened to.
func TestSocketAfterClose(t *testing.T) {
	s := newSocket(time.Hour)
	for _, want := range []bool{true, false} {
		w, err := s.prepare(t.Context(), config.ServeHTTP{Listen: "127.0.0.1:0"}, hclog.NewNullLogger())
		if err != nil {
			t.Fatal(err)
		}
		w.listen = "" // as if it was another address
		if at := s.adopt(w); (at != "") != want {
			t.Errorf("listens at %q", at)
		}
		if c, err := net.Dial("tcp", w.inner.Addr().String()); (err == nil) != want {
			t.Errorf("a client that comes: %v", err)
		} else if err == nil {
			_ = c.Close()
		}
		_ = s.Close()
	}
}

// arrives expects a connection to be accepted.
func arrives(t *testing.T, s *socket, sent net.Conn) {
	t.Helper()
	_ = sent.SetDeadline(time.Now().Add(30 * time.Second))
	got := make(chan error, 1)
	go func() {
		c, err := s.Accept()
		if err == nil {
			_, err = fmt.Fprint(c, "x")
			_ = c.Close()
		}
		got <- err
	}()
	if _, err := sent.Read(make([]byte, 1)); err != nil {
		t.Fatalf("a connection is lost: %v", err)
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}
