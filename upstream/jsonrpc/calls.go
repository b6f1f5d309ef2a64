package jsonrpc

import "sync"

// Calls is the table of requests that wait for their answer. The zero Calls is ready; any goroutine may use it.
type Calls struct {
	mu      sync.Mutex
	waiting map[ID]chan *Message
	err     error
}

// Add enters a request and returns where its answer will arrive: one message, or a closed channel after
// Fail. It returns the error of Fail when that came before.
func (c *Calls) Add(id ID) (<-chan *Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, c.err
	}
	if c.waiting == nil {
		c.waiting = map[ID]chan *Message{}
	}
	answer := make(chan *Message, 1)
	c.waiting[id.Key()] = answer
	return answer, nil
}

// Deliver hands a response to who waits for it and reports whether somebody did. It does not block.
func (c *Calls) Deliver(m *Message) bool {
	key := m.ID().Key()
	c.mu.Lock()
	answer, ok := c.waiting[key]
	delete(c.waiting, key)
	c.mu.Unlock()
	if ok {
		answer <- m
	}
	return ok
}

// Remove gives up waiting.
func (c *Calls) Remove(id ID) {
	c.mu.Lock()
	delete(c.waiting, id.Key())
	c.mu.Unlock()
}

// Fail ends all waiting, now and later, with err.
func (c *Calls) Fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	for _, answer := range c.waiting {
		close(answer)
	}
	c.waiting = nil
}

// Err returns the error of Fail, nil before.
func (c *Calls) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Len returns how many requests wait.
func (c *Calls) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiting)
}
