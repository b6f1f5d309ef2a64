package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/config"
)

func newRemove(a *app) *cobra.Command {
	e := editing{app: a}
	c := &cobra.Command{
		Use: "remove NAME", Short: "Take a server out of the configuration file",
		Long: "Take a server out of the configuration file, with the comments directly above it. Everything else stays as it is.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return runRemove(c.Context(), &e, args[0]) },
	}
	e.flags(c)
	return c
}

func runRemove(ctx context.Context, e *editing, name string) error {
	d, err := e.openServer(ctx, name, false)
	if err != nil {
		return err
	}
	text, err := d.doc.Remove([]string{d.doc.ServersKey(), name})
	if err != nil {
		return err
	}
	return e.write(ctx, d, text, fmt.Sprintf("removed %s from %s", name, d.path))
}

// openServer reads the configuration file, which must have that server; with layered, it is enough when one of the
// files that it extends does.
func (e *editing) openServer(ctx context.Context, name string, layered bool) (*draft, error) {
	if e.configFile == "" {
		found, err := config.Find(e.env.LookupEnv)
		if err != nil {
			return nil, err
		}
		e.configFile = found
	}
	d, err := e.openConfig()
	if err != nil {
		return nil, err
	}
	if d.before == nil {
		return nil, usagef("%s does not exist; check the path", d.path)
	}
	var names []string
	for _, f := range fieldsOf(d.doc.Get(d.doc.ServersKey())) {
		if f.Key == name {
			return d, nil
		}
		names = append(names, f.Key)
	}
	at, there := e.below(ctx, d, name)
	switch {
	case there && layered:
		return d, nil
	case there:
		return nil, coded(idNotAServer, "%s has no server %q itself: it stands in %s; edit it there, with --config FILE", d.path, name, at)
	}
	return nil, coded(idNotAServer, "%s has no server %q%s", d.path, name, didYouMean(name, names))
}

// below returns where a server stands that the draft has of a file that it extends.
func (e *editing) below(ctx context.Context, d *draft, name string) (config.Pos, bool) {
	cfg, _, err := e.examine(ctx, d.path, d.after)
	if err != nil || cfg == nil {
		return config.Pos{}, false
	}
	for _, s := range cfg.Servers {
		if s.Name == name {
			return s.Pos, true
		}
	}
	return config.Pos{}, false
}
