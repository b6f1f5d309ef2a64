package cli

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/plait-mcp/plait/aggregator/downstream"
	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// doors says where clients come in: what the flags say, over what the file says.
type doors struct {
	gate

	listen string // host:port, "" for what the file says
	stdio  func() (wanted, given bool)
}

func (d *doors) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&d.listen, "http", "", "serve clients over HTTP at this `address`, too: host:port, or :port for this machine alone")
	f.StringVar(&d.listen, "listen", "", "the same as --http: an `address`")
	stdio := f.Bool("stdio", true, "with --http, serve standard input and output, too (default if standard input is a pipe)")
	f.Lookup("stdio").DefValue = "false" // that is, without a default in the help besides this one
	d.stdio = func() (bool, bool) { return *stdio, f.Changed("stdio") }
	d.gate.flags(f)
}

// check returns the endpoint as flags and file have it together, and what to warn of in the flags. It refuses doors that do
// not go together, or that are open to others.
func (d *doors) check(ctx context.Context, a *app, cfg *config.Config) (config.ServeHTTP, config.Problems, error) {
	s, warnings, err := d.over(ctx, a, cfg.Serve.HTTP)
	if err != nil {
		return s, nil, err
	}
	if d.listen != "" {
		if !config.IsAddress(d.listen) {
			return s, nil, usagef("--http: %q is not an address; write host:port, such as 127.0.0.1:8080", d.listen)
		}
		s.Listen = config.LoopbackAddress(d.listen)
	}
	if wanted, given := d.stdio(); s.Listen == "" && given && !wanted {
		return s, nil, usagef("--stdio=false leaves no way in; add --http 127.0.0.1:8080, or serve.http.listen to the file")
	}
	return s, warnings, d.gate.check(s)
}

