package downstream

import "sync"

// How many goroutines of a crew may wait for something to do, that of one client and that of all.
const (
	fewWaiting  = 8
	manyWaiting = 64
)

// crew runs functions on goroutines, and keeps those for a while that have nothing to do: their stacks have grown to
// what serving a request takes, which costs a new one as much as the serving. Any goroutine may use it.
type crew struct {
	jobs chan func()
	most int // goroutines that wait
	work sync.WaitGroup

	mu      sync.Mutex
	off     chan struct{} // closed when those that wait may go
	waiting int
	closed  bool
}

func newCrew(most int) *crew {
	return &crew{jobs: make(chan func()), most: most, off: make(chan struct{})}
}

// run runs f on a goroutine. It does not block.
func (c *crew) run(f func()) {
	select {
	case c.jobs <- f:
	default:
		c.work.Go(func() {
			for f != nil {
				f()
				f = c.next()
			}
		})
	}
}

// next waits for something to do, and returns nil when the goroutine may go.
func (c *crew) next() (f func()) {
	c.mu.Lock()
	off := c.off
	if c.closed || c.waiting == c.most {
		c.mu.Unlock()
		return nil
	}
	c.waiting++
	c.mu.Unlock()
	select {
	case f = <-c.jobs:
	case <-off:
	}
	c.mu.Lock()
	c.waiting--
	c.mu.Unlock()
	return f
}

// relieve lets those go that have nothing to do.
func (c *crew) relieve() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		close(c.off)
		c.off = make(chan struct{})
	}
}

// close waits for all that runs. Nothing but close comes after it.
func (c *crew) close() {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.off)
	}
	c.mu.Unlock()
	c.work.Wait()
}
