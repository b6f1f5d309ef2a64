// Package cli holds the commands of plait: one file a command, an options struct and a run function each.
//
// Results go to standard output, everything else to standard error, where secrets are taken out. Exit codes:
// 0 ok, 1 internal, 2 configuration or usage, 3 a person has to sign in, 4 a needed server cannot be reached, 6 the tool
// said isError, 7 timeout.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
)

// app is one run of plait.
type app struct {
	env    Env
	redact *redactor
	talk   io.Writer // env.Err, without secrets

	configFile, profile, logLevel, logFile string   // flags of every command that reads a configuration
	servers                                []string // names; nil for all

	alone   bool // nobody is there who could sign in
	bridge  bool // the one server is served as it is, to each client a child of its own
	noFile  bool // flags say what the servers are
	listens bool // a flag has clients served over HTTP
}

// Main runs the command that args name and returns the exit code of the process. The first interrupt or
// termination signal ends the command in good order, the second ends the process.
func Main(args []string, env Env) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	defer context.AfterFunc(ctx, stop)()

	a := &app{env: env, redact: newRedactor()}
	a.talk = a.redact.writer(env.Err)
	started := false
	root := newRoot(a)
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	if slices.Contains(args, "--version") {
		root.Version = readVersion().Version
	}
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !started {
		err = misuse(cmd, err)
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	complain(a.talk, err)
	return int(exitCode(err))
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "plait",
		Short:         "Show many MCP servers as one",
		Long:          "plait connects to the MCP servers of a configuration file and shows them as one MCP server.",
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,

		DisableFlagsInUseLine: true,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			return unknown(c, args[0])
		},
	}
	root.SetIn(a.env.In)
	root.SetOut(a.env.Out)
	root.SetErr(a.talk)
	root.AddCommand(
		newServe(a), newConnect(a), newExpose(a), newDemo(a), newDemoServer(a), newValidate(a), newPlan(a), newSchema(a), newTools(a), newResources(a), newPrompts(a),
		newComplete(a), newStatus(a), newReload(a), newExplain(a), newDoctor(a), newPreflight(a), newAuth(a), newVersion(a),
		newAdd(a), newRemove(a), newEnable(a), newDisable(a), newImport(a), newLink(a), newUnlink(a), newSecrets(a),
	)
	root.SetHelpCommand(newHelp(a))
	return root
}

// group returns a command that only holds others.
func group(use, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknown(c, args[0])
			}
			return usagef("%s needs a command; see %s --help", c.CommandPath(), c.CommandPath())
		},
	}
	c.AddCommand(children...)
	return c
}

// say writes a line for a person.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.talk, format+"\n", args...) }
