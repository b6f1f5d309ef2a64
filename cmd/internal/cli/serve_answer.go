package cli

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/plait-mcp/plait/aggregator"
	"github.com/plait-mcp/plait/cmd/internal/control"
	"github.com/plait-mcp/plait/config"
)

var errNoFile = errors.New("it serves without a configuration file; start it again with other flags")

// Reload implements control.Handler.
func (l *live) Reload(ctx context.Context) (control.Outcome, error) {
	if l.file == "" {
		return control.Outcome{}, errNoFile
	}
	answer := make(chan control.Outcome, 1)
	select {
	case l.asks <- answer:
	case <-ctx.Done():
		return control.Outcome{}, ctx.Err()
	}
	select {
	case o := <-answer:
		return o, nil
	case <-ctx.Done():
		return control.Outcome{}, ctx.Err()
	}
}

// Plan implements control.Handler.
func (l *live) Plan(ctx context.Context) (control.Outcome, error) {
	if l.file == "" {
		return control.Outcome{}, errNoFile
	}
	o := control.Outcome{At: time.Now(), Cause: causeCommand}
	cfg, err := l.read(ctx)
	if err == nil {
		_, _, err = l.entrance.check(ctx, cfg)
	}
	if err != nil {
		o.Problems = asProblems(err)
		return o, nil
	}
	o.OK = true
	o.Changes, o.Global = asChanges(config.Diff(l.config(), cfg))
	o.Notices = l.entrance.doors.overrides(o.Global)
	return o, nil
}

// Explain implements control.Handler.
func (l *live) Explain(ctx context.Context, name string) (control.Answer, error) {
	return l.gateway.answer(ctx, name), ctx.Err()
}

// answer says what the servers have under a name.
func (g *gateway) answer(ctx context.Context, name string) control.Answer {
	found := g.Explain(ctx, name)
	answer := control.Answer{Found: make([]control.Explanation, len(found))}
	for i, e := range found {
		answer.Found[i] = control.Explanation{
			Kind: e.Kind.String(), Server: e.Server, Original: e.Original, Exposed: e.Exposed,
			Shown: e.Shown, Reason: e.Reason, Changes: e.Changes,
		}
		if e.Pos.Line > 0 {
			answer.Found[i].At = e.Pos.String()
		}
	}
	if len(found) == 0 {
		answer.Names = g.Names()
	}
	return answer
}

// Status implements control.Handler.
func (l *live) Status(ctx context.Context) control.Status {
	l.whole.RLock()
	now, urls := l.gateway.Status(), *l.entrance.urls.Load()
	l.mu.Lock()
	profile, last := l.cfg.Profile, l.last
	l.mu.Unlock()
	l.whole.RUnlock() // what follows may wait for a keyring
	s := control.Status{
		PID: os.Getpid(), Version: readVersion().Version, Config: l.file, Profile: profile, Started: l.started,
		Generation: now.Generation, Since: now.Since, Reload: last, URLs: urls, Clients: []control.Client{},
	}
	for _, c := range now.Clients {
		client := control.Client{Name: c.Name, Version: c.Version, Profile: c.Profile, Since: moment(c.Since), Servers: []control.Server{}}
		for _, server := range c.Servers {
			client.Servers = append(client.Servers, l.gateway.asServer(ctx, server))
		}
		s.Clients = append(s.Clients, client)
	}
	return s
}

func (g *gateway) asServer(ctx context.Context, s aggregator.ServerStatus) control.Server {
	server := control.Server{
		Server: s.Server, State: s.State.String(), Era: s.Version, Prefix: s.Prefix, Tools: s.Tools, ToolsAll: s.ToolsAll,
		Snapshot: s.Snapshot, Since: moment(s.Since), Retry: moment(s.Retry), LatencyMS: float64(s.Latency.Microseconds()) / 1000, Next: s.Next, ID: s.ID,
	}
	if s.Err != nil {
		server.Error = s.Err.Error()
	}
	g.accounts.describe(ctx, &server)
	return server
}

// moment returns t, nil for the zero time.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func asProblems(err error) []control.Problem {
	var problems config.Problems
	if !errors.As(err, &problems) {
		return []control.Problem{{Problem: err.Error()}}
	}
	all := make([]control.Problem, len(problems))
	for i, p := range problems {
		all[i] = control.Problem{
			ID: p.ID, File: p.Pos.File, Line: p.Pos.Line, Column: p.Pos.Col, Path: p.Path, Problem: p.Msg, Hint: p.Hint,
		}
	}
	return all
}

func asChanges(plan config.Plan) (changes []control.Change, global []string) {
	for _, c := range plan.Changes {
		changes = append(changes, control.Change{Server: c.Server, Action: c.Action.String(), Keys: c.Keys})
	}
	return changes, plan.Global
}
