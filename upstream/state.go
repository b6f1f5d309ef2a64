package upstream

import (
	"fmt"
	"time"
)

// State is the condition of a session.
type State uint8

// The states of a session.
const (
	Connecting    State = iota // a connection is being made
	Ready                      // the handshake is done
	Waiting                    // the last attempt did not work; the next one is due at Status.Retry
	Misconfigured              // the configuration does not allow a connection
	Closed                     // the client is gone
)

var stateNames = [...]string{"connecting", "ready", "waiting", "misconfigured", "closed"}

// String returns the word that people see.
func (s State) String() string { return stateNames[s] }

// Status is a snapshot of a session.
type Status struct {
	Server string
	State  State
	Err    error     // why it is not ready, nil if it is
	Retry  time.Time // when the next attempt is due, in state Waiting
	Next   string    // what a person can do about it
}

// DownError says that a server cannot be called now.
type DownError struct{ Status }

// Error names the server, its state and the next step.
func (e *DownError) Error() string {
	text := fmt.Sprintf("server %q is %s", e.Server, e.State)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if e.State == Waiting {
		text += fmt.Sprintf("; plait tries again in %s", time.Until(e.Retry).Round(time.Second))
	}
	if e.Next != "" {
		text += "; " + e.Next
	}
	return text
}

// CallError says that a call failed which a server has, or may have, taken.
type CallError struct {
	Server string
	State  string // ready, or lost when the server went away during the call
	Next   string // what a person can do about it
	Err    error
}

// Error names the server and the next step.
func (e *CallError) Error() string { return fmt.Sprintf("server %q: %v; %s", e.Server, e.Err, e.Next) }

// Unwrap returns why the call failed.
func (e *CallError) Unwrap() error { return e.Err }

// Unwrap returns why the server is down.
func (e *DownError) Unwrap() error { return e.Err }
