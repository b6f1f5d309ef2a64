package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/cmd/internal/control"
	"github.com/plait-mcp/plait/upstream"
)

type statusOptions struct {
	meant meant
	watch bool
	json  bool
}

func newStatus(a *app) *cobra.Command {
	var o statusOptions
	c := &cobra.Command{
		Use:   "status",
		Short: "Show what runs: each process, its clients and its servers",
		Long: `Show what runs: each process of yours, where it listens, its clients and its servers, as each client has them.

TOOLS are those that are shown and all; * marks those from a snapshot, which the server has not confirmed yet. A
row that is not ready ends with what to do; plait help ID says more about an error.

The exit code is 4 when no process runs.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runStatus(c.Context(), a, o) },
	}
	o.meant.flags(c)
	c.Flags().BoolVarP(&o.watch, "watch", "w", false, "go on until interrupted: draw anew each second, or print a line of JSON")
	c.Flags().BoolVar(&o.json, "json", false, "print JSON: one line, a list with an element for each process")
	return c
}

func runStatus(ctx context.Context, a *app, o statusOptions) error {
	if !o.watch {
		return a.showStatus(ctx, o, a.env.Out)
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		var page strings.Builder
		if err := a.showStatus(ctx, o, &page); err != nil && ctx.Err() == nil {
			fmt.Fprintln(&page, "plait:", harmless(err.Error()))
		}
		if ctx.Err() != nil {
			return nil // as asked
		}
		if isTerminal(a.env.Out) && !o.json {
			fmt.Fprint(a.env.Out, "\x1b[H\x1b[2J")
		}
		if _, err := io.WriteString(a.env.Out, page.String()); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (a *app) showStatus(ctx context.Context, o statusOptions, to io.Writer) error {
	found, err := a.running(ctx, o.meant)
	all := make([]control.Status, len(found))
	for i, p := range found {
		all[i] = p.status
		p.Close()
	}
	out := a.redact.writer(to)
	if o.json {
		if err := encode(out, all); err != nil {
			return err
		}
	} else {
		for i, s := range all {
			if i > 0 {
				fmt.Fprintln(out)
			}
			describeStatus(out, s, time.Now())
		}
	}
	switch {
	case err != nil:
		return &exitError{exitUnreachable, err}
	case len(found) == 0:
		return nothingRuns(o.meant)
	}
	return nil
}

// describeStatus prints the condition of one process at a time.
func describeStatus(out io.Writer, s control.Status, now time.Time) {
	what := s.Config
	if what == "" {
		what = "one server, without a file"
	}
	if s.Profile != "" {
		what += ", profile " + s.Profile
	}
	fmt.Fprintf(out, "process %d: %s\n", s.PID, harmless(what))
	fmt.Fprintf(out, "plait %s, up %s, generation %d for %s%s\n", s.Version, brief(now.Sub(s.Started)), s.Generation,
		brief(now.Sub(s.Since)), reloaded(s.Reload, now))
	if s.Reload != nil && !s.Reload.OK {
		for _, p := range s.Reload.Problems {
			fmt.Fprintln(out, "  "+harmless(p.String()))
		}
	}
	if s.URLs != nil {
		fmt.Fprintln(out, "listening at "+harmless(strings.Join(s.URLs, " and ")))
	}
	snapshot := false
	for _, c := range s.Clients {
		switch {
		case c.Name != "":
			fmt.Fprintf(out, "client %s %s%s\n", oneLine(c.Name), c.Version, came(c, now))
		default:
			fmt.Fprintln(out, "no client yet")
		}
		rows := [][]string{{"SERVER", "STATE", "ERA", "TOOLS", "IDENTITY", "EXPIRES", "SINCE", "LATENCY", "LAST ERROR", "NEXT"}}
		for _, server := range c.Servers {
			rows = append(rows, row(server, now))
			snapshot = snapshot || server.Snapshot
		}
		table(out, rows)
	}
	if snapshot {
		fmt.Fprintln(out, "* from a snapshot")
	}
}

// came says for which profile a client came, and when.
func came(c control.Client, now time.Time) string {
	text := ""
	if c.Profile != "" {
		text += ", profile " + oneLine(c.Profile)
	}
	if c.Since != nil {
		text += ", for " + brief(now.Sub(*c.Since))
	}
	return text
}

// reloaded says how the last reload went.
func reloaded(o *control.Outcome, now time.Time) string {
	switch {
	case o == nil:
		return ""
	case o.OK:
		return fmt.Sprintf("; reloaded by %s %s ago", o.Cause, brief(now.Sub(o.At)))
	}
	return fmt.Sprintf("; a reload by %s %s ago changed nothing:", o.Cause, brief(now.Sub(o.At)))
}

// row is the line of a server.
func row(s control.Server, now time.Time) []string {
	era, tools, expires, since, latency := none, none, none, none, none
	if s.Era != "" {
		era = s.Era
	}
	if s.ToolsAll > 0 || s.State == upstream.Ready.String() {
		tools = fmt.Sprintf("%d/%d", s.Tools, s.ToolsAll)
	}
	if s.Snapshot {
		tools += "*"
	}
	if s.Expires != nil {
		expires = brief(max(0, s.Expires.Sub(now)))
	}
	if s.Since != nil {
		since = brief(now.Sub(*s.Since))
	}
	if s.LatencyMS > 0 {
		latency = brief(time.Duration(s.LatencyMS * float64(time.Millisecond)))
	}
	return []string{s.Server, s.State, era, tools, orNone(s.Identity), expires, since, latency, orNone(s.Error), next(s, now)}
}

// none is an empty cell of a table.
const none = "–"

func orNone(text string) string {
	if text == "" {
		return none
	}
	return text
}

// next says what to do about a server that is not ready, and what plait does.
func next(s control.Server, now time.Time) string {
	text := s.Next
	and := func(more string) { text = strings.TrimPrefix(text+"; "+more, "; ") }
	switch s.State {
	case upstream.Connecting.String():
		text = "wait"
	case upstream.Waiting.String():
		if s.Retry != nil {
			and("tried again in " + brief(max(0, s.Retry.Sub(now))))
		}
	case upstream.Idle.String():
		and("connects when it is used")
	}
	if s.ID != "" {
		text = strings.TrimSpace(text + " [" + s.ID + "]")
	}
	return text
}
