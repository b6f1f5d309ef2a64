package cli

import (
	"context"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plait-mcp/plait/cmd/internal/control"
	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/config/watch"
)

// What made a reload.
const (
	causeFile    = "file"
	causeSignal  = "signal"
	causeCommand = "command"
)

// live is a configuration that serves, and changes while it does. One goroutine, run, reloads it, so that
// reloads never overlap; any goroutine may ask. It implements control.Handler.
type live struct {
	app      *app
	gateway  *gateway
	entrance *entrance
	file     string // that is read again, "" when there is none
	started  time.Time
	hangups  chan os.Signal
	asks     chan chan<- control.Outcome
	watcher  *watch.Watcher // of run; nil when nothing is watched

	whole sync.RWMutex // held while some parts of plait have the next configuration, and others the last

	mu   sync.Mutex
	cfg  *config.Config
	last *control.Outcome // of the last reload; nil before the first
}

var _ control.Handler = (*live)(nil)

func newLive(a *app, g *gateway, cfg *config.Config, file string) *live {
	return &live{
		app: a, gateway: g, file: file, started: time.Now(), cfg: cfg,
		hangups: make(chan os.Signal, 1), asks: make(chan chan<- control.Outcome),
	}
}

// run reloads the configuration whenever that is due, until ctx ends.
func (l *live) run(ctx context.Context) {
	if l.file != "" {
		l.watch(l.config())
		defer l.unwatch()
	}
	days := time.NewTicker(24 * time.Hour)
	defer days.Stop()
	var tokens <-chan struct{}
	for {
		if tokens == nil && l.entrance.now.Auth.Generated {
			tokens, _ = l.gateway.accounts.store.Watch(ctx) // what cannot be watched is looked at with a reload
		}
		var changed <-chan struct{}
		if l.watcher != nil {
			changed = l.watcher.C()
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
			l.reload(ctx, causeFile)
		case <-tokens:
			l.entrance.renew(ctx)
		case <-days.C:
			l.entrance.socket.remind()
		case <-l.hangups:
			l.reload(ctx, causeSignal)
		case answer := <-l.asks:
			answer <- l.reload(ctx, causeCommand)
		}
	}
}

// reload reads the files again and makes what they say true, or leaves everything as it was.
func (l *live) reload(ctx context.Context, cause string) control.Outcome {
	o := control.Outcome{At: time.Now(), Cause: cause}
	before, refused := l.config(), l.refused()
	cfg, err := l.read(ctx)
	if err == nil && cause == causeFile && !refused && reflect.DeepEqual(before, cfg) {
		l.gateway.log.Debug("reloaded: nothing changed", "cause", cause)
		return o
	}
	var way *passage
	if err == nil {
		way, err = l.entrance.prepare(ctx, cfg)
	}
	switch {
	case ctx.Err() != nil:
		return o
	case err != nil:
		o.Problems = asProblems(err)
		l.refuse(o, err)
		l.watchAlso(before, cfg)
		return o
	}
	l.whole.Lock()
	defer l.whole.Unlock()
	l.gateway.accounts.apply(cfg)
	plan := l.gateway.Apply(cfg) //nolint:contextcheck // sessions live in the context of the Aggregator
	l.entrance.adopt(ctx, way)
	o.OK = true
	o.Changes, o.Global = asChanges(plan)
	o.Notices = l.settle(before, cfg, plan)
	l.gateway.report(before, cfg)
	l.watch(cfg)
	if cause != causeFile {
		l.gateway.Retry()
	}
	l.mu.Lock()
	l.cfg, l.last = cfg, &o
	l.mu.Unlock()
	l.tell(o, plan)
	return o
}

// read reads the files. It refuses a configuration with a mistake in a server that runs well: that must not
// die of it. One that was misconfigured already, or is new, may be misconfigured as at the start. Beside an
// error stands a configuration that says which files to watch. A file without servers is one that is just being
// written.
func (l *live) read(ctx context.Context) (*config.Config, error) {
	cfg, err := config.Load(ctx, l.file, l.app.serving())
	if err != nil {
		return cfg, err
	}
	l.app.redact.learn(cfg)
	if l.app.alone {
		cfg = alone(cfg)
	}
	if cfg.Blank && !l.config().Blank {
		return cfg, config.Problems{{
			ID: config.IDNoServer, Pos: config.Pos{File: l.file}, Path: "mcpServers",
			Msg: "is missing, as in a file that is not saved to its end", Hint: "to remove all servers write mcpServers: {}",
		}}
	}
	sound := map[string]bool{}
	for _, s := range l.config().AllServers() {
		sound[s.Name] = len(s.Problems) == 0
	}
	var spoilt config.Problems
	for _, s := range cfg.AllServers() {
		if sound[s.Name] {
			spoilt = append(spoilt, s.Problems...)
		}
	}
	if len(spoilt) > 0 {
		return cfg, spoilt
	}
	return cfg, nil
}

