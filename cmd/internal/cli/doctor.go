package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/transport"
)

type doctorOptions struct {
	servers []string
	json    bool
}

func newDoctor(a *app) *cobra.Command {
	var o doctorOptions
	c := &cobra.Command{
		Use:   "doctor [SERVER ...]",
		Short: "Check the configuration and the way to each server, step by step",
		Long: `Check the configuration and the way to each server, step by step: where sign-ins are kept, variables, DNS, proxy,
TCP, TLS, the clock, the sign-in and the handshake, or the command of a server that is started here. A step that fails says what
to try next.

The exit code is 2 when the configuration is at fault, 3 when a person has to sign in, and 4 when a server cannot be reached.`,
		RunE: func(c *cobra.Command, args []string) error {
			o.servers = args
			return runDoctor(c.Context(), a, o)
		},
	}
	a.configFlag(c)
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return c
}

// result is how a step went.
type result string

const (
	pass result = "PASS"
	fail result = "FAIL"
	skip result = "SKIP" // it does not apply, or one before failed
)

// step is one step of an examination.
type step struct {
	Step   string `json:"step"`
	Result result `json:"result"`
	Detail string `json:"detail,omitempty"`
	Next   string `json:"next,omitempty"` // what to try
}

// examination is what the doctor found out about the configuration, or about one server.
type examination struct {
	Server string `json:"server,omitempty"` // "" for the configuration
	Steps  []step `json:"steps"`

	ends code // of the first step that failed, when that is not the usual one
}

func (e *examination) pass(name, detail string) {
	e.Steps = append(e.Steps, step{name, pass, detail, ""})
}

func (e *examination) fail(name, detail, next string) {
	e.Steps = append(e.Steps, step{name, fail, detail, next})
}

func (e *examination) skip(detail string, names ...string) {
	for _, name := range names {
		e.Steps = append(e.Steps, step{name, skip, detail, ""})
	}
}

func (e *examination) failed() bool {
	for _, s := range e.Steps {
		if s.Result == fail {
			return true
		}
	}
	return false
}

// code returns how the doctor ends who found that.
func (e *examination) code() code {
	switch {
	case !e.failed():
		return exitOK
	case e.misconfigured():
		return exitUsage
	case e.ends != exitOK:
		return e.ends
	}
	return exitUnreachable
}

// misconfigured reports whether it is the configuration that failed.
func (e *examination) misconfigured() bool {
	return e.failed() && (e.Steps[0].Step == stepConfig || e.Steps[0].Step == stepSettings) && e.Steps[0].Result == fail
}

// The steps.
const (
	stepConfig    = "config"
	stepStore     = "store"
	stepSettings  = "settings"
	stepProxy     = "proxy"
	stepDNS       = "dns"
	stepTCP       = "tcp"
	stepTLS       = "tls"
	stepClock     = "clock"
	stepSignIn    = "sign-in"
	stepCommand   = "command"
	stepStart     = "start"
	stepHandshake = "handshake"
)

const becauseBefore = "a step before failed"

func runDoctor(ctx context.Context, a *app, o doctorOptions) error {
	all, err := a.examine(ctx, o.servers)
	if err != nil {
		return err
	}
	if o.json {
		e := json.NewEncoder(a.redact.writer(a.env.Out))
		e.SetEscapeHTML(false)
		err = e.Encode(all)
	} else {
		_, err = fmt.Fprint(a.redact.writer(a.env.Out), harmless(describe(all)))
	}
	if err != nil {
		return err
	}
	exit := &exitError{code: exitOK}
	for _, e := range all {
		if c := e.code(); c != exitOK && (exit.code == exitOK || c < exit.code) {
			exit.code = c
		}
	}
	if exit.code == exitOK {
		return nil
	}
	return exit
}

// examine examines the configuration and the servers with these names, all if there are none.
func (a *app) examine(ctx context.Context, names []string) ([]*examination, error) {
	first := &examination{}
	cfg, err := a.load(ctx, a.configFile)
	if problems, ok := errors.AsType[config.Problems](err); ok {
		for _, p := range problems {
			first.fail(stepConfig, p.Pos.String()+": "+problemText(p), p.Hint)
		}
		return []*examination{first}, nil
	}
	if err != nil {
		return nil, err
	}
	first.pass(stepConfig, fmt.Sprintf("%s: %s, %s", cfg.Path, count(len(cfg.Servers), "server"), count(len(cfg.Warnings), "warning")))
	chosen := cfg.Servers
	if len(names) > 0 {
		need, err := named(cfg, names)
		if err != nil {
			return nil, err
		}
		chosen = nil
		for _, s := range cfg.Servers {
			if need(cfg, s) {
				chosen = append(chosen, s)
			}
		}
	}
	log, err := a.openLog(logging{level: "off"})
	if err != nil {
		return nil, err
	}
	defer log.Close()
	accounts, err := a.openAccounts(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	defer accounts.close()
	accounts.examine(ctx, first)
	guardian := transport.NewGuardian(nil)
	defer guardian.Close()
	d := &doctor{limit: cfg.Limits.Message, guardian: guardian, accounts: accounts}
	all := append([]*examination{first}, make([]*examination, len(chosen))...)
	var group errgroup.Group
	group.SetLimit(8)
	for i, s := range chosen {
		group.Go(func() error {
			all[i+1] = d.examine(ctx, s)
			return nil
		})
	}
	_ = group.Wait() // the functions return none
	return all, ctx.Err()
}

// problemText returns what is wrong, and where in the configuration.
func problemText(p config.Problem) string {
	if p.Path == "" {
		return p.Msg
	}
	return p.Path + ": " + p.Msg
}

// doctor examines servers. Any goroutine may call its methods.
type doctor struct {
	limit    int64 // bytes of a message
	guardian *transport.Guardian
	accounts *accounts
}

func (d *doctor) examine(ctx context.Context, s *config.Server) *examination {
	e := &examination{Server: s.Name}
	steps := []string{stepProxy, stepDNS, stepTCP, stepTLS, stepClock, stepSignIn, stepHandshake}
	if s.Type == config.Stdio {
		steps = []string{stepCommand, stepStart, stepHandshake}
	}
	switch {
	case len(s.Problems) > 0:
		for _, p := range s.Problems {
			e.fail(stepSettings, p.Pos.String()+": "+problemText(p), p.Hint)
		}
		e.skip(becauseBefore, steps...)
		return e
	case s.Type == config.Stdio:
		e.pass(stepSettings, "all variables are set")
		d.start(ctx, s, e)
	default:
		e.pass(stepSettings, "all variables are set")
		d.reach(ctx, s, e)
	}
	for _, name := range steps[len(e.Steps)-1:] {
		e.skip(becauseBefore, name)
	}
	return e
}

// describe returns the examinations for a person.
func describe(all []*examination) string {
	var b strings.Builder
	for _, e := range all {
		indent := ""
		if e.Server != "" {
			fmt.Fprintf(&b, "\n%s\n", e.Server)
			indent = "  "
		}
		for _, s := range e.Steps {
			line := fmt.Sprintf("%s%-9s  %s  %s", indent, s.Step, s.Result, strings.ReplaceAll(s.Detail, "\n", "\n"+strings.Repeat(" ", 19)))
			fmt.Fprintln(&b, strings.TrimRight(line, " "))
			if s.Next != "" {
				fmt.Fprintf(&b, "%s           →     %s\n", indent, s.Next)
			}
		}
	}
	return b.String()
}

// brief returns a duration as a person wants it.
func brief(d time.Duration) string {
	switch {
	case d > 0 && d < time.Millisecond:
		return "<1ms"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0fh", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}