// usesStdio reports whether a client is served on standard input and output. Beside an endpoint that is one that
// started plait, and so has a pipe to it: a service has none.
func (d *doors) usesStdio(a *app, s config.ServeHTTP) bool {
	if wanted, given := d.stdio(); given || s.Listen == "" {
		return wanted
	}
	f, ok := a.env.In.(*os.File)
	if !ok {
		return true
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
}

// welcome serves clients in the group, each way that there is. end is called when nobody is left to serve.
func (a *app) welcome(ctx context.Context, group *errgroup.Group, g *gateway, e *entrance, end func()) {
	group.Go(func() error {
		defer end()
		return e.serve(ctx)
	})
	if e.stdio {
		if a.typed() {
			g.log.Info("waiting for a client on standard input and output: one that has started this command; for clients over HTTP add --listen 127.0.0.1:8080")
		}
		group.Go(func() error {
			defer end()
			return downstream.ServeStdio(ctx, a.env.In, a.env.Out, downstream.Options{
				Open:  func(out jsonrpc.Sender) jsonrpc.Handler { return g.Open(out) }, //nolint:contextcheck // sessions live in the context of the Aggregator
				Limit: e.limit, Log: g.log.Named("downstream"), Deaf: func() { a.leave(g) },
			})
		})
	}
}

// leave ends the process although the client on standard output takes nothing any more.
func (a *app) leave(g *gateway) {
	g.log.Error("the client on standard output does not take what it is sent; plait ends without it")
	a.env.Exit(int(exitInternal))
}

// entrance is where clients come in over HTTP. The goroutine that reads the configuration changes it while they do.
type entrance struct {
	app     *app
	doors   *doors
	gateway *gateway
	stdio   bool   // a client is served on standard input and output, too
	limit   int64  // bytes of a message
	full    string // what a client is told that finds no room, "" for the usual
	kept    config.Credentials
	socket  *socket
	opened  chan struct{} // closed when there is a front
	ops     *ops
	access  *accessLog
	urls    atomic.Pointer[[]string] // where clients come in; never nil after adopt

	// Of the goroutine that changes it.
	now    config.ServeHTTP // the token that plait made included
	warned config.Problems  // what was wrong with the flags when they were read last
	front  *downstream.HTTP // nil before there is an address
}

func newEntrance(a *app, o *serving, g *gateway, cfg *config.Config) *entrance {
	return &entrance{
		app: a, doors: &o.doors, gateway: g, full: o.full, limit: cfg.Limits.Message, kept: cfg.Credentials,
		socket: newSocket(cfg.Reload.Drain), opened: make(chan struct{}),
		ops: &ops{gateway: g, started: time.Now()}, access: &accessLog{log: g.log.Named("access")},
	}
}

// passage is an endpoint that is ready to be used.
type passage struct {
	config.ServeHTTP

	warnings config.Problems // of the flags
	wires    wires
}

// urls returns where clients come in when an address is listened to, that of Streamable HTTP first.
func (p *passage) urls(at string) []string {
	if at == "" {
		return nil
	}
	base := "http://" + at
	if p.TLS.Cert != "" {
		base = "https://" + at
	}
	if p.SSE {
		return []string{base + p.Path, base + "/sse"}
	}
	return []string{base + p.Path}
}

// check returns what a configuration would make of the endpoint, with the warnings of the flags, or why it is refused. It
// changes nothing.
func (e *entrance) check(ctx context.Context, cfg *config.Config) (config.ServeHTTP, config.Problems, error) {
	s, warnings, err := e.doors.check(ctx, e.app, cfg)
	if err == nil && s.Listen == "" && !e.stdio {
		err = errNoDoor
	}
	return s, warnings, err
}

// prepare does all that can fail of a change to what the configuration says. Until adopt nobody notices anything.
func (e *entrance) prepare(ctx context.Context, cfg *config.Config) (*passage, error) {
	s, warnings, err := e.check(ctx, cfg)
	p := &passage{ServeHTTP: s, warnings: warnings}
	if err != nil || s.Listen == "" {
		return p, err
	}
	if s.Auth.Generated {
		if p.Auth.Bearer, err = e.app.ownToken(ctx, e.kept, e.gateway.accounts.store); err != nil {
			return nil, err
		}
	}
	p.wires, err = e.socket.prepare(ctx, s, e.gateway.log)
	return p, err
}

// adopt has an endpoint be that of the passage.
func (e *entrance) adopt(ctx context.Context, p *passage) {
	before := e.now
	e.now = p.ServeHTTP
	e.gateway.warn(e.warned, p.warnings)
	e.warned = p.warnings
	e.access.asked.Store(p.AccessLog)
	options := downstream.HTTPOptions{
		Open: e.gateway.enter, HasProfile: e.gateway.HasProfile, Limit: e.limit, Log: e.gateway.log.Named("downstream"),
		Path: p.Path, SSE: p.SSE, Bearer: p.Auth.Bearer, AllowedHosts: p.AllowedHosts, AllowedOrigins: p.AllowedOrigins,
		Sessions: p.Limits.Sessions, Full: e.full, Connections: p.Limits.Connections, Memory: p.Limits.Memory,
		Idle: p.Limits.Idle, Lifetime: p.Limits.Lifetime, Replay: p.Limits.Replay,
		Drain: p.Limits.Drain, Ops: e.ops, Access: e.access.write, Telling: e.access.on,
	}
	switch {
	case p.Listen == "": // connections that are still there come in as before
	case e.front != nil:
		e.front.Adopt(options)
	default:
		e.front = downstream.NewHTTP(ctx, options)
		e.ops.front = e.front
		close(e.opened)
	}
	urls := p.urls(e.socket.adopt(p.wires))
	e.urls.Store(&urls)
	if urls == nil {
		return
	}
	if before.Listen != p.Listen || before.TLS != p.TLS || before.Path != p.Path {
		e.gateway.log.Info("listening", "url", urls[0], "auth", authName(p.Auth))
	}
	if dangers, _ := lacks(p.ServeHTTP); len(dangers) > 0 {
		e.gateway.log.Warn("other machines are served as --insecure says", "danger", strings.Join(dangers, ", and "))
	}
}

func authName(auth config.ServeAuth) string {
	switch {
	case auth.Generated:
		return "bearer; plait serve --print-token prints the token"
	case auth.Bearer != "":
		return "bearer"
	}
	return "none"
}

// renew takes over another token that plait has made.
func (e *entrance) renew(ctx context.Context) {
	if !e.now.Auth.Generated || e.now.Listen == "" {
		return
	}
	token, err := e.app.ownToken(ctx, e.kept, e.gateway.accounts.store)
	if err != nil {
		e.gateway.log.Warn("the token of clients stays as it was", "err", err)
		return
	}
	if token == e.now.Auth.Bearer {
		return
	}
	p := &passage{ServeHTTP: e.now}
	p.Auth.Bearer = token
	if p.wires, err = e.socket.prepare(ctx, e.now, e.gateway.log); err != nil {
		e.gateway.log.Warn("the token of clients stays as it was", "err", err)
		return
	}
	e.adopt(ctx, p)
	e.gateway.log.Info("clients need another token now; plait serve --print-token prints it")
}

// serve serves clients from when there is an address until ctx ends.
func (e *entrance) serve(ctx context.Context) error {
	select {
	case <-e.opened:
		return e.front.Serve(ctx, e.socket)
	case <-ctx.Done():
		return nil
	}
}
