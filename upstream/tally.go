package upstream

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// Result is how a call ended.
type Result uint8

// The results of calls.
const (
	Answered  Result = iota
	Refused          // the server answered with an error of JSON-RPC
	TimedOut         // callTimeout
	Cancelled        // the client did not wait
	Failed           // the server was not reached, or went away
)

var resultNames = [...]string{"ok", "error", "timeout", "cancelled", "failed"}

// Results and States are how many there are.
const (
	Results = len(resultNames)
	States  = len(stateNames)
)

// String returns the word for metrics.
func (r Result) String() string { return resultNames[r] }

// Buckets are the upper bounds of Stats.Took; one more bucket holds what took longer.
var Buckets = [...]time.Duration{
	time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond,
	5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute,
}

// Stats counts what a server has done for all clients since plait started, whatever connection it was on.
type Stats struct {
	Server   string
	Identity string // as whom plait comes, "" when there is no such thing

	Calls    [Results]uint64 // of clients, that have ended
	Took     [len(Buckets) + 1]uint64
	TookAll  time.Duration // the sum
	Sent     int64         // bytes of calls
	Received int64         // bytes of their answers, and of what the server said meanwhile
	InFlight int           // calls, now
	Connects [2]uint64     // attempts that worked, and that did not

	Sessions [States]int // now, by state
}

// tally is the part of Stats that only grows.
type tally struct {
	calls          [Results]atomic.Uint64
	took           [len(Buckets) + 1]atomic.Uint64
	tookAll        atomic.Int64
	sent, received atomic.Int64
	connects       [2]atomic.Uint64
}

// call counts a call that has ended.
func (m *tally) call(c Call, answer *jsonrpc.Message, err error, took time.Duration) {
	result := Answered
	switch {
	case errors.Is(err, ErrRetired): // it is made again elsewhere
		return
	case err != nil:
		result = resultOf(err)
	case answer.ErrorObject() != nil:
		result = Refused
	}
	m.calls[result].Add(1)
	bucket, _ := slices.BinarySearch(Buckets[:], took)
	m.took[bucket].Add(1)
	m.tookAll.Add(int64(took))
	m.sent.Add(int64(c.Message.Text().Len()))
	if answer != nil {
		m.received.Add(int64(answer.Text().Len()))
	}
}

func resultOf(err error) Result {
	if _, ok := errors.AsType[*TimeoutError](err); ok {
		return TimedOut
	}
	if _, ok := errors.AsType[*DownError](err); !ok && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return Cancelled
	}
	return Failed
}

// heard counts what the server says by itself.
func (m *tally) heard(said *jsonrpc.Message) { m.received.Add(int64(said.Text().Len())) }

// Stats returns what the servers that are configured now have done, each name once, in the order of the configuration.
func (s *Set) Stats() []Stats {
	var all []Stats
	for _, srv := range s.current() {
		now := srv.stats()
		switch i := slices.IndexFunc(all, func(other Stats) bool { return other.Server == now.Server }); {
		case i < 0:
			all = append(all, now)
		case len(srv.settings().Problems) == 0: // the other one is misconfigured, in some profile
			all[i] = now
		}
	}
	return all
}

func (s *server) stats() Stats {
	m := s.common.tally
	stats := Stats{
		TookAll: time.Duration(m.tookAll.Load()), Sent: m.sent.Load(), Received: m.received.Load(),
		Connects: [2]uint64{m.connects[0].Load(), m.connects[1].Load()},
	}
	for i := range m.calls {
		stats.Calls[i] = m.calls[i].Load()
	}
	for i := range m.took {
		stats.Took[i] = m.took[i].Load()
	}
	s.mu.Lock()
	cfg, sessions := s.cfg, slices.Collect(maps.Keys(s.sessions))
	s.mu.Unlock()
	stats.Server = cfg.Name
	if cfg.URL != "" && cfg.Identity != nil {
		stats.Identity = cfg.Identity.Name
	}
	for _, session := range sessions {
		session.mu.Lock()
		stats.Sessions[session.state]++
		stats.InFlight += len(session.calls)
		session.mu.Unlock()
	}
	return stats
}
