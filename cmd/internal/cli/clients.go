package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/plait-mcp/plait/config/edit"
)

// mcpClient is a program that keeps a list of MCP servers in a file.
type mcpClient struct {
	name  string
	title string
	keys  []string                                     // that lead to its servers
	user  func(p places) string                        // its file for the user
	local string                                       // its file in the folder of a project, "" for none
	entry func(command string, args []any) edit.Fields // what it wants to have of plait
	next  string                                       // what a person does after an edit
}

// clientFile is a file with servers of a client.
type clientFile struct {
	path    string
	keys    []string // that lead to the servers
	project string   // the folder of the project that the servers are for, "" for all
}

// places are the folders of this machine and its user.
type places struct {
	goos   string
	lookup func(string) (string, bool)
	home   string
	folder string // the current one
}

// places returns those of this run.
func (a *app) places() (places, error) {
	folder, err := os.Getwd()
	p := places{goos: runtime.GOOS, lookup: a.env.LookupEnv, folder: folder}
	name := "HOME"
	if p.goos == "windows" {
		name = "USERPROFILE"
	}
	p.home, _ = p.lookup(name)
	return p, err
}

// under returns a path below the home folder.
func (p places) under(elements ...string) string {
	return filepath.Join(append([]string{p.home}, elements...)...)
}

// variable returns a folder that a variable names, else the one that is given.
func (p places) variable(name, otherwise string) string {
	if folder, _ := p.lookup(name); filepath.IsAbs(folder) {
		return folder
	}
	return otherwise
}

// config returns the folder in which programs keep their settings.
func (p places) config() string {
	switch p.goos {
	case "windows":
		return p.variable("APPDATA", p.under("AppData", "Roaming"))
	case "darwin":
		return p.under("Library", "Application Support")
	}
	return p.variable("XDG_CONFIG_HOME", p.under(".config"))
}

// stdioEntry is what most clients want.
func stdioEntry(command string, args []any) edit.Fields {
	return edit.Fields{{Key: "command", Value: command}, {Key: "args", Value: args}}
}

// typedEntry is for clients that want the type as well.
func typedEntry(command string, args []any) edit.Fields {
	return append(edit.Fields{{Key: "type", Value: "stdio"}}, stdioEntry(command, args)...)
}

func zedEntry(command string, args []any) edit.Fields {
	return append(edit.Fields{{Key: "source", Value: "custom"}}, append(stdioEntry(command, args), edit.Field{Key: "env", Value: edit.Fields{}})...)
}

// clients are all programs whose files are known.
func clients() []mcpClient {
	standard := []string{"mcpServers"}
	return []mcpClient{
		{
			name: "claude-desktop", title: "Claude Desktop", keys: standard, entry: stdioEntry,
			user: func(p places) string { return filepath.Join(p.config(), "Claude", "claude_desktop_config.json") },
			next: "quit Claude Desktop and start it again",
		},
		{
			name: "claude-code", title: "Claude Code", keys: standard, entry: typedEntry, local: ".mcp.json",
			user: func(p places) string { return filepath.Join(p.variable("CLAUDE_CONFIG_DIR", p.home), ".claude.json") },
			next: "start a new session of claude, and look at /mcp",
		},
		{
			name: "cursor", title: "Cursor", keys: standard, entry: stdioEntry, local: ".cursor/mcp.json",
			user: func(p places) string { return p.under(".cursor", "mcp.json") },
			next: "switch the server on in Cursor's settings, under MCP, if it is off",
		},
		{
			name: "vscode", title: "VS Code", keys: []string{"servers"}, entry: typedEntry, local: ".vscode/mcp.json",
			user: func(p places) string { return filepath.Join(p.config(), "Code", "User", "mcp.json") },
			next: "run MCP: List Servers in VS Code, and start it there",
		},
		{
			name: "codex", title: "Codex", keys: []string{"mcp_servers"}, entry: stdioEntry, local: ".codex/config.toml",
			user: func(p places) string {
				return filepath.Join(p.variable("CODEX_HOME", p.under(".codex")), "config.toml")
			},
			next: "start a new session of codex",
		},
		{
			name: "zed", title: "Zed", keys: []string{"context_servers"}, entry: zedEntry, local: ".zed/settings.json",
			user: zedSettings, next: "Zed notices by itself; look at its agent panel",
		},
		{
			name: "windsurf", title: "Windsurf", keys: standard, entry: stdioEntry,
			user: func(p places) string { return p.under(".codeium", "windsurf", "mcp_config.json") },
			next: "press refresh in Windsurf's list of MCP servers",
		},
		{
			name: "gemini", title: "Gemini CLI", keys: standard, entry: stdioEntry, local: ".gemini/settings.json",
			user: func(p places) string { return p.under(".gemini", "settings.json") },
			next: "start a new session of gemini, and look at /mcp",
		},
	}
}

// zedSettings is at the same place on macOS and Linux.
func zedSettings(p places) string {
	if p.goos == "windows" {
		return filepath.Join(p.config(), "Zed", "settings.json")
	}
	return filepath.Join(p.variable("XDG_CONFIG_HOME", p.under(".config")), "zed", "settings.json")
}

// findClient returns the client of that name, however it is written.
func findClient(name string) (mcpClient, error) {
	var names []string
	for _, c := range clients() {
		if strings.EqualFold(c.name, name) {
			return c, nil
		}
		names = append(names, c.name)
	}
	return mcpClient{}, coded(idNoClient, "%q is no client that plait knows%s; it knows %s", name, didYouMean(name, names), strings.Join(names, ", "))
}

// files returns where the client may keep servers: for the user, then for the project in the current folder.
func (c mcpClient) files(p places) []clientFile {
	files := []clientFile{{path: c.user(p), keys: c.keys}}
	if c.name == "vscode" { // before it had a file for them
		files = append(files, clientFile{path: filepath.Join(p.config(), "Code", "User", "settings.json"), keys: []string{"mcp", "servers"}})
	}
	if c.name == "claude-code" {
		files = append(files, clientFile{path: c.user(p), keys: []string{"projects", p.folder, "mcpServers"}, project: p.folder})
	}
	if c.local != "" {
		files = append(files, clientFile{path: filepath.Join(p.folder, filepath.FromSlash(c.local)), keys: c.keys, project: p.folder})
	}
	return files
}
