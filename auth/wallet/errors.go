package wallet

import (
	"errors"
	"time"
)

// IDNotKept is the stable id that a log line has when a grant could not be saved.
const IDNotKept = "PLAIT-AUTH-012"

// ErrNoGrant says that there is no such grant.
var ErrNoGrant = errors.New("nobody is signed in")

// ErrVain says that the server refuses all tokens that the authorization server issues for it.
var ErrVain = errors.New("the server refuses one new token after the other")

// errHeld says that another process has the lock of a grant for longer than it may need it.
var errHeld = errors.New("another process of plait began to renew it and does not end")

// ExpiredError says that a person has to sign in anew.
type ExpiredError struct{ Reason string }

// Error implements error.
func (e *ExpiredError) Error() string { return e.Reason }

// AloneError says that a grant does not serve a resource beside those that it was made for.
type AloneError struct{ Err error }

// Error implements error.
func (e *AloneError) Error() string { return e.Err.Error() }

// Unwrap returns what the authorization server said.
func (e *AloneError) Unwrap() error { return e.Err }

// PausedError says that nothing is tried for a while, after an error.
type PausedError struct {
	Err  error
	Wait time.Duration
}

// Error implements error.
func (e *PausedError) Error() string { return e.Err.Error() }

// Unwrap returns the error.
func (e *PausedError) Unwrap() error { return e.Err }
