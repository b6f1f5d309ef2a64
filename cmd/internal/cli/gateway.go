package cli

import (
	"context"
	"io"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/aggregator"
	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/transport"
)

// goodbye bounds how long the servers get to end their sessions.
const goodbye = 10 * time.Second

// gateway is the servers of a configuration as one, and what it runs on.
type gateway struct {
	*aggregator.Aggregator

	log      hclog.Logger
	logFile  io.Closer
	guardian *transport.Guardian
}

// open makes the gateway of a configuration; it connects to nothing yet. The caller calls shut, which ends
// everything in good order: the end of ctx alone ends nothing.
func (a *app) open(ctx context.Context, cfg *config.Config, l logging) (*gateway, error) {
	log, file, err := a.openLog(l)
	if err != nil {
		return nil, err
	}
	guardian := transport.NewGuardian(log)
	agg := aggregator.New(context.WithoutCancel(ctx), cfg, aggregator.Options{Log: log, Guardian: guardian, Version: readVersion().Version})
	return &gateway{Aggregator: agg, log: log, logFile: file, guardian: guardian}, nil
}

// shut ends all sessions, child processes and the log. It is bounded, and ctx may have ended before.
func (g *gateway) shut(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	g.Close(ctx)
	if err := g.guardian.Close(); err != nil {
		g.log.Warn("the guardian did not end well", "err", err)
	}
	g.logFile.Close()
}
