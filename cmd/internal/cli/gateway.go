package cli

import (
	"context"

	"github.com/plait-mcp/plait/aggregator"
	"github.com/plait-mcp/plait/aggregator/downstream"
	"github.com/plait-mcp/plait/cmd/internal/authtool"
	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/transport"
)

// gateway is the servers of a configuration as one, and what it runs on.
type gateway struct {
	*aggregator.Aggregator

	log      *logs
	accounts *accounts
	guardian *transport.Guardian
	waiting  chan string // names of servers that a person has to sign in to; one at most, for who wants to know
}

// open makes the gateway of a configuration; it connects to nothing yet. The folder keeps snapshots, "" none. The
// caller calls shut, which ends everything in good order: the end of ctx alone ends nothing.
func (a *app) open(ctx context.Context, cfg *config.Config, l logging, folder string) (*gateway, error) {
	log, err := a.openLog(l)
	if err != nil {
		return nil, err
	}
	accounts, err := a.openAccounts(ctx, cfg, log)
	if err != nil {
		log.Close()
		return nil, err
	}
	guardian := transport.NewGuardian(log)
	var snapshots *upstream.Snapshots
	if folder != "" {
		snapshots = upstream.OpenSnapshots(folder, cfg.Startup.SnapshotMaxAge, log.Named("snapshots"))
	}
	if a.alone {
		cfg = alone(cfg)
	}
	g := &gateway{log: log, accounts: accounts, guardian: guardian, waiting: make(chan string, 1)}
	login := loginTool
	if a.bridge {
		login = nil
	}
	g.Aggregator = aggregator.New(context.WithoutCancel(ctx), cfg, aggregator.Options{
		Log: log, Guardian: guardian, Version: readVersion().Version, Redact: a.redact.clean, Snapshots: snapshots,
		Auth: accounts.Manager, LoginTool: login, NeedsSignIn: g.wait, Alone: a.alone, Bridge: a.bridge, NoFile: a.noFile,
	})
	return g, nil
}

// enter opens the session of a client that came over HTTP.
func (g *gateway) enter(c downstream.Client, out jsonrpc.Sender) (jsonrpc.Handler, error) {
	s, err := g.Admit(aggregator.Visitor{Profile: c.Profile, Remote: !c.Local}, out)
	if err != nil {
		return nil, err // not a nil *Session, which is not nil
	}
	return s, nil
}

// wait notes that a person has to sign in to a server.
func (g *gateway) wait(server string) {
	select {
	case g.waiting <- server:
	default:
	}
}

// loginTool makes the server of the tool plait_auth for a client.
func loginTool(s *aggregator.Session) transport.Local {
	return authtool.New(s, readVersion().Version)
}

// shut ends all sessions, child processes and the log; the servers get some seconds to say good-bye.
func (g *gateway) shut() {
	g.Close()
	g.accounts.close()
	if err := g.guardian.Close(); err != nil {
		g.log.Warn("the guardian did not end well", "err", err)
	}
	g.log.Close()
}
