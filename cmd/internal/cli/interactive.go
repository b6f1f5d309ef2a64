package cli

import (
	"os"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/config"
)

// presence says whether a command may wait for a person.
type presence struct {
	flag  bool // --non-interactive, as it was given or not
	given func() bool
}

func (p *presence) flags(c *cobra.Command) {
	const name = "non-interactive"
	c.Flags().BoolVar(&p.flag, name, false, "wait for nobody and open no browser (default when CI is set, or nobody is there: no terminal and no client)")
	p.given = func() bool { return c.Flags().Changed(name) }
}

// somebody reports whether a person may be asked. A client has a person in front of it, as far as plait knows.
func (p *presence) somebody(a *app, client bool) bool {
	switch {
	case p.given != nil && p.given():
		return !p.flag
	case a.inCI():
		return false
	}
	return client || isTerminal(a.env.Err) || a.typed()
}

// inCI reports whether the environment is that of a job that nobody watches.
func (a *app) inCI() bool {
	value, _ := a.env.LookupEnv("CI")
	switch strings.ToLower(value) {
	case "", "0", "false", "no", "off":
		return false
	}
	return true
}

// typed reports whether standard input is a terminal.
func (a *app) typed() bool {
	f, ok := a.env.In.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// alone returns cfg for a run that nobody watches: a call that needs a sign-in says so at once, and no tool offers one.
func alone(cfg *config.Config) *config.Config {
	c := *cfg
	c.Auth.CallWait, c.Auth.LoginTool = 0, false
	c.Profiles = map[string]*config.Config{}
	for name, view := range cfg.Profiles {
		c.Profiles[name] = alone(view)
	}
	return &c
}
