package downstream

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// Access is one HTTP request that has ended. It holds no query, no header and nothing of a message but the method.
// What the client wrote is short, and percent-encoded where it could look like anything else in a log.
type Access struct {
	Method  string
	Path    string // without the query
	Status  int    // 499 when the client went away before there was an answer
	In, Out int64  // bytes of the bodies
	Took    time.Duration
	Session string   // a short hash of the id of the session that served it, "" for none
	RPC     []string // methods of the messages, the first ones of a batch
	Remote  string   // address of the client
}

// Stats counts what came over HTTP, from the start.
type Stats struct {
	Sessions int            // now
	Opened   uint64         // sessions
	Answered map[int]uint64 // requests that have ended, by status
	In, Out  uint64         // bytes of the bodies of requests that have ended
}

// statusGone is the status of a request whose client went away, as it stands in the logs of other servers.
const statusGone = 499

// Bounds of what an Access has of a message.
const (
	maxMethods = 8   // of a batch
	maxWord    = 200 // bytes of what a client wrote
)

// counters are guarded by themselves.
type counters struct {
	opened   atomic.Uint64
	answered [600]atomic.Uint64
	in, out  atomic.Uint64
}

// Stats returns the counters. It may be called at any time.
func (h *HTTP) Stats() Stats {
	h.mu.Lock()
	sessions := len(h.sessions)
	h.mu.Unlock()
	c := &h.counters
	s := Stats{Sessions: sessions, Opened: c.opened.Load(), Answered: map[int]uint64{}, In: c.in.Load(), Out: c.out.Load()}
	for status := range c.answered {
		if n := c.answered[status].Load(); n > 0 {
			s.Answered[status] = n
		}
	}
	return s
}

// account counts a request that has ended, and tells of it.
func (h *HTTP) account(w *response, r *http.Request, began time.Time) {
	if w.status == 0 {
		w.status = statusGone
	}
	in := w.intake.read
	h.counters.in.Add(uint64(in))      //nolint:gosec // not negative
	h.counters.out.Add(uint64(w.sent)) //nolint:gosec // not negative
	if w.status < len(h.counters.answered) {
		h.counters.answered[w.status].Add(1)
	}
	if !h.telling() {
		return
	}
	a := Access{
		Method: printable(r.Method), Path: printable(r.URL.Path), Status: w.status, In: in, Out: w.sent, Took: time.Since(began),
		RPC: w.methods, Remote: r.RemoteAddr,
	}
	if w.session != nil {
		a.Session = shortHash(w.session.id)
	}
	h.options.Access(a)
}

func (h *HTTP) telling() bool {
	return h.options.Access != nil && (h.options.Telling == nil || h.options.Telling())
}

// shortHash tells sessions apart without saying their ids, which are as good as passwords.
func shortHash(id string) string {
	const enough = 4
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:enough])
}

// note keeps the methods of the message that a request brought, if somebody wants to know.
func (h *HTTP) note(w *response, m *jsonrpc.Message) {
	switch {
	case !h.telling():
	case m.Kind() != jsonrpc.Batch:
		w.add(m)
	default:
		for part, err := range m.Batch() {
			if err == nil && part.Kind() != jsonrpc.Batch {
				w.add(part)
			}
			if len(w.methods) == maxMethods {
				return
			}
		}
	}
}

func (w *response) add(m *jsonrpc.Message) {
	if method := m.Method(); method != "" {
		w.methods = append(w.methods, printable(method))
	}
}

// printable returns what a client wrote as one short word of ASCII without spaces, quotes, backslashes, commas and equals
// signs: in a log it neither ends a line nor looks like another field.
func printable(s string) string {
	var b strings.Builder
	for i := range min(len(s), maxWord) {
		if c := s[i]; c <= ' ' || c > '~' || strings.IndexByte(`"'%,=\|`, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	if len(s) > maxWord {
		b.WriteString("...")
	}
	return b.String()
}
