package upstream

import (
	"testing"
	"testing/synctest"

	"github.com/plait-mcp/plait/upstream/protocol"
)

// slow is a client that takes its time to hear of a list.
type slow struct {
	nobody
	heard chan struct{}
}

// Changed implements Client.
func (s *slow) Changed(*Session, protocol.List) { <-s.heard }

// Who waits for a list goes on when all clients know of it: before, what a client has built is of the last one.
func TestAwaitLetsClientsHearFirst(t *testing.T) {
	d := &diary{tools: `[{"name":"a"}]`}
	inBubble(t, lazily(), d.ServeHTTP, func(b *bubble) {
		client := &slow{heard: make(chan struct{})}
		s, release := b.openFor(client)
		defer release()
		s.Want(protocol.Tools)
		synctest.Wait()
		known := make(chan error, 1)
		go func() { known <- s.Await(b.t.Context(), protocol.Tools) }()
		synctest.Wait()
		if n := len(s.List(protocol.Tools).Items); n != 1 || len(known) != 0 {
			b.t.Errorf("%d items, %d went on", n, len(known))
		}
		close(client.heard)
		if err := <-known; err != nil {
			b.t.Error(err)
		}
	})
}
