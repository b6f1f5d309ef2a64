package downstream

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// eventCost is what an event takes besides its text.
const eventCost = 64

// event is one message on a stream.
type event struct {
	text   jsonrpc.Text
	answer bool // to the request that the stream belongs to: nothing comes after it
}

func (e event) cost() int64 { return int64(e.text.Len()) + eventCost }

// stream is the messages that belong to one request of the client, or to none of them, in order. A session guards it.
type stream struct {
	number int
	causes []jsonrpc.ID // the requests that it belongs to

	events []event // the last ones; those before next were sent, and are kept to be sent again
	first  int     // the number of events[0]; the first of all is 1
	next   int     // the number of what is sent next

	blocked int64     // bytes of events that wait for room
	reader  *reader   // who sends it to the client, nil for nobody
	named   bool      // the client has seen an id of it, so that it can come back
	primed  int       // how many ids of places the client was given
	ended   bool      // nothing is added any more
	retired time.Time // when it had ended and nobody was sending it; zero before
}

// reader is one HTTP response that sends a stream. Its stream tells it that there is news, also that another took over.
type reader struct {
	news chan struct{}
	out  *response
}

func newReader(w *response) *reader { return &reader{news: make(chan struct{}, 1), out: w} }

func (r *reader) wake() {
	if r == nil {
		return
	}
	select {
	case r.news <- struct{}{}:
	default:
	}
}

func newStream(number int, causes []jsonrpc.ID) *stream {
	return &stream{number: number, causes: causes, first: 1, next: 1}
}

// unsent returns what was not sent yet.
func (s *stream) unsent() []event { return s.events[s.next-s.first:] }

// cost returns what its events take.
func (s *stream) cost() int64 {
	var sum int64
	for _, e := range s.events {
		sum += e.cost()
	}
	return sum
}

// drop takes the oldest event away and returns what it took.
func (s *stream) drop() int64 {
	cost := s.events[0].cost()
	s.events[0] = event{}
	s.events = s.events[1:]
	s.first++
	s.next = max(s.next, s.first)
	return cost
}

// rewind has everything sent again that came after an event, as far as it is still there.
func (s *stream) rewind(after int) { s.next = min(max(after+1, s.first), s.first+len(s.events)) }

// eventID is the id of an event: where it stands, for the client a text without meaning. after is 0 for the place
// before the first event.
func eventID(stream, after int) string { return fmt.Sprintf("%d-%d", stream, after) }

// maxEventID is longer than any id that we make.
const maxEventID = 40

// readEventID reads an id; what we have not made is false.
func readEventID(id string) (stream, after int, ok bool) {
	parts := strings.SplitN(id, "-", 4)
	if len(id) > maxEventID || len(parts) < 2 || len(parts) > 3 {
		return 0, 0, false
	}
	var place [3]int
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || strconv.Itoa(n) != part {
			return 0, 0, false
		}
		place[i] = n
	}
	return place[0], place[1], true
}
