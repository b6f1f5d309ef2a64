package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"
)

// sample is what one round found out about one way: values by their units. A unit that cannot be
// had, as processor time outside Linux, is missing.
type sample map[string]float64

// The units. benchstat understands their ends.
const (
	wall      = "ns/op"
	p50       = "p50-ns/op"
	processor = "cpu-ns/op" // of the process between alone
	again     = "again-ns/op"
	during    = "meanwhile-ns/op"
	rss       = "rss-B"
	extra     = "extra-B" // peak above what was resident before
	lost      = "lost/op"
	misplaced = "misplaced/op" // out of order
	late      = "late/op"      // after the answer
	allocs    = "allocs/op"    // of the client, where it is alone
)

// measure is one measurement, repeated in rounds in which each way has its turn.
type measure struct {
	name string
	take taker
}

// taker measures one way once.
type taker func(r *rig, via string) (sample, error)

// repeat takes n samples and returns the median of each of their values.
func repeat(n int, take taker) taker {
	return func(r *rig, via string) (sample, error) {
		all := map[string][]float64{}
		for range n {
			s, err := take(r, via)
			if err != nil {
				return nil, err
			}
			for unit, x := range s {
				all[unit] = append(all[unit], x)
			}
		}
		s := sample{}
		for unit, xs := range all {
			s[unit] = median(xs)
		}
		return s, nil
	}
}

func measures() []measure {
	return []measure{
		{"echo=1KiB/inflight=1", echo(1, 2000)},
		{"echo=1KiB/inflight=64", echo(64, 10_000)},
		{"result=1MB/answer=json", result(1e6, "false", 30)},
		{"result=1MB/answer=sse", result(1e6, "true", 30)},
		{"result=10MB/answer=json", result(10e6, "false", 6)},
		{"result=10MB/answer=sse", result(10e6, "true", 6)},
		{"progress=10000", progress(10_000)},
		{"initialize/servers=1", repeat(20, initialize(1))},
		{"initialize/servers=100", repeat(20, initialize(100))},
		{"list/servers=1", repeat(5, list(1, 10))},
		{"list/servers=20", repeat(5, list(20, 100))},
		{"list/servers=100", repeat(5, list(100, 10))},
		{"idle", idle},
		{"list/servers=99+dead", dead},
		{"initialize/servers=100/snapshot=yes", remembering(100)},
		{"list/servers=17+bad=3/snapshot=no", repeat(3, badDay(false))},
		{"list/servers=17+bad=3/snapshot=yes", repeat(5, badDay(true))},
		{"relabel/servers=20", relabel(20, 10, 10)},
	}
}

// meter reads wall, processor and memory between two moments.
type meter struct {
	pid     int
	before  runtime.MemStats
	cpu     time.Duration
	hasCPU  bool
	rss     int64
	hasPeak bool
	start   time.Time
}

func newMeter(pid int) *meter {
	m := &meter{pid: pid}
	m.cpu, m.hasCPU = settledTime(pid)
	m.rss, m.hasPeak = memory(pid, resident)
	m.hasPeak = m.hasPeak && resetPeak(pid)
	runtime.ReadMemStats(&m.before)
	m.start = time.Now()
	return m
}

// read returns what n operations took since newMeter.
func (m *meter) read(n int) sample {
	s := sample{wall: nanoseconds(time.Since(m.start)) / float64(n)}
	if m.pid == 0 {
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		s[allocs] = float64(now.Mallocs-m.before.Mallocs) / float64(n)
		return s
	}
	if cpu, ok := settledTime(m.pid); ok && m.hasCPU {
		s[processor] = nanoseconds(cpu-m.cpu) / float64(n)
	}
	if high, ok := memory(m.pid, peak); ok && m.hasPeak {
		s[extra] = float64(high - m.rss)
	}
	if now, ok := memory(m.pid, resident); ok {
		s[rss] = float64(now)
	}
	return s
}

func nanoseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) }

// median returns the middle of all, which has at least one element.
func median[T time.Duration | float64](all []T) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return float64(sorted[(len(sorted)-1)/2]+sorted[len(sorted)/2]) / 2
}

// warm makes the n first calls of a session, which find the pools empty.
func warm(p benchPeer, n int) error {
	_, err := p.exchange(calls(1, n, "echo", `{"text":"warm"}`))
	return err
}

const afterWarm = 10_000 // the first id of what is measured

// echo measures n calls that bring 1 KiB back.
func echo(inFlight, n int) taker {
	return func(r *rig, via string) (sample, error) {
		p, pid, err := r.open(via, r.urls[0])
		if err != nil {
			return nil, err
		}
		text := []byte(strings.Repeat("0123456789abcdef", 64))
		b := calls(afterWarm, n, "echo", fmt.Sprintf(`{"text":%q}`, text))
		b.inFlight = inFlight
		b.see = func(line []byte) error {
			if !bytes.Contains(line, text) {
				return fmt.Errorf("answer without its text: %.300q", line)
			}
			return nil
		}
		if err := warm(p, 300); err != nil {
			return nil, err
		}
		m := newMeter(pid)
		took, err := p.exchange(b)
		if err != nil {
			return nil, err
		}
		s := m.read(n)
		s[p50] = median(took)
		return s, p.close()
	}
}

