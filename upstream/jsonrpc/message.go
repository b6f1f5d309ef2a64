package jsonrpc

import (
	"bytes"
	"encoding/json"
	"iter"
)

// Kind says what a message is.
type Kind uint8

// The kinds of messages. A Batch is an array of messages, which only protocol version 2025-03-26 knows.
const (
	Request Kind = iota + 1
	Notification
	Response
	Batch
)

// Message is one message: its text and where its members are. It never changes.
type Message struct {
	text   Text
	kind   Kind
	id     ID
	method string
	envelope
}

// Parse reads one whole message. It takes the slice over. The error is a *MalformedError.
func Parse(text []byte) (*Message, error) {
	a := Assembler{limit: int64(len(text))}
	a.pieces, a.size = Text{text}, int64(len(text))
	a.scan(text)
	return a.Message()
}

// Kind returns what the message is.
func (m *Message) Kind() Kind { return m.kind }

// ID returns the id as it is written, "" for a notification.
func (m *Message) ID() ID { return m.id }

// Method returns the method of a request or notification.
func (m *Message) Method() string { return m.method }

// Text returns the whole text.
func (m *Message) Text() Text { return m.text }

// Params returns the params, nil when there are none. Params in several pieces are joined.
func (m *Message) Params() Raw { return m.raw(memberParams) }

// Result returns the result, nil when there is none. A result in several pieces is joined, which copies it.
func (m *Message) Result() Raw { return m.raw(memberResult) }

// Error returns the error of a response, nil when there is none.
func (m *Message) Error() *Error {
	if !m.at[memberError].ok() {
		return nil
	}
	e := &Error{}
	if json.Unmarshal(m.raw(memberError), e) != nil {
		return &Error{Code: CodeInternal, Message: "unreadable error object"}
	}
	return e
}

// ErrorObject returns the error of a response as it came, nil when there is none.
func (m *Message) ErrorObject() Raw { return m.raw(memberError) }

// Batch yields the messages of a Batch, each with the error that Parse gives.
func (m *Message) Batch() iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		for e := range Elements(m.text.Bytes()) {
			if !yield(Parse(bytes.Clone(e))) {
				return
			}
		}
	}
}

func (m *Message) raw(which member) Raw {
	switch at := m.at[which]; {
	case !at.ok():
		return nil
	case len(m.text) == 1:
		return m.text[0][at.start:at.end:at.end]
	default:
		return m.text.slice(at.start, at.end).Bytes()
	}
}

// WithID returns the text with another id and everything else as it came.
func (m *Message) WithID(id ID) Text { return m.text.splice(edit{m.at[memberID], []byte(id)}) }

// WithParams returns the text with other params and, unless id is "", another id.
func (m *Message) WithParams(id ID, params Raw) Text { return m.with(id, memberParams, params) }

// WithResult returns the text with another result and, unless id is "", another id.
func (m *Message) WithResult(id ID, result Raw) Text { return m.with(id, memberResult, result) }

// WithError returns the text with another error object and, unless id is "", another id.
func (m *Message) WithError(id ID, e Raw) Text { return m.with(id, memberError, e) }

func (m *Message) with(id ID, which member, value Raw) Text {
	change := edit{m.at[which], value}
	if !change.ok() {
		insert := append([]byte(`,"`+memberNames[which]+`":`), value...)
		change = edit{span{m.closing, m.closing}, insert}
	}
	if id == "" {
		return m.text.splice(change)
	}
	other := edit{m.at[memberID], []byte(id)}
	if other.start < change.start {
		return m.text.splice(other, change)
	}
	return m.text.splice(change, other)
}

// NewRequest makes a request; nil params are left out.
func NewRequest(id ID, method string, params Raw) Text {
	return compose(`{"jsonrpc":"2.0","id":`+string(id)+`,"method":`, method, params)
}

// NewNotification makes a notification; nil params are left out.
func NewNotification(method string, params Raw) Text {
	return compose(`{"jsonrpc":"2.0","method":`, method, params)
}

func compose(head, method string, params Raw) Text {
	b := append([]byte(head), Quote(method)...)
	if params != nil {
		b = append(append(b, `,"params":`...), params...)
	}
	return Text{append(b, '}')}
}

// Result makes the response to the request with that id. It shares the bytes of result.
func Result(id ID, result Raw) Text {
	return Text{[]byte(`{"jsonrpc":"2.0","id":` + string(id) + `,"result":`), result, []byte{'}'}}
}

// Failure makes the error response to the request with that id.
func Failure(id ID, e *Error) Text {
	b, err := json.Marshal(e)
	if err != nil { // Data is not JSON
		b, _ = json.Marshal(&Error{Code: e.Code, Message: e.Message}) //nolint:errchkjson // a code and a string
	}
	return Text{[]byte(`{"jsonrpc":"2.0","id":` + string(id) + `,"error":`), b, []byte{'}'}}
}
