package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/cmd/internal/demo"
	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

const demoServer = "demo-server"

func newDemo(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "demo", Short: "Start three small servers, merge them and call them",
		Long: "Start three small servers, one for each wire, merge them as serve does, and call a tool of each.\nNothing needs to be configured, and nothing leaves this machine.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runDemo(c.Context(), a) },
	}
	a.logFlags(c)
	return c
}

// newDemoServer is the stdio server of the demo: plait, executed once more.
func newDemoServer(*app) *cobra.Command {
	return &cobra.Command{
		Use: demoServer, Hidden: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return demo.ServeStdio(c.Context()) },
	}
}

func runDemo(ctx context.Context, a *app) (err error) {
	executable, err := a.env.Executable()
	if err != nil {
		return err
	}
	servers, err := demo.Listen(ctx)
	if err != nil {
		return fmt.Errorf("start the servers of the demo: %w", err)
	}
	defer func() { err = errors.Join(err, servers.Close()) }()
	folder, err := os.MkdirTemp("", "plait-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)

	a.heading("Three servers, one for each wire, in %s", filepath.Join(folder, "plait.yaml"))
	text := demoConfig(executable, servers)
	a.prose(text)
	file := filepath.Join(folder, "plait.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	cfg, err := a.load(ctx, file)
	if err != nil {
		return err
	}
	if err := a.tour(ctx, narrow(cfg, nil)); err != nil {
		return err
	}
	a.heading("Your own: write plait.yaml like the one above, and paste this into your MCP client")
	if strings.Contains(executable, "go-build") {
		a.prose("(`go install ./cmd/plait` puts plait on the search path; that of `go run` is gone now)")
		executable = "plait"
	}
	a.prose(snippet(executable))
	return nil
}

// demoConfig is the configuration of the demo. JSON strings are YAML strings.
func demoConfig(executable string, s *demo.Servers) string {
	return fmt.Sprintf(`mcpServers:
  library: {url: %s}
  notes: {url: %s, transport: sse}
  desk: {command: %s, args: [%s]}
`, s.LibraryURL, s.NotesURL, jsonrpc.Quote(executable), demoServer)
}

// tour shows what plait makes of the servers of the demo.
func (a *app) tour(ctx context.Context, cfg *config.Config) error {
	g, err := a.open(ctx, cfg, a.logging(config.Log{Level: "error", Format: "text"}), "")
	if err != nil {
		return err
	}
	defer g.shut()
	show := func(params jsonrpc.Raw) { a.prose(progressLine(params)) }
	q := &query{app: a}
	if err := q.connect(ctx, g, show); err != nil {
		return err
	}
	defer q.close()

	a.heading("Their tools, as a client of plait sees them")
	tools, _, err := q.list(ctx, protocol.Tools)
	if err != nil {
		return err
	}
	if err := q.missing(); err != nil {
		return err
	}
	a.table(tools, []column{
		text("TOOL", []string{"name"}),
		{"SERVER", func(tool jsonrpc.Raw) string { return origin(cfg, tool).server }},
		{"ITS NAME THERE", func(tool jsonrpc.Raw) string { return origin(cfg, tool).name }},
		text("DESCRIPTION", []string{"description"}),
	})
	for _, words := range [][]string{
		{"library_index"}, {"notes_search", "query=strand"}, {"desk_sum", "numbers=[19,23]"}, {"desk_process"},
	} {
		a.heading("plait tools call %s", strings.Join(words, " "))
		given, err := readArguments(nil, words[1:])
		if err != nil {
			return err
		}
		if err := runToolsCall(ctx, q, words[0], given); err != nil {
			return err
		}
	}
	return nil
}

// place is where a tool comes from.
type place struct{ server, name string }

// origin finds out where a tool of the demo comes from: its names are short, so that none is hashed.
func origin(cfg *config.Config, tool jsonrpc.Raw) place {
	exposed, _ := jsonrpc.GetString(tool, "name")
	for _, s := range cfg.Servers {
		if name, ok := strings.CutPrefix(exposed, s.Prefix+cfg.Naming.Separator); ok {
			return place{s.Name, name}
		}
	}
	return place{name: exposed}
}

// snippet is the entry for the configuration of a client.
func snippet(executable string) string {
	file, err := filepath.Abs("plait.yaml")
	if err != nil {
		file = "plait.yaml"
	}
	type entry struct {
		Command string   `json:"command"`
		Args    []string `json:"args"`
	}
	text, _ := json.MarshalIndent(map[string]map[string]entry{
		"mcpServers": {"plait": {executable, []string{"serve", "--config", file}}},
	}, "", "  ")
	return string(text)
}

// heading prints what comes next.
func (a *app) heading(format string, args ...any) {
	fmt.Fprintf(a.env.Out, "\n# "+format+"\n\n", args...)
}