// result measures n calls, one at a time, with results of size bytes.
func result(size int, sse string, n int) taker {
	return func(r *rig, via string) (sample, error) {
		p, pid, err := r.open(via, r.urls[0])
		if err != nil {
			return nil, err
		}
		b := calls(afterWarm, n, "big", fmt.Sprintf(`{"bytes":%d,"sse":%s}`, size, sse))
		b.see = func(line []byte) error {
			if len(line) < size {
				return fmt.Errorf("answer of %d bytes, want more than %d: %.300q", len(line), size, line)
			}
			return nil
		}
		if err := warm(p, 20); err != nil {
			return nil, err
		}
		m := newMeter(pid)
		if _, err := p.exchange(b); err != nil {
			return nil, err
		}
		return m.read(n), p.close()
	}
}

// progress measures n progress notifications of one call. A notification is an operation.
func progress(n int) taker {
	return func(r *rig, via string) (sample, error) {
		p, pid, err := r.open(via, r.urls[0])
		if err != nil {
			return nil, err
		}
		s := sample{lost: float64(n), misplaced: 0, late: 0}
		last, answered := 0, false
		see := func(line []byte) error {
			if id, _ := idOf(line); id >= 0 {
				answered = true
				return nil
			}
			_, text, found := bytes.Cut(line, []byte(`"progressToken":"bench","progress":`))
			if !found {
				return nil
			}
			var now int
			if _, err := fmt.Sscan(string(text[:bytes.IndexByte(text, ',')]), &now); err != nil {
				return err
			}
			s[lost]--
			if now != last+1 {
				s[misplaced]++
			}
			if answered {
				s[late]++
			}
			last = now
			return nil
		}
		b := calls(afterWarm, 1, "notify", fmt.Sprintf(`{"count":%d}`, n))
		b.see = see
		if err := warm(p, 20); err != nil {
			return nil, err
		}
		m := newMeter(pid)
		if _, err := p.exchange(b); err != nil {
			return nil, err
		}
		maps.Copy(s, m.read(n))
		// What comes before the answer to a ping is late; what does not is lost.
		ping := request(afterWarm+1, "ping")
		ping.see = see
		if _, err := p.exchange(ping); err != nil {
			return nil, err
		}
		return s, p.close()
	}
}

// initialize measures from the start of the process to its answer to initialize.
func initialize(servers int) taker {
	return func(r *rig, via string) (sample, error) {
		if via == direct {
			p, start := newDirectPeer(r.urls[0]), time.Now()
			err := hello(p)
			return sample{wall: nanoseconds(time.Since(start))}, errors.Join(err, p.close())
		}
		p, err := r.start(via, r.servers(servers, 10))
		if err != nil {
			return nil, err
		}
		if err := hello(p); err != nil {
			return nil, err
		}
		return sample{wall: nanoseconds(time.Since(p.started))}, p.close()
	}
}

// list measures from the start of the process to the first complete list, and a list after that.
func list(servers, perServer int) taker {
	return func(r *rig, via string) (sample, error) {
		urls := r.servers(servers, perServer)
		if via == direct {
			start := time.Now()
			err := listDirect(urls, perServer)
			return sample{wall: nanoseconds(time.Since(start))}, err
		}
		p, err := r.start(via, urls)
		if err != nil {
			return nil, err
		}
		m := &meter{pid: p.pid(), start: p.started, hasCPU: true}
		if err := hello(p); err != nil {
			return nil, err
		}
		if _, err := p.exchange(tools(1, servers*perServer)); err != nil {
			return nil, err
		}
		s := m.read(1)
		took := make([]time.Duration, 20)
		for i := range took {
			next, err := p.exchange(tools(2+i, servers*perServer))
			if err != nil {
				return nil, err
			}
			took[i] = next[0]
		}
		s[again] = median(took)
		return s, p.close()
	}
}

// idle measures what a process with one server keeps, two seconds after its last work.
func idle(r *rig, via string) (sample, error) {
	if via == direct {
		return sample{}, nil
	}
	p, pid, err := r.open(via, r.urls[0]+"?tools=10&stream=1")
	if err != nil {
		return nil, err
	}
	if _, err := p.exchange(tools(1, 10)); err != nil {
		return nil, err
	}
	if err := warm(p, 5); err != nil {
		return nil, err
	}
	<-time.After(2 * time.Second)
	s := sample{}
	if size, ok := memory(pid, resident); ok {
		s[rss] = float64(size)
	}
	return s, p.close()
}

// dead measures what plait makes of a server that never answers among 100: the first list of the
// others, a call to one of them made at once, while the list waits, and the calls after that.
func dead(r *rig, via string) (sample, error) {
	const servers, perServer = benchServers - 1, 10
	if via != plait {
		return sample{}, nil // nobody else has a dead server; compare with the list of 100
	}
	p, err := r.start(via, append(r.servers(servers, perServer), r.dead))
	if err != nil {
		return nil, err
	}
	if err := hello(p); err != nil {
		return nil, err
	}
	ready := time.Since(p.started)
	b := tools(1, servers*perServer)
	echoes := calls(2, 1, "s1_echo", `{"text":"at once"}`)
	listed := b.see
	b.lines, b.inFlight = append(b.lines, echoes.lines...), 2
	b.see = func(line []byte) error {
		if bytes.Contains(line, []byte("at once")) {
			return nil
		}
		return listed(line)
	}
	took, err := p.exchange(b)
	if err != nil {
		return nil, err
	}
	s := sample{wall: nanoseconds(ready + took[0]), during: nanoseconds(took[1])}
	took, err = p.exchange(calls(afterWarm, 300, "s1_echo", `{"text":"afterwards"}`))
	if err != nil {
		return nil, err
	}
	s[p50] = median(took)
	return s, p.close()
}
