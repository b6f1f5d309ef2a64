package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/cmd/internal/control"
	"github.com/plait-mcp/plait/config"
)

type planOptions struct {
	against string
	json    bool
}

func newPlan(a *app) *cobra.Command {
	var o planOptions
	c := &cobra.Command{
		Use:   "plan",
		Short: "Show what a change of the configuration does, without doing it",
		Long: `Show what a change of the configuration does, without doing it.

Each server is one line: keep (nothing differs), relabel (names, filters or limits differ, the connection stays),
restart (it is connected anew), start or stop; then the keys that differ, and the place in the file. Keys
outside the servers follow as "change".

Without --against, the configuration is compared with the one that running processes use; when none
does, everything starts. No server is contacted. The exit code is 2 when a file is wrong.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runPlan(c.Context(), a, o) },
	}
	a.configFlag(c)
	a.serversFlag(c)
	c.Flags().StringVar(&o.against, "against", "", "compare with this `file`, which is the old configuration")
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return c
}

// planned is what plan --json prints: one plan for each process that uses the configuration, else one.
type planned struct {
	Config string      `json:"config"`
	Plans  []shownPlan `json:"plans"`
}

type shownPlan struct {
	Against string        `json:"against,omitempty"` // a file
	PID     int           `json:"pid,omitempty"`     // of a running process
	Changes []shownChange `json:"changes"`
	Global  []string      `json:"global,omitempty"`
	Notices []string      `json:"notices,omitempty"`
	quiet   bool          // it changes nothing
}

type shownChange struct {
	Server        string   `json:"server"`
	Action        string   `json:"action"`
	Keys          []string `json:"keys,omitempty"`
	File          string   `json:"file,omitempty"`
	Line          int      `json:"line,omitempty"`
	Column        int      `json:"column,omitempty"`
	Misconfigured bool     `json:"misconfigured,omitempty"`
}

func runPlan(ctx context.Context, a *app, o planOptions) error {
	cfg, err := a.load(ctx, a.configFile)
	if err != nil {
		return err
	}
	p := planned{Config: cfg.Path}
	if o.against != "" {
		old, err := a.load(ctx, o.against)
		if err != nil {
			return err
		}
		p.Plans = []shownPlan{showPlan(cfg, config.Diff(old, cfg))}
		p.Plans[0].Against = old.Path
	} else if p.Plans, err = a.planRunning(ctx, cfg); err != nil {
		return err
	}
	if len(p.Plans) == 0 {
		a.say("nothing runs with %s, so everything would start", cfg.Path)
		p.Plans = []shownPlan{showPlan(cfg, config.Diff(nil, cfg))}
	}
	return p.print(a, o)
}

// planRunning returns the plans of the processes that use the configuration.
func (a *app) planRunning(ctx context.Context, cfg *config.Config) ([]shownPlan, error) {
	processes, err := control.List(ctx, control.Folders(a.env.LookupEnv))
	if err != nil {
		a.say("plait: %v", err)
	}
	var plans []shownPlan
	for _, process := range processes {
		plan, err := a.planOf(ctx, process, cfg)
		if err != nil {
			return nil, err
		}
		if plan != nil {
			plans = append(plans, *plan)
		}
	}
	return plans, nil
}

// planOf returns the plan of a process, nil if it uses another configuration.
func (a *app) planOf(ctx context.Context, process *control.Process, cfg *config.Config) (*shownPlan, error) {
	defer process.Close()
	status, err := process.Status(ctx)
	if err != nil || status.Config != cfg.Path || a.profile != "" && status.Profile != cfg.Profile {
		return nil, nil //nolint:nilnil // also when it ended meanwhile
	}
	outcome, err := process.Plan(ctx)
	if err != nil {
		return nil, err
	}
	if !outcome.OK {
		return nil, &exitError{exitUsage, fmt.Errorf("process %d cannot use the configuration: %s", process.PID(), told(outcome.Problems))}
	}
	plan := config.Plan{Global: outcome.Global}
	for _, c := range outcome.Changes {
		plan.Changes = append(plan.Changes, config.Change{Server: c.Server, Action: actionOf(c.Action), Keys: c.Keys})
	}
	shown := showPlan(cfg, plan)
	shown.PID, shown.Notices = process.PID(), outcome.Notices
	return &shown, nil
}

// told returns problems that a process told of, one a line.
func told(problems []control.Problem) string {
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

func actionOf(name string) config.Action {
	for action := config.Keep; action <= config.Stop; action++ {
		if action.String() == name {
			return action
		}
	}
	return config.Keep
}

// showPlan returns a plan as it is shown. Where it does not say where a server is, cfg does.
func showPlan(cfg *config.Config, plan config.Plan) shownPlan {
	servers := map[string]*config.Server{}
	for _, s := range cfg.Servers {
		servers[s.Name] = s
	}
	shown := shownPlan{Changes: []shownChange{}, Global: plan.Global, quiet: plan.Quiet()}
	for _, c := range plan.Changes {
		s := servers[c.Server]
		if s != nil {
			c.Pos = s.Pos
		}
		shown.Changes = append(shown.Changes, shownChange{
			Server: c.Server, Action: c.Action.String(), Keys: c.Keys, File: c.Pos.File, Line: c.Pos.Line, Column: c.Pos.Col,
			Misconfigured: s != nil && len(s.Problems) > 0,
		})
	}
	return shown
}

func (p planned) print(a *app, o planOptions) error {
	out := a.redact.writer(a.env.Out)
	if o.json {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		return e.Encode(p)
	}
	for _, plan := range p.Plans {
		if len(p.Plans) > 1 {
			fmt.Fprintf(out, "process %d\n", plan.PID)
		}
		rows, broken := plan.rows()
		var b strings.Builder
		table(&b, rows)
		fmt.Fprint(out, b.String())
		if plan.quiet {
			a.say("nothing changes")
		}
		if len(broken) > 0 {
			a.say("misconfigured, and off: %s; plait validate says why", strings.Join(broken, ", "))
		}
		for _, notice := range plan.Notices {
			a.say("%s", notice)
		}
	}
	return nil
}

// rows returns the lines of a plan, and the misconfigured servers.
func (p shownPlan) rows() (rows [][]string, broken []string) {
	for _, c := range p.Changes {
		place := ""
		if c.Line > 0 {
			place = fmt.Sprintf("%s:%d", c.File, c.Line)
		}
		keys := strings.Join(c.Keys, ", ")
		if c.Misconfigured {
			broken = append(broken, c.Server)
		}
		rows = append(rows, []string{c.Action, c.Server, cmp.Or(keys, "-"), place})
	}
	for _, key := range p.Global {
		rows = append(rows, []string{"change", "-", key})
	}
	return rows, broken
}
