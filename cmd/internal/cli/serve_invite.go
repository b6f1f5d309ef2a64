package cli

import (
	"context"
	"errors"
	"slices"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/auth/flow"
	"github.com/plait-mcp/plait/config"
)

// invite has a person sign in when a server needs it for the first time: it opens a browser, if one can be seen and none
// was opened for that identity in the last ten minutes, by whatever process. The client is answered meanwhile.
func (a *app) invite(ctx context.Context, g *gateway, cfg *config.Config) {
	var name string
	select {
	case name = <-g.waiting:
	case <-ctx.Done():
		return
	}
	i := slices.IndexFunc(cfg.Servers, func(s *config.Server) bool { return s.Name == name })
	if i < 0 {
		return
	}
	o := auth.SignInOptions{Sparing: true, Show: a.tell}
	if flow.CanOpen(flow.Env{LookupEnv: a.env.LookupEnv}) {
		o.Open = a.openBrowser
	}
	limited, cancel := context.WithTimeout(ctx, cfg.Auth.Timeout)
	defer cancel()
	switch err := g.accounts.SignIn(limited, cfg.Servers[i], o); {
	case ctx.Err() != nil:
	case errors.Is(err, context.DeadlineExceeded):
		g.log.Warn("nobody signed in", "server", name, "after", cfg.Auth.Timeout.String())
	case err != nil:
		g.log.Warn("nobody signed in", "server", name, "err", err)
	}
}

// tell says on standard error, which the person may see, where to sign in.
func (a *app) tell(p auth.Prompt) {
	switch {
	case p.UserCode != "":
		a.say("plait: to sign in to %s open %s on any device and enter the code %s", p.Server, p.URL, p.UserCode)
	case p.Opened:
		a.say("plait: to use %s sign in at %s: your browser shows %s", p.Server, p.AuthServer, p.Link)
	case p.PID != 0:
		a.say("plait: sign-in to %s is already open in your browser (started by pid %d): %s", p.Server, p.PID, p.Link)
	default:
		a.say("plait: to use %s sign in at %s: open %s", p.Server, p.AuthServer, p.Link)
	}
}
