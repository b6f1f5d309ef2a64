package downstream

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// pause is how long a client may take to begin with the body of a request, and to make up for what it is late.
	pause = 30 * time.Second
	// parting is how long what a client sends of a refused request is still taken.
	parting = time.Second
	// slowestIntake is how many bytes a second a client has to send of a body.
	slowestIntake = 16 << 10
	// expense is what a message takes besides its text while it is being served.
	expense = 4 << 10
	// small is how long a message may be that has the last quarter of the memory to itself: long ones of one client
	// never keep short ones of others out.
	small = 64 << 10
)

var errMemory = errors.New("too much is being received and served; try again later, or raise serve.http.limits.memory")

// memory is how many bytes of messages may be there at a time, of all clients: from when they come in until they are
// answered, or while they wait for a client.
type memory struct {
	limit atomic.Int64
	used  atomic.Int64
}

// take takes n bytes more for a message that has size bytes then, if there are any.
func (m *memory) take(n, size int64) bool {
	for room := m.room(size); ; {
		used := m.used.Load()
		if used+n > room {
			return false
		}
		if m.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

// room returns how much may be taken in all by a message of that size and those before it.
func (m *memory) room(size int64) int64 {
	limit := m.limit.Load()
	if size > small {
		limit -= limit / 4 //nolint:mnd // as small says
	}
	return limit
}

func (m *memory) give(n int64) { m.used.Add(-n) }

// hold is what a message takes of the memory.
type hold struct {
	memory *memory
	size   atomic.Int64
}

// grow takes n bytes more.
func (h *hold) grow(n int64) bool {
	if !h.memory.take(n, h.size.Load()+n) {
		return false
	}
	h.size.Add(n)
	return true
}

// release gives all back. It may be called more than once.
func (h *hold) release() { h.memory.give(h.size.Swap(0)) }

// intake is the body of a request. Reading it fails when it comes too slowly, or when there is no memory for it.
type intake struct {
	from    io.Reader
	control *http.ResponseController
	hold    *hold
	began   time.Time
	until   time.Time // the deadline
	read    int64
	unread  bool // there is more
}

// expect gives a body its time, if there is one: one that nobody reads, too.
func (i *intake) expect(r *http.Request) {
	if i.unread = r.ContentLength != 0; i.unread {
		i.began = time.Now()
		i.await(i.began.Add(pause))
	}
}

// await sets the deadline, but for a difference that does not matter.
func (i *intake) await(until time.Time) {
	if until.Sub(i.until).Abs() > time.Second {
		i.until = until
		_ = i.control.SetReadDeadline(until) // what cannot do that has none
	}
}

// leave gives the client a moment more to send, so that it gets to reading the answer.
func (i *intake) leave() {
	_ = i.control.SetReadDeadline(time.Now().Add(parting)) // as above
}

// handOver has the caller release what the request takes.
func (i *intake) handOver() *hold {
	held := i.hold
	i.hold = &hold{memory: held.memory}
	return held
}

// release gives back what the request takes and nobody else releases.
func (i *intake) release() { i.hold.release() }

// Read implements io.Reader.
func (i *intake) Read(p []byte) (int, error) {
	until, next := i.began.Add(pause+time.Duration(i.read)*time.Second/slowestIntake), time.Now().Add(pause)
	if next.Before(until) {
		until = next
	}
	i.await(until)
	n, err := i.from.Read(p)
	if n > 0 && !i.hold.grow(int64(n)) {
		return 0, errMemory
	}
	i.read += int64(n)
	return n, err
}
