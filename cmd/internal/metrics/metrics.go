// Package metrics shows what plait counts in the formats that Prometheus reads.
//
// The counters are plain numbers in the parts that do the work; a request reads them. What encodes them is Prometheus' own
// (common/expfmt), without the registry of client_golang, whose initialization costs every start of plait more than a
// millisecond and 1.7 MiB. Labels hold names of the configuration, states and statuses, never what a client sends: the number
// of series is bounded by the configuration.
package metrics

import (
	"maps"
	"net/http"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/plait-mcp/plait/aggregator"
	"github.com/plait-mcp/plait/aggregator/downstream"
	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/upstream"
)

// Reading is what is counted, at one moment.
type Reading struct {
	Version, Commit string
	Started         time.Time
	Aggregator      aggregator.Stats
	Front           downstream.Stats
	Renewals        map[string]auth.Renewals // by identity
}

// Handler shows what read returns, in the format that the client prefers.
func Handler(read func() Reading) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
		w.Header().Set("Content-Type", string(format))
		encoder := expfmt.NewEncoder(w, format)
		for _, f := range families(read()) {
			if encoder.Encode(f) != nil {
				return // the client is gone
			}
		}
		if c, ok := encoder.(expfmt.Closer); ok {
			_ = c.Close() // as above
		}
	})
}

func families(r Reading) []*dto.MetricFamily {
	info := gauge("plait_build_info", "Which plait this is.")
	info.add(1, "version", r.Version, "commit", r.Commit, "goversion", runtime.Version())
	started := gauge("process_start_time_seconds", "When the process started, in seconds since 1970.")
	started.add(float64(r.Started.UnixMilli()) / 1000) //nolint:mnd // milliseconds
	goroutines := gauge("go_goroutines", "Goroutines that there are.")
	goroutines.add(float64(runtime.NumGoroutine()))
	allocated := gauge("go_memstats_alloc_bytes", "Bytes of memory that are in use, with those that nobody needs any more.")
	allocated.add(heap())
	generation := gauge("plait_config_generation", "Counts the configurations that took effect, from 1.")
	generation.add(float64(r.Aggregator.Generation))
	clients := gauge("plait_clients", "Clients that are there, over HTTP and on standard input.")
	clients.add(float64(r.Aggregator.Clients))
	all := slices.Concat([]*family{info, started, goroutines, allocated, generation, clients}, front(r.Front), servers(r.Aggregator.Servers), identities(r))
	var some []*dto.MetricFamily
	for _, f := range all {
		if len(f.Metric) > 0 {
			some = append(some, &f.MetricFamily)
		}
	}
	return some
}

// heap returns the size of the objects in memory, in bytes. It stops nothing.
func heap() float64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return float64(sample[0].Value.Uint64())
}

// front shows what came over HTTP.
func front(s downstream.Stats) []*family {
	sessions := gauge("plait_http_sessions", "Sessions of clients over HTTP that are there.")
	sessions.add(float64(s.Sessions))
	opened := counter("plait_http_sessions_opened_total", "Sessions of clients over HTTP so far.")
	opened.add(float64(s.Opened))
	requests := counter("plait_http_requests_total", "HTTP requests that have ended, by status; 499 is a client that went away.")
	for _, status := range slices.Sorted(maps.Keys(s.Answered)) {
		requests.add(float64(s.Answered[status]), "code", strconv.Itoa(status))
	}
	in := counter("plait_http_request_bytes_total", "Bytes of the bodies of HTTP requests that have ended.")
	in.add(float64(s.In))
	out := counter("plait_http_response_bytes_total", "Bytes of the bodies of HTTP responses that have ended.")
	out.add(float64(s.Out))
	return []*family{sessions, opened, requests, in, out}
}

// servers shows what the configured servers have done.
func servers(all []upstream.Stats) []*family {
	calls := counter("plait_calls_total", "Calls of clients that have ended, by how: ok, error of the server, timeout, cancelled by the client, failed.")
	took := histogram("plait_call_duration_seconds", "How long calls of clients took, with the wait for a connection and a turn.")
	flying := gauge("plait_calls_in_flight", "Calls that the server has not answered yet.")
	bytes := counter("plait_server_bytes_total", "Bytes of calls sent to the server, and received as answers, requests and notifications.")
	connects := counter("plait_server_connects_total", "Attempts to connect, by how they ended: ok, failed.")
	sessions := gauge("plait_server_sessions", "Sessions with the server, by state.")
	for _, s := range all {
		for r, n := range s.Calls {
			calls.add(float64(n), "server", s.Server, "result", upstream.Result(r).String())
		}
		took.observe(s)
		flying.add(float64(s.InFlight), "server", s.Server)
		bytes.add(float64(s.Sent), "server", s.Server, "direction", "sent")
		bytes.add(float64(s.Received), "server", s.Server, "direction", "received")
		connects.add(float64(s.Connects[0]), "server", s.Server, "result", "ok")
		connects.add(float64(s.Connects[1]), "server", s.Server, "result", "failed")
		for state, n := range s.Sessions {
			sessions.add(float64(n), "server", s.Server, "state", upstream.State(state).String())
		}
	}
	return []*family{calls, took, flying, bytes, connects, sessions}
}

// identities shows how signing in goes.
func identities(r Reading) []*family {
	needed := gauge("plait_sign_in_needed", "1 while a person has to sign in to the server.")
	for _, s := range r.Aggregator.Servers {
		if s.Identity != "" {
			needed.add(float64(min(1, s.Sessions[upstream.SignIn])), "server", s.Server, "identity", s.Identity)
		}
	}
	renewals := counter("plait_token_refreshes_total", "Tokens that were asked for without a person, by identity and result: ok, failed.")
	for _, name := range slices.Sorted(maps.Keys(r.Renewals)) {
		renewals.add(float64(r.Renewals[name].OK), "identity", name, "result", "ok")
		renewals.add(float64(r.Renewals[name].Failed), "identity", name, "result", "failed")
	}
	return []*family{needed, renewals}
}
