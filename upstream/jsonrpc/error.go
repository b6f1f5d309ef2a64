package jsonrpc

import (
	"fmt"
)

// Error codes of JSON-RPC 2.0, section 5.1.
const (
	CodeParse          = -32700
	CodeInvalidRequest = -32600
	CodeMethodNotFound = -32601
	CodeInvalidParams  = -32602
	CodeInternal       = -32603
)

// Error is the error member of a response.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    Raw    `json:"data,omitempty"`
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Code) }

// Errorf makes an Error with a formatted message.
func Errorf(code int, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// MalformedError says that a text is no message. The stream that it came on goes on with the next one.
type MalformedError struct {
	ID      ID     // the id of the message if one could be read, else "null"
	Code    int    // the code to answer with: CodeParse or CodeInvalidRequest
	Reason  string // what is wrong, for a person
	Excerpt string // how the text begins
	Call    bool   // the text has a method: it is no answer
	TooLong bool   // the text is longer than the limit
	Noise   bool   // the text does not even begin like a message: a banner, a log line
}

// Error implements error.
func (e *MalformedError) Error() string { return fmt.Sprintf("%s in %q", e.Reason, e.Excerpt) }

// Answer returns the error response that tells the sender.
func (e *MalformedError) Answer() Text { return Failure(e.ID, &Error{Code: e.Code, Message: e.Reason}) }