// refused reports whether the last reload changed nothing, because of what is wrong with the files.
func (l *live) refused() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last != nil && !l.last.OK
}

// refuse notes that a reload changed nothing, and says why, once.
func (l *live) refuse(o control.Outcome, err error) {
	l.mu.Lock()
	known := l.last != nil && slices.Equal(l.last.Problems, o.Problems)
	l.last = &o
	l.mu.Unlock()
	if known {
		return
	}
	var problems config.Problems
	if !errors.As(err, &problems) {
		l.gateway.log.Error("configuration", "err", err)
	}
	for _, p := range problems {
		l.gateway.log.Error("configuration", at(p)...)
	}
	l.gateway.log.Warn("not reloaded: everything stays as it was", "cause", o.Cause)
}

// tell logs what a reload did.
func (l *live) tell(o control.Outcome, plan config.Plan) {
	if plan.Quiet() {
		l.gateway.log.Debug("reloaded: nothing changed", "cause", o.Cause)
		return
	}
	fields := []any{"cause", o.Cause}
	for _, action := range []config.Action{config.Start, config.Stop, config.Restart, config.Relabel} {
		var names []string
		for _, c := range plan.Changes {
			if c.Action == action {
				names = append(names, c.Server)
			}
		}
		if names != nil {
			fields = append(fields, action.String(), names)
		}
	}
	if plan.Global != nil {
		fields = append(fields, "global", plan.Global)
	}
	l.gateway.log.Info("reloaded", fields...)
	for _, n := range o.Notices {
		l.gateway.log.Warn("reloaded in part", "problem", n)
	}
}

// settle makes the settings outside the servers true, and returns what takes a restart.
func (l *live) settle(before, cfg *config.Config, plan config.Plan) []string {
	var notices []string
	was, is := l.app.logging(before.Log), l.app.logging(cfg.Log)
	if err := l.gateway.log.become(is); err != nil {
		notices = append(notices, err.Error())
	}
	for _, key := range plan.Global {
		switch {
		case strings.HasPrefix(key, "credentials."), strings.HasPrefix(key, "auth.callback."), key == "auth.timeout":
			notices = append(notices, key+" takes effect when plait starts again")
		case key == "log.format" && was.format != is.format, key == "limits.message", key == "startup.snapshot", key == "startup.snapshotMaxAge":
			notices = append(notices, key+" takes effect when plait starts again")
		}
	}
	return append(notices, l.entrance.doors.overrides(plan.Global)...)
}

// watch watches the files of cfg, if it wants that.
func (l *live) watch(cfg *config.Config) {
	before := l.config()
	if !cfg.Reload.Watch || cfg.Reload.Debounce != before.Reload.Debounce {
		l.unwatch()
	}
	if !cfg.Reload.Watch {
		return
	}
	if l.watcher == nil {
		w, err := watch.New(watch.Options{Debounce: cfg.Reload.Debounce, Log: l.gateway.log.Named("watch")})
		if err != nil {
			l.gateway.log.Warn("a change of the files is not noticed; plait reload takes it over", "err", err)
			return
		}
		l.watcher = w
	}
	l.watcher.SetFiles(cfg.Files) // it tells of what was saved since they were read
}

// watchAlso watches the files of a configuration that was refused, besides those of the one that serves.
func (l *live) watchAlso(cfg, refused *config.Config) {
	if l.watcher != nil && refused != nil {
		l.watcher.SetFiles(append(slices.Clone(cfg.Files), refused.Files...))
	}
}

func (l *live) unwatch() {
	if l.watcher != nil {
		l.watcher.Close()
		l.watcher = nil
	}
}

// config returns the configuration that serves.
func (l *live) config() *config.Config {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cfg
}
