package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// saveDelay is how long changes of lists are gathered before they are written.
const saveDelay = time.Second

// recall starts the session with what the server showed last time. It is called before the session runs.
func (s *Session) recall(from *Snapshots) {
	if from == nil {
		return
	}
	s.snapshots, s.snapshotKey = from, snapshotKey(s.Server(), s.of.fingerprint, s.hello)
	old := from.load(s.snapshotKey)
	if old == nil {
		return
	}
	s.remembered = old.hello
	for l, k := range old.lists {
		if !k.read.IsZero() {
			s.lists[l].known, s.lists[l].version, s.lists[l].disk = k, 1, true
		}
	}
}

// Remembered returns what the server answered to initialize when it was connected last, nil if nobody knows.
func (s *Session) Remembered() jsonrpc.Raw {
	if result := s.Hello(); result != nil {
		return result
	}
	return s.remembered
}

// saveSoon writes the snapshot in a while, or when ctx ends.
func (s *Session) saveSoon(ctx context.Context, link *link) {
	if s.snapshots == nil {
		return
	}
	s.mu.Lock()
	pending := s.saving
	s.saving = true
	s.mu.Unlock()
	if pending {
		return
	}
	s.work.Go(func() {
		timer := time.NewTimer(saveDelay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		s.mu.Lock()
		s.saving = false
		now := &snapshot{hello: compact(link.result)}
		for l := range s.lists {
			now.lists[l] = s.lists[l].known
		}
		s.mu.Unlock()
		s.snapshots.save(s.snapshotKey, now)
	})
}

func compact(text jsonrpc.Raw) jsonrpc.Raw {
	var b bytes.Buffer
	if json.Compact(&b, text) != nil {
		return nil
	}
	return b.Bytes()
}

// Instructions returns the instructions that a server gave to a client with that hello when it was connected
// last, "" if there are none. It reads no lists.
func (s *Set) Instructions(server string, hello Hello) string {
	if s.opts.Snapshots == nil {
		return ""
	}
	for _, srv := range s.current() {
		cfg := srv.settings()
		if cfg.Name != server || len(cfg.Problems) > 0 {
			continue
		}
		if cfg.Shared {
			hello = s.own()
		}
		text, _ := jsonrpc.GetString(s.opts.Snapshots.hello(snapshotKey(cfg, srv.fingerprint, hello)), "instructions")
		return text
	}
	return ""
}

// doubted returns a channel that fires when a list is to be asked for again that was suddenly empty, nil if
// there is none.
func (s *Session) doubted() <-chan time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	var next time.Time
	for l := range protocol.Lists {
		if at := s.lists[l].doubt; !at.IsZero() && (next.IsZero() || at.Before(next)) && !s.lists[l].loading {
			next = at
		}
	}
	if next.IsZero() {
		return nil
	}
	return time.After(time.Until(next))
}
