package cli

import (
	"context"
	"errors"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/cmd/internal/control"
	"github.com/plait-mcp/plait/config"
)

func newServe(a *app) *cobra.Command {
	var o serving
	c := &cobra.Command{
		Use:   "serve [--config FILE]",
		Short: "Serve all configured servers as one, on standard input and output or over HTTP",
		Long: `Serve all configured servers as one MCP server, on standard input and output.

This is the command that an MCP client starts. It ends when standard input ends, and on SIGTERM. With --http, or
serve.http.listen in the file, clients that speak HTTP are served, too: Streamable HTTP at /mcp, HTTP with SSE at
/sse, and what a profile shows at /mcp/p/NAME and /sse/p/NAME. Each client has sessions of its own with the servers.
With --auth bearer, or serve.http.auth: bearer, clients have to send a token that plait makes and --print-token
prints.

A change of the configuration takes effect while it runs: when the file is saved, on SIGHUP, and with plait reload. A
file with a mistake changes nothing. plait status shows what runs.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.printToken || o.newToken {
				return a.printToken(c.Context(), &o.doors, o.newToken)
			}
			return runServe(c.Context(), a, o)
		},
	}
	a.configFlag(c)
	a.serversFlag(c)
	a.logFlags(c)
	o.person.flags(c)
	o.doors.flags(c)
	c.Flags().BoolVar(&o.printToken, "print-token", false, "print the token that clients have to send, make it if there is none, and end")
	c.Flags().BoolVar(&o.newToken, "new-token", false, "make another token first, which replaces the former one at once, and print it")
	return c
}

// serving says how a configuration is served.
type serving struct {
	file                 string // that is read again when it changes, "" for none
	doors                doors
	printToken, newToken bool // instead of serving
	person               presence
	browser              bool   // the first sign-in opens one, if one can be seen
	full                 string // what a client is told that finds no room, "" for the usual
	forget               bool   // former sign-ins are forgotten first
}

func runServe(ctx context.Context, a *app, o serving) error {
	signal.Ignore(syscall.SIGHUP) // from here on it ends nothing, but asks for a reload
	file := a.configFile
	if absolute, err := filepath.Abs(file); err == nil && file != "" {
		file = absolute // whoever reads where a mistake is may be in another folder
	}
	a.listens = o.doors.listen != ""
	cfg, err := a.loadWith(ctx, file, a.serving())
	if err != nil {
		return err
	}
	o.file = cfg.Path
	return a.serve(ctx, cfg, o)
}

// serve serves a configuration on standard input and output until that ends or ctx does.
func (a *app) serve(ctx context.Context, cfg *config.Config, o serving) error {
	signal.Ignore(syscall.SIGPIPE) // a client that closes our standard output is an error of Write, not our death
	http, _, err := o.doors.check(ctx, a, cfg)
	if err == nil {
		err = o.doors.idle(http)
	}
	if err != nil {
		return err
	}
	a.alone, a.noFile = !o.person.somebody(a, true), o.file == ""
	g, err := a.open(ctx, cfg, a.logging(cfg.Log), a.snapshotFolder(cfg))
	if err != nil {
		return err
	}
	defer g.shut()
	g.report(nil, cfg)
	if o.forget {
		if err := g.accounts.SignOut(ctx, cfg.Servers, auth.SignOutOptions{ForgetClient: true}); err != nil {
			return err
		}
	}
	way := newEntrance(a, &o, g, cfg)
	way.stdio = o.doors.usesStdio(a, http)
	l := newLive(a, g, cfg, o.file)
	l.entrance = way
	if o.file != "" {
		signal.Notify(l.hangups, syscall.SIGHUP)
		defer signal.Stop(l.hangups)
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	group, ctx := errgroup.WithContext(ctx)
	ready, err := way.prepare(ctx, cfg)
	if err != nil {
		return err
	}
	way.adopt(ctx, ready)
	a.welcome(ctx, group, g, way, end)
	group.Go(func() error {
		l.run(ctx)
		return nil
	})
	group.Go(func() error {
		if o.browser && !a.alone {
			a.invite(ctx, g, cfg)
		}
		return nil
	})
	group.Go(func() error {
		err := control.Serve(ctx, l, control.Options{
			Folders: control.Folders(a.env.LookupEnv), Redact: a.redact.clean, Log: g.log.Named("control"),
		})
		if err != nil {
			g.log.Warn("plait status and plait reload cannot reach this process", "err", err)
		}
		return nil
	})
	if err := group.Wait(); !errors.Is(err, context.Canceled) { // that is: asked to end
		return err
	}
	return nil
}

// report logs what is wrong with a configuration and was not in the one before, which may be nil.
func (g *gateway) report(before, cfg *config.Config) {
	var known config.Problems
	if before != nil {
		known = append(slices.Clone(before.Warnings), before.Problems()...)
	}
	g.warn(known, cfg.Warnings)
	for _, s := range cfg.AllServers() {
		for _, p := range s.Problems {
			if !slices.Contains(known, p) {
				g.log.Error("server is switched off", append([]any{"server", s.Name}, at(p)...)...)
			}
		}
	}
}

// warn logs warnings that are not known.
func (g *gateway) warn(known, warnings config.Problems) {
	for _, w := range warnings {
		if !slices.Contains(known, w) {
			g.log.Warn("configuration", at(w)...)
		}
	}
}

// at returns a problem as fields of a log line.
func at(p config.Problem) []any {
	var fields []any
	for _, f := range [][2]string{{"at", p.Pos.String()}, {"path", p.Path}, {"problem", p.Msg}, {"hint", p.Hint}, {"id", p.ID}} {
		if f[1] != "" {
			fields = append(fields, f[0], f[1])
		}
	}
	return fields
}
