package cli

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/aggregator/downstream"
	"github.com/plait-mcp/plait/cmd/internal/metrics"
	"github.com/plait-mcp/plait/upstream"
)

// ops says how plait is to those who run it, at the endpoint that clients use. It implements http.Handler.
type ops struct {
	gateway *gateway
	started time.Time
	front   *downstream.HTTP // set before it serves
}

// ServeHTTP implements http.Handler.
func (o *ops) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	switch r.URL.Path {
	case "/readyz":
		o.readyz(w) //nolint:contextcheck // sessions live in the context of the Aggregator
	case "/metrics":
		metrics.Handler(o.read).ServeHTTP(w, r)
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n")) // a client that is gone
	}
}

// readiness is the answer of /readyz. Anybody may read it who reaches the endpoint: it quotes no server and no file.
type readiness struct {
	Ready   bool      `json:"ready"`
	Why     string    `json:"why,omitempty"`
	Missing []missing `json:"missing,omitempty"`
}

// missing is a server that is required and not there.
type missing struct {
	Server string     `json:"server"`
	State  string     `json:"state"`
	Since  *time.Time `json:"since,omitempty"`
	ID     string     `json:"id,omitempty"` // plait help ID says more
	Why    string     `json:"why,omitempty"`
	Next   string     `json:"next"` // what to do
	Retry  *time.Time `json:"retry,omitempty"`
}

// readyz answers 200 while plait serves and has the servers that are required, else 503 with what is missing.
func (o *ops) readyz(w http.ResponseWriter) {
	answer := readiness{Ready: true}
	if o.front.Ending() {
		answer = readiness{Why: "plait is ending: calls in flight come to their end, and nothing new is taken; use another instance"}
	} else {
		for _, s := range o.gateway.Missing() {
			answer.Ready, answer.Why = false, "servers that are required cannot be used"
			answer.Missing = append(answer.Missing, asMissing(s))
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if !answer.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer) // a client that is gone
}

func asMissing(s upstream.Status) missing {
	m := missing{Server: s.Server, State: s.State.String(), Since: moment(s.Since), ID: s.ID, Why: title(s.ID), Next: s.Next}
	if s.State == upstream.Waiting {
		m.Retry = moment(s.Retry)
	}
	if m.Next == "" {
		m.Next = "wait, or see plait status"
	}
	return m
}

// title returns what the error with an id is about, "" for none.
func title(id string) string {
	text, err := fs.ReadFile(pages, path.Join("help", "errors", id+".md"))
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(text), "\n")
	_, about, _ := strings.Cut(line, ": ")
	return about
}

func (o *ops) read() metrics.Reading {
	v := readVersion()
	return metrics.Reading{
		Version: v.Version, Commit: v.Commit, Started: o.started,
		Aggregator: o.gateway.Stats(), Front: o.front.Stats(), Renewals: o.gateway.accounts.Renewals(),
	}
}

// accessLog logs a line for each request: at level info when that is asked for, else at level debug.
type accessLog struct {
	log   hclog.Logger
	asked atomic.Bool
}

func (l *accessLog) level() hclog.Level {
	if l.asked.Load() {
		return hclog.Info
	}
	return hclog.Debug
}

func (l *accessLog) on() bool { return l.log.GetLevel() <= l.level() }

func (l *accessLog) write(a downstream.Access) {
	l.log.Log(l.level(), "request", "method", a.Method, "path", a.Path, "status", a.Status, "in", a.In, "out", a.Out,
		"dur", a.Took.Round(time.Microsecond), "rpc", strings.Join(a.RPC, ","), "session", a.Session, "from", a.Remote)
}
