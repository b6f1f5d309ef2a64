package cli

import (
	"context"
	"errors"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/aggregator/downstream"
	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

func newServe(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve all configured servers as one, on standard input and output",
		Long: `Serve all configured servers as one MCP server, on standard input and output.

This is the command that an MCP client starts. It ends when standard input ends, and on SIGTERM.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runServe(c.Context(), a) },
	}
	a.configFlag(c)
	a.serversFlag(c)
	a.logFlags(c)
	return c
}

func runServe(ctx context.Context, a *app) error {
	cfg, err := a.load(ctx, a.configFile)
	if err != nil {
		return err
	}
	return a.serve(ctx, cfg)
}

// serve serves a configuration on standard input and output until that ends or ctx does.
func (a *app) serve(ctx context.Context, cfg *config.Config) error {
	signal.Ignore(syscall.SIGPIPE) // a client that closes our standard output is an error of Write, not our death
	g, err := a.open(ctx, cfg, a.logging(cfg.Log), a.snapshotFolder(cfg))
	if err != nil {
		return err
	}
	defer g.shut()
	g.report(cfg)
	err = downstream.ServeStdio(ctx, a.env.In, a.env.Out, downstream.Options{
		Open:  func(s jsonrpc.Sender) jsonrpc.Handler { return g.Open(s) },
		Limit: cfg.Limits.Message,
		Log:   g.log.Named("downstream"),
	})
	if errors.Is(err, context.Canceled) {
		return nil // asked to end
	}
	return err
}

// report logs, once, what is wrong with the configuration.
func (g *gateway) report(cfg *config.Config) {
	for _, w := range cfg.Warnings {
		g.log.Warn("configuration", "at", w.Pos.String(), "path", w.Path, "problem", w.Msg, "hint", w.Hint)
	}
	for _, s := range cfg.Servers {
		for _, p := range s.Problems {
			g.log.Error("server is switched off", "server", s.Name, "at", p.Pos.String(), "path", p.Path, "problem", p.Msg, "hint", p.Hint)
		}
	}
}
