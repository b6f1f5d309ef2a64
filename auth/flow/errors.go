package flow

import (
	"errors"
	"fmt"
	"strconv"
)

// ErrExpired says that nobody signed in as long as the link was valid.
var ErrExpired = errors.New("nobody signed in while the link was valid")

// ErrCanceled says that the sign-in was called off.
var ErrCanceled = errors.New("the sign-in was called off")

// ErrStale says that an answer belongs to no sign-in that is under way: its state is unknown, or was used.
var ErrStale = errors.New("this sign-in link is no longer valid")

// errClosed says that the broker was closed while a sign-in was under way.
var errClosed = errors.New("plait is ending; the sign-in was not waited for any longer")

// DeniedError says that the person, or the authorization server for the person, declined (access_denied).
type DeniedError struct{ Identity string }

func (e *DeniedError) Error() string { return "access was declined" }

// ResponseError is an error that the authorization server answered with, RFC 6749 section 4.1.2.1.
type ResponseError struct {
	Identity    string
	Code        string // "invalid_scope" and such
	Description string // at most 200 printable characters, "" for none
}

func (e *ResponseError) Error() string {
	if e.Description == "" {
		return "the authorization server answered " + e.Code
	}
	return "the authorization server answered " + e.Code + ": " + strconv.Quote(e.Description)
}

// IssuerError says that the answer came from another authorization server than the one that was asked, or does not
// say from which although that one always does (RFC 9207 section 2.4). Nothing of the answer was used.
type IssuerError struct{ Identity string }

func (e *IssuerError) Error() string {
	return "the response came from a different authorization server (RFC 9207)"
}

// FailedError says that the code was not exchanged. Options.Finish may return one to have Code and Message told to
// every process that waits; of any other error they get the text.
type FailedError struct {
	Code    string // of the token endpoint, "invalid_grant" and such
	Message string
}

func (e *FailedError) Error() string { return e.Message }

// PortError says that nobody can listen for the answer (M14).
type PortError struct {
	Port int
	Err  error
}

func (e *PortError) Error() string {
	return fmt.Sprintf("port %d for the answer of the authorization server cannot be had (%v). Set auth.callback.port to one that is free", e.Port, e.Err)
}

// Unwrap returns what the system said.
func (e *PortError) Unwrap() error { return e.Err }
