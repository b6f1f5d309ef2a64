package cli

import (
	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/config"
)

func newSchema(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration, for editors",
		Long: `Print the JSON Schema (draft 7) of the configuration, for editors.

	plait schema > plait.schema.json

An editor then completes keys and marks mistakes in a file that begins with

	# yaml-language-server: $schema=./plait.schema.json      in YAML
	#:schema ./plait.schema.json                             in TOML
	{"$schema": "./plait.schema.json",                       in JSON

The schema knows the keys in camelCase only; plait validate finds more than it can.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.env.Out.Write(config.Schema())
			return err
		},
	}
}
