package cli

import (
	"context"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/cmd/internal/control"
	"github.com/plait-mcp/plait/config"
)

// accounts is who plait is to the servers of a configuration, and where that is kept. It is the one place where all
// commands get it from.
type accounts struct {
	*auth.Manager

	store *store.Store
	log   hclog.Logger
	now   atomic.Pointer[config.Config] // the configuration
}

// openAccounts opens the accounts of a configuration. It asks nobody and touches no keyring. The caller calls close when
// nothing uses them any more; the end of ctx alone ends nothing.
func (a *app) openAccounts(ctx context.Context, cfg *config.Config, log hclog.Logger) (*accounts, error) {
	kept, err := a.openStore(cfg.Credentials, log)
	if err != nil {
		return nil, err
	}
	x := &accounts{store: kept, log: log}
	x.apply(cfg)
	x.Manager = auth.NewManager(context.WithoutCancel(ctx), auth.Options{
		Store: kept, Auth: cfg.Auth, Servers: func() []*config.Server { return x.now.Load().AllServers() }, LookupEnv: a.env.LookupEnv,
		Version: readVersion().Version, Learn: a.redact.note, Log: log.Named("auth"),
	})
	return x, nil
}

// apply has the accounts be those of the servers of another configuration. Where sign-ins are kept, and how people sign in,
// stays.
func (x *accounts) apply(cfg *config.Config) { x.now.Store(cfg) }

// withAccounts runs do with the accounts of servers, for a command that connects to none: those that names mean, all when
// there are no names. A name that is a URL means the server of plait connect.
func (a *app) withAccounts(ctx context.Context, names []string, do func(chosen, *accounts) error) error {
	cfg, err := a.configOf(ctx, names)
	if err != nil {
		return err
	}
	if meansURL(names) {
		names = nil
	}
	servers, err := choose(cfg, names)
	if err != nil {
		return err
	}
	log, err := a.openLog(a.logging(config.Log{Level: "warn", Format: cfg.Log.Format}))
	if err != nil {
		return err
	}
	defer log.Close()
	x, err := a.openAccounts(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer x.close()
	return do(servers, x)
}

// configOf reads the configuration that names are from.
func (a *app) configOf(ctx context.Context, names []string) (*config.Config, error) {
	if meansURL(names) {
		return a.connectTo(ctx, names[0])
	}
	return a.load(ctx, a.configFile)
}

// meansURL reports whether names are one URL.
func meansURL(names []string) bool { return len(names) == 1 && isURL(names[0]) }

// describe fills in as whom plait comes to a server. It asks nobody.
func (x *accounts) describe(ctx context.Context, to *control.Server) {
	for _, s := range x.now.Load().AllServers() {
		if s.Name != to.Server {
			continue
		}
		for _, now := range x.Status(ctx, []*config.Server{s}) {
			if now.Implicit && now.State == auth.StateAnonymous {
				return
			}
			to.Identity, to.Expires = now.Identity, moment(now.Expires)
		}
	}
}

// close saves what is being renewed, and ends.
func (x *accounts) close() {
	x.Close()
	if err := x.store.Close(); err != nil {
		x.log.Warn("the store of sign-ins did not end well", "err", err)
	}
}

// openStore opens where sign-ins are kept. The caller closes it.
func (a *app) openStore(c config.Credentials, log hclog.Logger) (*store.Store, error) {
	return store.Open(store.Options{Credentials: c, Helper: a.keyringHelper(), Log: log.Named("store")})
}

// keyringHelper returns the command that talks to the keyring: plait, executed once more. Without one no keyring is
// used.
func (a *app) keyringHelper() []string {
	if a.env.Executable == nil {
		return nil
	}
	executable, err := a.env.Executable()
	if err != nil {
		return nil
	}
	return []string{executable, store.HelperArg}
}
