package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/config"
)

type validateOptions struct {
	file    string
	strict  bool
	json    bool
	offline bool
}

func newValidate(a *app) *cobra.Command {
	var o validateOptions
	c := &cobra.Command{
		Use:   "validate [FILE]",
		Short: "Check a configuration file and report every problem",
		Long: `Check a configuration file and report every problem with its place and what to do.

All servers that are not disabled are checked, or those of --profile and --server. A variable that is not set here may
be set where plait serves: it is reported, and an error with --strict only. A mistake in one server switches that server
off when serving, and the others work, unless the server is required.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o.file = a.configFile
			if len(args) > 0 {
				o.file = args[0]
			}
			return runValidate(c.Context(), a, o)
		},
	}
	a.configFlag(c)
	c.Flags().BoolVar(&o.strict, "strict", false, "exit 2 for variables that are not set and for warnings, too")
	c.Flags().BoolVar(&o.offline, "offline", false, "run no command for a secret and fetch no layer")
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return c
}

// finding is one problem as validate --json prints it.
type finding struct {
	Severity string `json:"severity"` // error, unset (a variable) or warning
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	ID       string `json:"id,omitempty"`
	Path     string `json:"path,omitempty"`
	Problem  string `json:"problem"`
	Hint     string `json:"hint,omitempty"`
}

type verdict struct {
	File     string    `json:"file"`
	OK       bool      `json:"ok"`
	Servers  int       `json:"servers"` // how many of them may be used
	Problems []finding `json:"problems"`
}

func runValidate(ctx context.Context, a *app, o validateOptions) error {
	v := verdict{Problems: []finding{}}
	loading := a.loading()
	loading.Offline, loading.NoDefaultProfile = o.offline, true
	cfg, err := a.loadWith(ctx, o.file, loading)
	var fatal config.Problems
	if err != nil && !errors.As(err, &fatal) {
		return err
	}
	v.File = o.file
	v.add("error", fatal)
	if err != nil {
		cfg = nil
	} else {
		v.File = cfg.Path
		v.add("error", cfg.Problems())
		v.add("warning", cfg.Warnings)
		for _, s := range cfg.Servers {
			if len(s.Problems) == 0 {
				v.Servers++
			}
		}
	}
	v.OK = !slices.ContainsFunc(v.Problems, func(f finding) bool { return o.strict || f.Severity == "error" })
	if err := v.print(a, o, cfg, fatal); err != nil {
		return err
	}
	if !v.OK {
		return &exitError{code: exitUsage}
	}
	return nil
}

func (v *verdict) add(severity string, problems config.Problems) {
	for _, p := range problems {
		severity := severity
		if severity == "error" && p.Unset {
			severity = "unset"
		}
		v.Problems = append(v.Problems, finding{
			Severity: severity, File: p.Pos.File, Line: p.Pos.Line, Column: p.Pos.Col,
			ID: p.ID, Path: p.Path, Problem: p.Msg, Hint: p.Hint,
		})
	}
}

func (v *verdict) print(a *app, o validateOptions, cfg *config.Config, fatal config.Problems) error {
	out := a.redact.writer(a.env.Out)
	if o.json {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		return e.Encode(v)
	}
	for _, p := range fatal {
		fmt.Fprintln(out, p.Error())
	}
	if cfg == nil {
		_, err := fmt.Fprintln(out, count(len(fatal), "problem"))
		return err
	}
	for _, p := range cfg.Problems() {
		fmt.Fprintln(out, p.Error())
	}
	for _, p := range cfg.Warnings {
		fmt.Fprintln(out, "warning: "+p.Error())
	}
	_, err := fmt.Fprintf(out, "%s: %s ready, %s, %s\n", cfg.Path, count(v.Servers, "server"),
		count(len(cfg.Problems()), "problem"), count(len(cfg.Warnings), "warning"))
	return err
}
