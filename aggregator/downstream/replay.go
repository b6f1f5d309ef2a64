package downstream

import (
	"slices"
	"strconv"
)

// This is the event store of a session (2025-11-25, transports, resumability): what each stream has, and has had
// lately, within a budget.

// put adds an event to a stream that was admitted. It blocks while the client reads the stream more slowly than it is
// filled and there is no room. For a client that is away the oldest is dropped when there is none. The state is locked.
func (s *session) put(st *stream, e event) error {
	cost := e.cost()
	for !s.closed && s.streams[st.number] == st && s.kept+cost > s.budget {
		s.evict(st, cost)
		if s.kept+cost <= s.budget || st.reader == nil || len(st.unsent()) == 0 {
			break
		}
		st.blocked += cost
		s.room.Wait()
		st.blocked -= cost
	}
	switch {
	case s.closed:
		s.waiting.give(cost)
		return errEnded
	case s.streams[st.number] != st: // the client went away before it knew a way to come back
		s.waiting.give(cost)
		return nil
	}
	st.events = append(st.events, e)
	s.kept += cost
	if st.reader == nil {
		s.shrink(st)
	}
	st.reader.wake()
	return nil
}

// evict makes room: of streams that have ended, the oldest first, and of what the stream has sent. The state is
// locked.
func (s *session) evict(st *stream, want int64) {
	for s.kept+want > s.budget && len(s.retired) > 0 {
		s.oldest()
	}
	for s.kept+want > s.budget && st.next > st.first {
		s.release(st.drop())
	}
}

// shrink drops what a stream has too much of that nobody reads. The state is locked.
func (s *session) shrink(st *stream) {
	if s.kept > s.budget && len(st.events) > 0 && !s.lost {
		s.lost = true
		s.told.say("away", "a client is away, and what waits for it is more than is kept", "limit", s.budget)
	}
	s.trim(st, s.budget)
}

// trim drops events of a stream until the session keeps no more than the budget: the oldest first, and an answer is
// replaced by one that says so. The state is locked.
func (s *session) trim(st *stream, budget int64) {
	for s.kept > budget && len(st.events) > 0 {
		if e := st.events[0]; !e.answer {
			s.release(st.drop())
			continue
		}
		e := event{answer: true, text: excuse(st.causes, "the answer came while nobody read it, and was too long to be kept; call again")}
		if less := st.events[0].cost() - e.cost(); less > 0 {
			s.release(less)
			st.events[0] = e
		}
		return
	}
}

// release notes that less is kept. The state is locked.
func (s *session) release(cost int64) {
	s.kept -= cost
	s.waiting.give(cost)
	s.room.Broadcast()
	if s.closed && s.kept == 0 {
		s.waiting.leave(s)
	}
}

// listen has r read stream 0, from where the one before has stopped.
func (s *session) listen(r *reader) (*stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errEnded
	}
	s.listened = true
	st := s.streams[0]
	s.attach(st, r)
	return st, nil
}

// resume has r read a stream again from after an event. The error is errOver when nothing comes after that, or nothing
// any more.
func (s *session) resume(number, after int, r *reader) (*stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errEnded
	}
	st := s.streams[number]
	switch {
	case st == nil && number <= s.last:
		return nil, errOver
	case st == nil || after >= st.first+len(st.events): // an event that is still to come
		return nil, errNoStream
	case st.ended && after == st.first+len(st.events)-1:
		return nil, errOver
	}
	if number == 0 {
		s.listened = true
	}
	st.rewind(after)
	s.attach(st, r)
	return st, nil
}

// attach makes r the reader of a stream; there is one at a time, and the newest wins: the one before may be a
// connection that broke without a word. Much that is being written to that is no more. The state is locked.
func (s *session) attach(st *stream, r *reader) {
	if st.since() != 0 && st.cost() > small {
		st.reader.out.sever()
	}
	st.reader.wake()
	st.reader = r
	s.room.Broadcast()
}

// detach says that r reads the stream no more.
func (s *session) detach(st *stream, r *reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.reader != r {
		return
	}
	s.abandon(st)
}

// abandon takes a stream from its reader. What the client cannot come back to is forgotten. The state is locked.
func (s *session) abandon(st *stream) {
	st.reader = nil
	s.room.Broadcast()
	switch {
	case s.closed || st.number != 0 && !st.named:
		s.remove(st)
	case st.ended:
		s.retire(st)
	default:
		s.shrink(st)
	}
}

// offer is what a reader may send now.
type offer struct {
	events []event
	from   int  // the number of events[0]
	ended  bool // nothing comes after them
	lost   bool // another has taken over
}

// maxOffer bounds the events of an offer.
const maxOffer = 64

// look returns what of a stream is to be sent.
func (s *session) look(st *stream, r *reader) offer {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := st.unsent()
	return offer{events: slices.Clone(events[:min(len(events), maxOffer)]), from: st.next, ended: st.ended && len(events) <= maxOffer, lost: st.reader != r}
}

// sent notes that the reader has sent so many events.
func (s *session) sent(st *stream, r *reader, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.reader == r {
		st.next = min(st.next+n, st.first+len(st.events))
		s.room.Broadcast()
	}
}

// name notes that the client has seen an id of the stream, unless that is not what r reads any more.
func (s *session) name(st *stream, r *reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.reader == r {
		st.named = true
	}
}

// prime returns an id of the place from where r reads the stream. Each is given once (2025-11-25, transports,
// resumability): a client that gets the same again takes it for standing still, and gives up.
func (s *session) prime(st *stream, r *reader) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.primed++
	st.named = st.named || st.reader == r
	return eventID(st.number, st.next-1) + "-" + strconv.Itoa(st.primed)
}
