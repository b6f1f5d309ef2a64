package store

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/config/watch"
)

const (
	// changesFile is written after each change of a record, so that one file tells of all.
	changesFile = "changes"
	// changesDebounce is how long the file must stay as it is.
	changesDebounce = 20 * time.Millisecond
)

// changes tells of changed records, in this process and in others.
type changes struct {
	folder *folder // nil: in this process only
	log    hclog.Logger

	mu          sync.Mutex
	subscribers []chan struct{}
	watcher     *watch.Watcher // nil: nobody watches yet
	done        chan struct{}  // closed when the goroutine of the watcher has ended
	stop        chan struct{}
	closed      bool
}

func newChanges(f *folder, log hclog.Logger) *changes {
	return &changes{folder: f, log: log, stop: make(chan struct{})}
}

// Watch returns a channel that gets a value after records were changed, by any process: look again. Changes that are
// close together are one value, and a value may come without a change. It is never closed; when ctx ends nothing comes
// any more.
func (s *Store) Watch(ctx context.Context) (<-chan struct{}, error) {
	c := make(chan struct{}, 1)
	if err := s.changes.subscribe(c); err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { s.changes.unsubscribe(c) })
	return c, nil
}

func (c *changes) subscribe(to chan struct{}) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil // nothing changes any more
	}
	c.subscribers = append(c.subscribers, to)
	if c.folder == nil || c.watcher != nil {
		return nil
	}
	watcher, err := watch.New(watch.Options{Files: []string{c.folder.path(changesFile)}, Debounce: changesDebounce, Log: c.log})
	if err != nil {
		return fmt.Errorf("watch %s: %w", c.folder.dir, err)
	}
	c.watcher, c.done = watcher, make(chan struct{})
	go func() {
		defer close(c.done)
		for {
			select {
			case <-watcher.C():
				c.spread()
			case <-c.stop:
				return
			}
		}
	}()
	return nil
}

func (c *changes) unsubscribe(from chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subscribers = slices.DeleteFunc(c.subscribers, func(s chan struct{}) bool { return s == from })
}

// spread tells those who watch in this process.
func (c *changes) spread() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.subscribers {
		select {
		case s <- struct{}{}:
		default: // it has not looked since the last change
		}
	}
}

// tell tells this process and the others. That the others do not hear of it is no reason to take the change back.
func (c *changes) tell(ctx context.Context) {
	c.spread()
	if c.folder == nil {
		return
	}
	if err := c.folder.touch(ctx, changesFile); err != nil {
		c.log.Debug("other processes are not told of a change", "err", err)
	}
}

func (c *changes) close() error {
	c.mu.Lock()
	watcher, done, closed := c.watcher, c.done, c.closed
	c.closed, c.subscribers = true, nil
	c.mu.Unlock()
	if watcher == nil || closed {
		return nil
	}
	close(c.stop)
	<-done
	return watcher.Close()
}
