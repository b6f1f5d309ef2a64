// Package control lets commands ask a running process: a local socket that only its user may open.
//
// It is HTTP over a unix socket (also on Windows) in a folder of the user, one socket a process:
//
//	GET  /status              Status
//	POST /reload              Outcome, once the reload is done
//	GET  /plan                Outcome of a reload that would happen now
//	GET  /explain?name=NAME   Answer
//
// Whatever leaves the process has passed Options.Redact.
package control

import (
	"time"

	"github.com/plait-mcp/plait/config"
)

// Status is what a process says of itself. plait status --json prints it.
type Status struct {
	PID        int       `json:"pid"`
	Version    string    `json:"version"`
	Config     string    `json:"config"` // path of the file
	Profile    string    `json:"profile,omitempty"`
	Started    time.Time `json:"started"`
	Generation int       `json:"generation"` // of the configuration: 1 at the start, one more with each that took effect
	Since      time.Time `json:"since"`      // of the generation
	Reload     *Outcome  `json:"lastReload,omitempty"`
	URLs       []string  `json:"urls,omitempty"` // where clients come in over HTTP
	Clients    []Client  `json:"clients"`
}

// Client is one client of a process, with the servers as it has them. Without any client there is one with
// no name and the servers as they are configured.
type Client struct {
	Name    string     `json:"name"`
	Version string     `json:"version,omitempty"`
	Profile string     `json:"profile,omitempty"` // that it came for, over HTTP
	Since   *time.Time `json:"since,omitempty"`   // it came
	Servers []Server   `json:"servers"`
}

// Server is a server as a client has it.
type Server struct {
	Server    string     `json:"server"`
	State     string     `json:"state"`
	Era       string     `json:"era,omitempty"` // the negotiated version of the protocol
	Prefix    string     `json:"prefix"`
	Tools     int        `json:"tools"`    // shown
	ToolsAll  int        `json:"toolsAll"` // shown and hidden
	Snapshot  bool       `json:"snapshot,omitempty"`
	Identity  string     `json:"identity,omitempty"` // as whom plait comes
	Expires   *time.Time `json:"expires,omitempty"`  // when its token does; it is renewed before, if that is possible
	Since     *time.Time `json:"since,omitempty"`    // of the state
	LatencyMS float64    `json:"latencyMs,omitempty"`
	Retry     *time.Time `json:"retry,omitempty"`
	Error     string     `json:"error,omitempty"`
	Next      string     `json:"next,omitempty"` // what to do
	ID        string     `json:"id,omitempty"`   // of the error: plait help ID says more
}

// Outcome is what a reload did, or would do.
type Outcome struct {
	At       time.Time `json:"at"`
	Cause    string    `json:"cause"` // file, signal or command
	OK       bool      `json:"ok"`    // false: everything stays as it was
	Changes  []Change  `json:"changes,omitempty"`
	Global   []string  `json:"global,omitempty"` // changed keys outside the servers
	Problems []Problem `json:"problems,omitempty"`
	Notices  []string  `json:"notices,omitempty"` // what takes effect with a restart only
}

// Change is what happens to one server.
type Change struct {
	Server string   `json:"server"`
	Action string   `json:"action"` // keep, start, stop, restart or relabel
	Keys   []string `json:"keys,omitempty"`
}

// Problem is one mistake of a configuration.
type Problem struct {
	ID      string `json:"id,omitempty"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Path    string `json:"path,omitempty"`
	Problem string `json:"problem"`
	Hint    string `json:"hint,omitempty"`
}

// Answer is what a process knows under a name.
type Answer struct {
	Found []Explanation `json:"found"`
	Names []string      `json:"names,omitempty"` // everything that is shown, when nothing is found
}

// Explanation is why one item of a server is shown or not. plait explain --json prints it.
type Explanation struct {
	Kind     string   `json:"kind"`
	Server   string   `json:"server"`
	Original string   `json:"original"`
	Exposed  string   `json:"exposed,omitempty"`
	Shown    bool     `json:"shown"`
	Reason   string   `json:"reason,omitempty"`
	At       string   `json:"at,omitempty"` // file:line:column of the rule
	Changes  []string `json:"changes,omitempty"`
}

// String returns "file:line:column: path: problem; hint".
func (p Problem) String() string {
	return config.Problem{
		ID: p.ID, Pos: config.Pos{File: p.File, Line: p.Line, Col: p.Column}, Path: p.Path, Msg: p.Problem, Hint: p.Hint,
	}.Error()
}
