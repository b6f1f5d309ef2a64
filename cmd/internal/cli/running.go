package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/cmd/internal/control"
)

// The ids of errors of commands.
const (
	idNothingRuns  = "PLAIT-CMD-001" // no running process is meant
	idSeveralRun   = "PLAIT-CMD-002" // more than one is meant
	idNotReachable = "PLAIT-CMD-003" // one is meant that does not answer
)

// meant says which running processes a command means.
type meant struct {
	pid    int    // 0 for any
	config string // "" for any
}

func (m *meant) flags(c *cobra.Command) {
	c.Flags().StringVarP(&m.config, "config", "c", "", "the process that serves this configuration `file`")
	c.Flags().IntVar(&m.pid, "pid", 0, "the process with this `id`")
}

// String returns the rest of a sentence: "serves plait.yaml".
func (m *meant) String() string {
	switch {
	case m.pid != 0:
		return "has the id " + strconv.Itoa(m.pid)
	case m.config != "":
		return "serves " + m.config
	}
	return "runs"
}

// running is a process that runs, and what it said of itself.
type running struct {
	*control.Process

	status control.Status
}

// running returns the processes that are meant, with what they say of themselves, in the order of their ids. The
// caller closes them. Those that do not answer are left out, and are the error.
func (a *app) running(ctx context.Context, m meant) ([]running, error) {
	all, err := control.List(ctx, control.Folders(a.env.LookupEnv))
	problems := []error{err}
	var file string
	if m.config != "" {
		if file, err = filepath.Abs(m.config); err != nil {
			return nil, err
		}
	}
	var found []running
	for _, p := range all {
		if m.pid != 0 && p.PID() != m.pid {
			p.Close()
			continue
		}
		status, err := p.Status(ctx)
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("%w [%s]", err, idNotReachable))
			p.Close()
		case file != "" && !sameFile(status.Config, file):
			p.Close()
		default:
			found = append(found, running{p, status})
		}
	}
	return found, errors.Join(problems...)
}

// one returns the one process that is meant. The caller closes it.
func (a *app) one(ctx context.Context, m meant) (running, error) {
	found, err := a.running(ctx, m)
	if len(found) == 1 {
		return found[0], nil
	}
	var ids []string
	for _, p := range found {
		ids = append(ids, fmt.Sprintf("%d (%s)", p.PID(), p.status.Config))
		p.Close()
	}
	switch {
	case len(found) > 0:
		return running{}, usagef("several processes run: %s; choose one with --pid [%s]", strings.Join(ids, ", "), idSeveralRun)
	case err != nil:
		return running{}, &exitError{exitUnreachable, err}
	}
	return running{}, nothingRuns(m)
}

func nothingRuns(m meant) error {
	return &exitError{exitUnreachable, fmt.Errorf("no plait %s; a client that has it configured starts it, or start plait serve [%s]", &m, idNothingRuns)}
}

// sameFile reports whether two paths lead to one file.
func sameFile(a, b string) bool {
	resolve := func(path string) string {
		if target, err := filepath.EvalSymlinks(path); err == nil {
			return target
		}
		return path
	}
	return a == b || resolve(a) == resolve(b)
}
