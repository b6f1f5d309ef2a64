package transport

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// ErrClosed is the error of a Conn after Close.
var ErrClosed = errors.New("the session is closed")

// ErrNoAnswer is the error of a call that the server has taken and will not answer any more.
var ErrNoAnswer = errors.New("the stream ended before the answer")

// errOtherWire says that what answers speaks, but not this wire.
var errOtherWire = errors.New("not an event stream of an MCP server")

// StatusError is an HTTP answer that is neither a success nor a JSON-RPC message.
type StatusError struct {
	Code       int
	RetryAfter time.Duration // how long the server asks to wait, 0 when it does not
	Challenge  string        // WWW-Authenticate
	Body       string        // how the body begins

	answer *jsonrpc.Message // what the body says in JSON-RPC without saying to whom
}

// Error implements error.
func (e *StatusError) Error() string {
	s := fmt.Sprintf("the server answered %d %s", e.Code, http.StatusText(e.Code))
	if e.Body != "" {
		s += ": " + e.Body
	}
	return s
}

// SessionLostError says that the server does not know the session any more, or that the stream that was the
// session broke. A new session may work.
type SessionLostError struct {
	// Accepted says whether the server has taken the request, and may have carried it out. When it is false
	// the request may be sent again on a new session.
	Accepted bool
	Reason   string // for a person
}

// Error implements error.
func (e *SessionLostError) Error() string {
	if e.Reason == "" {
		return "the session is lost"
	}
	return "the session is lost: " + e.Reason
}

// Unsent reports whether a Conn ended before a request was sent, or without the server's taking it: it may be sent again on
// a new one.
func Unsent(err error) bool {
	lost, isLost := errors.AsType[*SessionLostError](err)
	exit, isGone := errors.AsType[*ExitError](err)
	return isLost && !lost.Accepted || isGone && exit.Unsent
}

// Denied reports whether a request was not sent, or not taken, because there are no credentials for the server: whoever
// sends another one is told the same, until somebody signs in or the configuration changes. A server that refuses what
// its authorization server has just issued may be of another mind a little later, and a command or a file that gave no
// token may give one.
func Denied(err error) bool {
	_, login := errors.AsType[*auth.LoginRequiredError](err)
	refused, ok := errors.AsType[*auth.RefusedError](err)
	return login || ok && refused.ID != auth.IDTokenRefused && refused.ID != auth.IDSource
}

// TooLongError says that an answer was longer than Options.Limit and is lost. The Conn goes on.
type TooLongError struct {
	Bytes int64 // how long it was, 0 when that is not known

	err error
}

// Error implements error.
func (e *TooLongError) Error() string { return e.err.Error() }

// Unwrap returns what is wrong with the answer.
func (e *TooLongError) Unwrap() error { return e.err }
