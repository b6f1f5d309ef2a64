package jsonrpc

import (
	"bytes"
	"io"
	"slices"
)

const (
	firstPiece = 2 << 10
	lastPiece  = 256 << 10
	// longestID bounds the ids that are found behind the limit.
	longestID = 256
)

// Assembler builds one message from bytes as they arrive, checking them on the way. It copies what it is
// given once, into pieces that become the Text of the message. The zero Assembler refuses everything; make
// one with NewAssembler. It is for one goroutine.
type Assembler struct {
	limit  int64
	size   int64
	pieces Text
	sc     scanner
	bad    string
	id     ID     // of a text that is bad, Null while it is not known
	tail   []byte // the end of a text that is too long, not nil while that is still scanned for its id
}

// NewAssembler returns an Assembler for a message of at most limit bytes. hint is the size to expect, 0 if
// unknown.
func NewAssembler(limit int64, hint int) *Assembler {
	a := &Assembler{limit: limit}
	if hint > 0 && int64(hint) <= limit {
		a.pieces = Text{make([]byte, 0, hint)}
	}
	return a
}

// Len returns how many bytes were taken.
func (a *Assembler) Len() int64 { return a.size }

// Write takes the next bytes; it copies them. Once the text is malformed or too long it takes everything and
// keeps nothing: Message then says why, and whose answer the text was even if its id comes last. The error is
// always nil.
func (a *Assembler) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && a.bad == "" {
		free := a.room(len(p))
		k := copy(free, p)
		a.took(k)
		p = p[k:]
	}
	for len(p) > 0 && a.tail != nil {
		k := min(len(p), firstPiece)
		a.seek(p[:k])
		p = p[k:]
	}
	return n, nil
}

