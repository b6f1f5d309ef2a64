package upstream

import (
	"bytes"
	"sync"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// latest is what one configured server said last of itself, to whichever client. Most servers say the same to all:
// then their sessions share its memory. Any goroutine may use it.
type latest struct {
	mu    sync.Mutex
	hello jsonrpc.Raw
	lists [protocol.Lists]known
}

// sameHello returns the answer to initialize, in the memory of an equal one if there is any.
func (c *latest) sameHello(hello jsonrpc.Raw) jsonrpc.Raw {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !bytes.Equal(c.hello, hello) {
		c.hello = hello
	}
	return c.hello
}

// sameList returns a list, in the memory of an equal one if there is any.
func (c *latest) sameList(l protocol.List, k known) known {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.lists[l].equal(k) {
		c.lists[l] = k
	}
	k.items, k.frame = c.lists[l].items, c.lists[l].frame
	return k
}
