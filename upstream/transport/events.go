package transport

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"
)

const (
	defaultRetry = time.Second
	minRetry     = 10 * time.Millisecond
	maxRetry     = 5 * time.Minute
	// maxField bounds what is kept of a field that is not data.
	maxField = 8 << 10
)

var errFieldTooLong = errors.New("a field of an event is too long")

// cursor is where a stream of events stands: what it takes to resume it.
type cursor struct {
	id    string        // of the last event that came whole, "" when none had one
	retry time.Duration // how long the server wants a client to wait before it comes back
}

// event is one event of a stream.
type event struct {
	name  string    // "" means message
	data  io.Writer // what took the data, nil when there is none but line ends
	lines int       // of data
	id    bool      // the event moved the cursor
}

// events reads the framing of an event stream (HTML Living Standard, section 9.2.6). Data is handed on as it
// arrives, in pieces, never collected here. It is for one goroutine.
type events struct {
	cursor

	in   io.Reader
	open func() io.Writer // makes what takes the data of the next event

	buf  []byte // the space to read into
	rest []byte // read, not yet looked at
	err  error  // comes after the rest

	state  lineState
	field  fieldKind
	name   [12]byte // the name of the field; room for a byte order mark
	named  int      // how long it is; more than fits when it cannot be one we know
	value  []byte
	skipLF bool // the last byte was a CR
	begun  bool // the first line is over

	cur    event
	nextID string
	idSet  bool
}

type lineState uint8

const (
	inName lineState = iota
	afterColon
	inValue
)

type fieldKind uint8

const (
	fieldNone fieldKind = iota // a comment, or a field that nobody knows
	fieldData
	fieldEvent
	fieldID
	fieldRetry
)

// newEvents reads events from in by way of buf. open is called for each event with data.
func newEvents(in io.Reader, buf []byte, from cursor, open func() io.Writer) *events {
	if from.retry == 0 {
		from.retry = defaultRetry
	}
	return &events{cursor: from, in: in, buf: buf, open: open}
}

// next returns the next event that has data or moves the cursor. It blocks until there is one. The end of the
// stream is io.EOF; an event that was not complete then does not count.
func (e *events) next() (event, error) {
	for {
		for len(e.rest) > 0 {
			done, err := e.step()
			if err != nil {
				return event{}, err
			}
			if done {
				return e.dispatch(), nil
			}
		}
		if e.err != nil {
			return event{}, e.err
		}
		n, err := e.in.Read(e.buf)
		e.rest, e.err = e.buf[:n], err
	}
}

// step looks at some of the rest and reports whether an event is complete.
func (e *events) step() (bool, error) {
	switch e.state {
	case inName:
		return e.stepName()
	case afterColon:
		if e.rest[0] == ' ' {
			e.rest = e.rest[1:]
		}
		e.state = inValue
		return false, nil
	default:
		end := lineEnd(e.rest)
		if err := e.take(e.rest[:end]); err != nil || end == len(e.rest) {
			e.rest = e.rest[end:]
			return false, err
		}
		e.endLine(end)
		e.endField()
		return false, nil
	}
}

// stepName takes one byte of the name of a field.
func (e *events) stepName() (bool, error) {
	c := e.rest[0]
	if e.skipLF {
		if e.skipLF = false; c == '\n' {
			e.rest = e.rest[1:]
			return false, nil
		}
	}
	switch c {
	case ':':
		e.rest = e.rest[1:]
		e.beginField()
		e.state = afterColon
		return false, nil
	case '\n', '\r':
		e.endLine(0)
		if len(e.fieldName()) == 0 {
			return e.blank(), nil
		}
		e.beginField()
		e.endField()
		return false, nil
	}
	if e.named < len(e.name) {
		e.name[e.named] = c
	}
	e.named = min(e.named+1, len(e.name)+1)
	e.rest = e.rest[1:]
	return false, nil
}

// endLine takes the line end at rest[at].
func (e *events) endLine(at int) {
	e.skipLF = e.rest[at] == '\r'
	e.rest = e.rest[at+1:]
	e.state = inName
}

// fieldName returns the name of the field, without the byte order mark that may begin a stream.
func (e *events) fieldName() []byte {
	if e.named > len(e.name) {
		return e.name[:]
	}
	if !e.begun {
		return bytes.TrimPrefix(e.name[:e.named], []byte("\ufeff"))
	}
	return e.name[:e.named]
}

// beginField is called when the name of a field is complete.
func (e *events) beginField() {
	switch string(e.fieldName()) {
	case "data":
		e.field = fieldData
		if e.cur.lines++; e.cur.data != nil {
			_, _ = e.cur.data.Write([]byte{'\n'})
		}
	case "event":
		e.field = fieldEvent
	case "id":
		e.field = fieldID
	case "retry":
		e.field = fieldRetry
	default:
		e.field = fieldNone
	}
	e.named, e.begun = 0, true
	e.value = e.value[:0]
}

// take takes a piece of the value of the field.
func (e *events) take(p []byte) error {
	switch {
	case len(p) == 0 || e.field == fieldNone:
		return nil
	case e.field != fieldData:
		if len(e.value)+len(p) > maxField {
			return errFieldTooLong
		}
		e.value = append(e.value, p...)
		return nil
	case e.cur.data == nil:
		e.cur.data = e.open()
		for range e.cur.lines - 1 {
			_, _ = e.cur.data.Write([]byte{'\n'})
		}
	}
	_, err := e.cur.data.Write(p)
	return err
}

// endField is called when the value of a field is complete.
func (e *events) endField() {
	switch e.field {
	case fieldEvent:
		e.cur.name = string(e.value)
	case fieldID:
		if bytes.IndexByte(e.value, 0) < 0 {
			e.nextID, e.idSet = string(e.value), true
		}
	case fieldRetry:
		if ms, err := strconv.ParseUint(string(e.value), 10, 63); err == nil {
			e.retry = min(max(time.Duration(min(ms, 1<<40))*time.Millisecond, minRetry), maxRetry)
		}
	case fieldNone, fieldData:
	}
	e.field = fieldNone
}

// blank takes a blank line and reports whether it ends an event. A name alone is none.
func (e *events) blank() bool {
	e.named, e.begun = 0, true
	if e.cur.lines > 0 || e.idSet {
		return true
	}
	e.cur = event{}
	return false
}

func (e *events) dispatch() event {
	ev := e.cur
	ev.id = e.idSet
	if e.idSet {
		e.id = e.nextID
	}
	e.cur, e.idSet = event{}, false
	return ev
}

// message reports whether the event carries a message.
func (ev event) message() bool {
	return ev.data != nil && (ev.name == "" || ev.name == "message")
}

// lineEnd returns the offset of the first CR or LF, the length of p when there is none.
func lineEnd(p []byte) int {
	end := bytes.IndexByte(p, '\n')
	if end < 0 {
		end = len(p)
	}
	if cr := bytes.IndexByte(p[:end], '\r'); cr >= 0 {
		return cr
	}
	return end
}
