package upstream

import (
	"fmt"
	"strconv"
	"time"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// State is the condition of a session.
type State uint8

// The states of a session.
const (
	Connecting    State = iota // a connection is being made
	Ready                      // the handshake is done
	Waiting                    // the last attempt did not work; the next one is due at Status.Retry
	Parked                     // the server refused the credentials: no attempt before they change, or Retry
	SignIn                     // a person has to sign in, or to allow more: no attempt before that, or Retry
	Idle                       // not connected because nobody uses it; the next use connects it
	Misconfigured              // the configuration does not allow a connection
	Closed                     // the client is gone
)

var stateNames = [...]string{"connecting", "ready", "waiting", "parked", "needs sign-in", "idle", "misconfigured", "closed"}

// String returns the word that people see.
func (s State) String() string { return stateNames[s] }

// Status is a snapshot of a session.
type Status struct {
	Server  string
	State   State
	Since   time.Time     // when the state began
	Version string        // the protocol version negotiated last, "" when there never was one
	Latency time.Duration // round trip of the last call or ping, 0 when there was none
	ID      string        // the stable id of Err, "" when there is none: PLAIT-SRV-nnn or PLAIT-AUTH-nnn
	Err     error         // why it is not ready, nil if it is
	Unread  error         // why a list that a client wants is not known from a server that is there, nil if all are
	Retry   time.Time     // when the next attempt is due, in state Waiting
	Next    string        // the command or action that may help, "" when there is nothing to do
}

// DownError says that a server cannot be called now.
type DownError struct{ Status }

// Error names the server, its state, the next step and the id.
func (e *DownError) Error() string {
	if concernsCredentials(e.Err) {
		return e.Err.Error() + mark(e.ID) // it says all that
	}
	text := fmt.Sprintf("server %q is %s", e.Server, e.State)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if e.State == Waiting {
		text += fmt.Sprintf("; plait tries again in %s", max(time.Until(e.Retry).Round(time.Second), time.Second))
	}
	if e.Next != "" {
		text += "; " + e.Next
	}
	return text + mark(e.ID)
}

// CallError says that a call failed which a server has, or may have, taken.
type CallError struct {
	Server string
	State  string // ready, or lost when the server went away during the call
	Next   string // what a person can do about it
	ID     string // the stable id: PLAIT-SRV-nnn
	Err    error
}

// Error names the server, the next step and the id.
func (e *CallError) Error() string {
	if concernsCredentials(e.Err) {
		return e.Err.Error() + mark(e.ID)
	}
	return fmt.Sprintf("server %q: %v; %s%s", e.Server, e.Err, e.Next, mark(e.ID))
}

// mark is how an id stands at the end of a text.
func mark(id string) string {
	if id == "" {
		return ""
	}
	return " [" + id + "]"
}

// Unwrap returns why the call failed.
func (e *CallError) Unwrap() error { return e.Err }

// Unwrap returns why the server is down.
func (e *DownError) Unwrap() error { return e.Err }

// Data returns the data of the JSON-RPC error that tells it to a client.
func (e *DownError) Data() jsonrpc.Raw { return condition(e.Server, e.State.String(), e.ID) }

// Data returns the data of the JSON-RPC error that tells it to a client.
func (e *CallError) Data() jsonrpc.Raw { return condition(e.Server, e.State, e.ID) }

// Data returns the data of the JSON-RPC error that tells it to a client.
func (e *TimeoutError) Data() jsonrpc.Raw { return condition(e.Server, "timeout", idTimeout) }

// Data returns the data of the JSON-RPC error that tells it to a client.
func (e *TooLargeError) Data() jsonrpc.Raw {
	data := condition(e.Server, "too_large", idTooLarge)
	if e.Bytes > 0 {
		data = jsonrpc.Set(data, jsonrpc.Raw(strconv.FormatInt(e.Bytes, 10)), "bytes")
	}
	return jsonrpc.Set(data, jsonrpc.Raw(strconv.FormatInt(e.Limit, 10)), "limit")
}

// condition is the data of an error that is about a server.
func condition(server, state, id string) jsonrpc.Raw {
	data := fmt.Appendf(nil, `{"server":%s,"state":%q}`, jsonrpc.Quote(server), state)
	if id != "" {
		data = jsonrpc.Set(data, jsonrpc.Quote(id), "id")
	}
	return data
}
