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
	d, err := e.openServer(name)
	if err != nil {
		return err
	}
	text, err := d.doc.Remove([]string{d.doc.ServersKey(), name})
	if err != nil {
		return err
	}
	if err := d.set(text); err != nil {
		return err
	}
	if err := e.check(ctx, d); err != nil {
		return err
	}
	return e.finish(d, fmt.Sprintf("removed %s from %s", name, d.path))
}

// openServer reads the configuration file, which must have that server.
func (e *editing) openServer(name string) (*draft, error) {
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
	servers, _ := d.doc.Get(d.doc.ServersKey())
	fields, _ := servers.(config.Fields)
	var names []string
	for _, f := range fields {
		if f.Key == name {
			return d, nil
		}
		names = append(names, f.Key)
	}
	return nil, coded(idNotAServer, "%s has no server %q%s; one that another layer has is edited there, with --config FILE",
		d.path, name, didYouMean(name, names))
}
