package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/config"
)

// configFlag adds the flags that name the configuration.
func (a *app) configFlag(c *cobra.Command) {
	c.Flags().StringVarP(&a.configFile, "config", "c", "",
		"configuration `file` (default $PLAIT_CONFIG, else plait.{yaml,yml,toml,json} in the user's config folder)")
	c.Flags().StringVar(&a.profile, "profile", "", "use this `profile` of the configuration")
}

// serversFlag adds the flag that picks servers of the configuration: the others are as if they were not there.
func (a *app) serversFlag(c *cobra.Command) {
	c.Flags().StringSliceVarP(&a.servers, "server", "s", nil, "use these `servers` of the configuration only: a,b")
}

// logFlags adds the flags that say what is logged. It comes after configFlag, if that does.
func (a *app) logFlags(c *cobra.Command) {
	otherwise := "info"
	if c.Flags().Lookup("config") != nil {
		otherwise = "log.level"
	}
	c.Flags().StringVar(&a.logLevel, "log-level", "", "trace, debug, info, warn, error or off (default $PLAIT_LOG, else "+otherwise+")")
	c.Flags().StringVar(&a.logFile, "log-file", "", "log to this `file` as well, with the day in its name")
}

// load reads the configuration file, or finds one when file is "". From then on its secrets are taken out
// of what is said. Beside an error there may be a Config that says which files were read, as of config.Load.
func (a *app) load(ctx context.Context, file string) (*config.Config, error) {
	return a.loadWith(ctx, file, a.loading())
}

func (a *app) loadWith(ctx context.Context, file string, o config.Options) (*config.Config, error) {
	if file == "" {
		found, err := config.Find(a.env.LookupEnv)
		if err != nil {
			return nil, usagef("%w", err)
		}
		file = found
	}
	cfg, err := config.Load(ctx, file, o)
	if err != nil {
		return cfg, err
	}
	a.redact.learn(cfg)
	return cfg, nil
}

// serving is how plait serve reads its configuration: clients over HTTP may choose a profile.
func (a *app) serving() config.Options {
	o := a.loading()
	o.AllProfiles = func(h config.ServeHTTP) bool { return a.listens || h.Listen != "" }
	return o
}

// loading is how this run reads its configuration.
func (a *app) loading() config.Options {
	return config.Options{LookupEnv: a.env.LookupEnv, Profile: a.profile, Servers: a.servers, Keyring: a.secrets()}
}
