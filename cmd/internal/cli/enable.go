package cli

import (
	"bytes"
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func newEnable(a *app) *cobra.Command {
	e := editing{app: a}
	c := &cobra.Command{
		Use: "enable NAME", Short: "Switch a server of the configuration file on",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return runSwitch(c.Context(), &e, args[0], true) },
	}
	e.flags(c)
	return c
}

func newDisable(a *app) *cobra.Command {
	e := editing{app: a}
	c := &cobra.Command{
		Use: "disable NAME", Short: "Switch a server of the configuration file off",
		Long: "Switch a server off: it stays in the configuration file, with disabled: true. One of a file that this one extends is switched\noff here, and that file stays as it is.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return runSwitch(c.Context(), &e, args[0], false) },
	}
	e.flags(c)
	return c
}

func runSwitch(ctx context.Context, e *editing, name string, on bool) error {
	d, err := e.openServer(ctx, name, !on)
	if err != nil {
		return err
	}
	change, word := d.doc.Disable, "disabled"
	if on {
		change, word = d.doc.Enable, "enabled"
	}
	text, err := change(name)
	if err != nil {
		return err
	}
	if bytes.Equal(text, d.before) {
		e.say("%s is %s already in %s", name, word, d.path)
		return nil
	}
	return e.write(ctx, d, text, fmt.Sprintf("%s %s in %s", word, name, d.path))
}
