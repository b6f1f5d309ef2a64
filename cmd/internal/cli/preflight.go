package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/aggregator"
	"github.com/plait-mcp/plait/cmd/internal/control"
	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/protocol"
)

type preflightOptions struct {
	require []string
	timeout time.Duration
	json    bool
}

func newPreflight(a *app) *cobra.Command {
	var o preflightOptions
	c := &cobra.Command{
		Use:   "preflight",
		Short: "Sign in and connect to every server as far as that needs nobody, and say whether all is well",
		Long: `Sign in and connect to every server as far as that needs nobody, print a table, and say with the exit code whether a
job may go on. It never waits for a person and opens no browser.

Needed are the servers that --require names, else those with required: true, else all.

The exit code is 0 when all that is needed is ready. Else it is 2 when the configuration or credentials in it are at
fault, 3 when a person has to sign in, and 4 when a server cannot be reached; the smallest of these when there are several.`,
		Example: "  plait preflight --require orders,github --timeout 1m",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return runPreflight(c.Context(), a, o) },
	}
	a.configFlag(c)
	a.serversFlag(c)
	a.logFlags(c)
	c.Flags().StringSliceVar(&o.require, "require", nil, "the `servers` that are needed: a,b")
	c.Flags().DurationVar(&o.timeout, "timeout", 30*time.Second, "wait so long for the servers")
	c.Flags().BoolVar(&o.json, "json", false, "print JSON: a list with an element for each server")
	return c
}

// checked is a server as preflight found it.
type checked struct {
	control.Server

	Needed bool `json:"needed"`
	OK     bool `json:"ok"`

	ends code // how a job ends that needs it
}

func runPreflight(ctx context.Context, a *app, o preflightOptions) error {
	if o.timeout <= 0 {
		return usagef("--timeout is not more than 0; write a time such as 30s")
	}
	cfg, err := a.load(ctx, a.configFile)
	if err != nil {
		return err
	}
	need, err := needed(cfg, o.require)
	if err != nil {
		return err
	}
	all, err := a.preflight(ctx, eager(cfg, o.timeout))
	if err != nil {
		return err
	}
	now, exit := time.Now(), exitOK
	for i := range all {
		c := &all[i]
		c.OK, c.Needed = c.ends == exitOK, slices.Contains(need, c.Server.Server)
		if c.Needed && !c.OK && (exit == exitOK || c.ends < exit) {
			exit = c.ends
		}
	}
	out := a.redact.writer(a.env.Out)
	if o.json {
		err = encode(out, all)
	} else {
		describePreflight(out, all, now)
	}
	if err != nil || exit == exitOK {
		return err
	}
	return &exitError{code: exit}
}

// needed returns the names of the servers that have to be there.
func needed(cfg *config.Config, require []string) ([]string, error) {
	if len(require) > 0 {
		_, err := named(cfg, require)
		return require, err
	}
	var all, required []string
	for _, s := range cfg.Servers {
		all = append(all, s.Name)
		if s.Required {
			required = append(required, s.Name)
		}
	}
	if len(required) > 0 {
		return required, nil
	}
	return all, nil
}

// eager returns a configuration that connects all servers at once and waits for them for a time. Nobody is there who
// could sign in.
func eager(cfg *config.Config, wait time.Duration) *config.Config {
	c := *cfg
	c.Startup.Wait = wait
	c.Servers = slices.Clone(cfg.Servers)
	for i, s := range c.Servers {
		other := *s
		other.Lazy = false
		other.ConnectTimeout = min(other.ConnectTimeout, wait)
		c.Servers[i] = &other
	}
	return &c
}

// preflight connects the servers of a configuration and returns how that went.
func (a *app) preflight(ctx context.Context, cfg *config.Config) ([]checked, error) {
	a.alone = true
	g, err := a.open(ctx, cfg, a.logging(config.Log{Level: "error", Format: cfg.Log.Format}), "")
	if err != nil {
		return nil, err
	}
	defer g.shut()
	q := &query{app: a, gateway: g}
	if err := q.connect(ctx, g, nil); err != nil {
		return nil, err
	}
	defer q.close()
	for _, l := range []protocol.List{protocol.Tools, protocol.Resources, protocol.Prompts} {
		if _, err := q.call(ctx, l.Method(), nil); err != nil && ctx.Err() != nil {
			return nil, err
		}
	}
	clients := g.Status().Clients
	if len(clients) == 0 {
		return nil, errors.New("the session ended before its servers were looked at")
	}
	all := make([]checked, len(clients[0].Servers))
	for i, s := range clients[0].Servers {
		all[i] = checked{Server: g.asServer(ctx, s), ends: outcome(s)}
	}
	return all, nil
}

// outcome returns how a job ends that needs a server in that condition.
func outcome(s aggregator.ServerStatus) code {
	switch s.State {
	case upstream.Ready, upstream.Idle:
		if s.Unread != nil {
			return exitUnreachable
		}
		return exitOK
	case upstream.Misconfigured:
		return exitUsage
	case upstream.SignIn:
		return exitSignIn
	case upstream.Connecting, upstream.Waiting, upstream.Parked, upstream.Closed:
	}
	if c := exitCode(s.Err); c == exitUsage || c == exitSignIn {
		return c
	}
	return exitUnreachable
}

// describePreflight prints the table, and what is wrong with the servers that are not well.
func describePreflight(out io.Writer, all []checked, now time.Time) {
	rows := [][]string{{"SERVER", "STATE", "NEEDED", "TOOLS", "IDENTITY", "EXPIRES", "NEXT"}}
	for _, c := range all {
		needed, tools, expires := "no", none, none
		if c.Needed {
			needed = "yes"
		}
		if c.OK {
			tools = fmt.Sprintf("%d/%d", c.Tools, c.ToolsAll)
		}
		if c.Expires != nil {
			expires = brief(max(0, c.Expires.Sub(now)))
		}
		rows = append(rows, []string{c.Server.Server, c.State, needed, tools, orNone(c.Identity), expires, next(c.Server, now)})
	}
	table(out, rows)
	for _, c := range all {
		if c.OK || c.Error == "" {
			continue
		}
		text := oneLine(c.Error)
		if !strings.HasPrefix(text, c.Server.Server) { // those about signing in name it
			text = c.Server.Server + ": " + text
		}
		fmt.Fprintln(out, text)
	}
}