// ReadFrom takes bytes from r until it ends or the text is malformed or too long; it reads without copying.
func (a *Assembler) ReadFrom(r io.Reader) (int64, error) {
	var n int64
	for a.bad == "" {
		k, err := r.Read(a.room(1))
		n += int64(k)
		if k > 0 {
			a.took(k)
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// room returns free space at the end of the last piece, adding a piece when it is full.
func (a *Assembler) room(want int) []byte {
	last := len(a.pieces) - 1
	if last < 0 || len(a.pieces[last]) == cap(a.pieces[last]) {
		size := max(firstPiece, min(want, lastPiece))
		if last < 0 && want > 1 {
			size = want // the whole line is there: take just that
		}
		if last >= 0 {
			size = min(max(size, 2*cap(a.pieces[last])), lastPiece)
		}
		a.pieces = append(a.pieces, make([]byte, 0, size))
		last++
	}
	p := a.pieces[last]
	return p[len(p):cap(p)]
}

// took notes that n bytes were put into the room.
func (a *Assembler) took(n int) {
	last := len(a.pieces) - 1
	p := a.pieces[last]
	a.pieces[last] = p[:len(p)+n]
	a.size += int64(n)
	if a.scan(p[len(p) : len(p)+n]); a.bad == "" && a.size > a.limit {
		tail := a.pieces.slice(max(0, int(a.size)-longestID), int(a.size))
		a.tail = append(make([]byte, 0, longestID+firstPiece), tail.Bytes()...)
		a.fail(tooLong)
	}
}

func (a *Assembler) scan(p []byte) {
	if reason := a.sc.feed(p); reason != "" {
		a.fail(reason)
	}
}

// fail keeps the id and the beginning of the text for the error and drops the rest.
func (a *Assembler) fail(reason string) {
	a.bad = reason
	a.id = a.readID(a.pieces, 0)
	a.pieces = slices.Clip(a.pieces[:1])
}

// seek goes on scanning a text that is too long: the sender of an answer may write the id last.
func (a *Assembler) seek(p []byte) {
	a.tail = append(a.tail[:copy(a.tail, a.tail[max(0, len(a.tail)-longestID):])], p...)
	if a.sc.feed(a.tail[len(a.tail)-len(p):]) != "" {
		a.tail = nil
	} else if a.id == Null {
		a.id = a.readID(Text{a.tail}, a.sc.off-len(a.tail))
	}
}

// readID returns the id, Null when it was not found in text, which begins at offset from.
func (a *Assembler) readID(text Text, from int) ID {
	at := a.sc.at[memberID]
	if !at.ok() || a.sc.problem != "" || at.start < from {
		return Null
	}
	if id, ok := ReadID(text.slice(at.start-from, at.end-from).Bytes()); ok {
		return id
	}
	return Null
}

// Message returns the message, or a *MalformedError. The Assembler is used up.
func (a *Assembler) Message() (*Message, error) {
	if len(a.pieces) == 0 {
		a.pieces = Text{nil}
	}
	if a.bad == "" {
		a.sc.finish()
		if !a.sc.complete() {
			a.fail("the message is not complete")
		}
	}
	if a.bad != "" {
		return nil, a.malformed(CodeParse, a.bad)
	}
	m := &Message{text: a.pieces, envelope: a.sc.envelope}
	if a.sc.array {
		m.kind = Batch
		return m, nil
	}
	if reason := m.classify(); reason != "" {
		return nil, a.malformed(CodeInvalidRequest, reason)
	}
	return m, nil
}

// finish ends a number that the end of the text ends.
func (s *scanner) finish() {
	switch s.state {
	case inZero, inInt, inFraction, inExponent:
		s.endValue(0)
	default:
	}
}

// classify finds out what the message is, or returns what is wrong with it.
func (m *Message) classify() string {
	if m.problem != "" {
		return m.problem
	}
	if m.closing == 0 {
		return "a message is an object"
	}
	if string(m.raw(memberVersion)) != `"2.0"` {
		return `member jsonrpc must be "2.0"`
	}
	if raw := m.raw(memberID); raw != nil {
		if _, ok := ReadID(raw); !ok && string(raw) != "null" {
			return "id must be a string or a number"
		}
		m.id = ID(raw)
	}
	if m.at[memberMethod].ok() {
		return m.classifyCall()
	}
	return m.classifyResponse()
}

func (m *Message) classifyCall() string {
	var ok bool
	if m.method, ok = ReadString(m.raw(memberMethod)); !ok || m.method == "" {
		return "method must be a string"
	}
	if p := m.at[memberParams]; p.ok() {
		if c := m.text.slice(p.start, p.start+1).Bytes()[0]; c != '{' && c != '[' {
			return "params must be an object or an array"
		}
	}
	switch {
	case m.at[memberResult].ok() || m.at[memberError].ok():
		return "a message with a method has neither result nor error"
	case m.id == "":
		m.kind = Notification
	case m.id == Null:
		return "id must be a string or a number"
	default:
		m.kind = Request
	}
	return ""
}

func (m *Message) classifyResponse() string {
	result, failure := m.at[memberResult].ok(), m.at[memberError].ok()
	switch {
	case m.id == "" && !result && !failure:
		return "method is missing"
	case m.id == "":
		return "id is missing"
	case result == failure:
		return "a response has either result or error"
	case failure && m.text.slice(m.at[memberError].start, m.at[memberError].end).Bytes()[0] != '{':
		return "error must be an object"
	}
	m.kind = Response
	return ""
}

const (
	excerpt = 120
	tooLong = "the message is longer than the limit"
)

func (a *Assembler) malformed(code int, reason string) *MalformedError {
	head := a.pieces[0]
	e := &MalformedError{ID: a.id, Code: code, Reason: reason, TooLong: reason == tooLong, Call: a.sc.at[memberMethod].ok()}
	if a.bad == "" {
		e.ID = a.readID(a.pieces, 0)
	}
	if start := bytes.TrimLeft(head, " \t\r\n"); len(start) == 0 || start[0] != '{' && start[0] != '[' {
		e.Noise = true
	}
	e.Excerpt = string(head[:min(len(head), excerpt)])
	return e
}
