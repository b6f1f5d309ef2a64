package cli

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPlaces says where the files of clients are on each system.
func TestPlaces(t *testing.T) {
	none := map[string]string{}
	tests := []struct {
		goos, client string
		env          map[string]string
		want         string
	}{
		{"linux", "claude-desktop", none, "/home/kim/.config/Claude/claude_desktop_config.json"},
		{"darwin", "claude-desktop", none, "/home/kim/Library/Application Support/Claude/claude_desktop_config.json"},
		{"windows", "claude-desktop", none, "/home/kim/AppData/Roaming/Claude/claude_desktop_config.json"},
		{"windows", "claude-desktop", map[string]string{"APPDATA": "/roaming"}, "/roaming/Claude/claude_desktop_config.json"},
		{"linux", "claude-code", none, "/home/kim/.claude.json"},
		{"linux", "claude-code", map[string]string{"CLAUDE_CONFIG_DIR": "/claude"}, "/claude/.claude.json"},
		{"darwin", "cursor", none, "/home/kim/.cursor/mcp.json"},
		{"linux", "vscode", map[string]string{"XDG_CONFIG_HOME": "/xdg"}, "/xdg/Code/User/mcp.json"},
		{"linux", "vscode", map[string]string{"XDG_CONFIG_HOME": "relative"}, "/home/kim/.config/Code/User/mcp.json"},
		{"darwin", "vscode", none, "/home/kim/Library/Application Support/Code/User/mcp.json"},
		{"linux", "codex", none, "/home/kim/.codex/config.toml"},
		{"linux", "codex", map[string]string{"CODEX_HOME": "/codex"}, "/codex/config.toml"},
		{"darwin", "zed", none, "/home/kim/.config/zed/settings.json"},
		{"windows", "zed", none, "/home/kim/AppData/Roaming/Zed/settings.json"},
		{"linux", "windsurf", none, "/home/kim/.codeium/windsurf/mcp_config.json"},
		{"linux", "gemini", none, "/home/kim/.gemini/settings.json"},
	}
	if filepath.Separator != '/' {
		t.Skip("the paths are written as Unix does")
	}
	for _, tt := range tests {
		client, err := findClient(tt.client)
		if err != nil {
			t.Fatal(err)
		}
		p := places{goos: tt.goos, home: "/home/kim", folder: "/work", lookup: func(name string) (string, bool) {
			value, ok := tt.env[name]
			return value, ok
		}}
		if got := client.user(p); got != tt.want {
			t.Errorf("%s on %s with %v: %s, want %s", tt.client, tt.goos, tt.env, got, tt.want)
		}
	}
}

// TestSplitWords splits lines as a shell does.
func TestSplitWords(t *testing.T) {
	tests := map[string][]string{
		"":                        nil,
		"  a  b\tc\n":             {"a", "b", "c"},
		`a 'b "c' d"e 'f"g`:       {"a", `b "c`, "de 'fg"},
		`a\ b \'c ''`:             {"a b", "'c", ""},
		"a \\\n  b":               {"a", "b"},
		`"{\"k\": \"C:\\x\\n\"}"`: {`{"k": "C:\x\n"}`},
		`"C:\path"`:               {`C:\path`},
		`'C:\path\'`:              {`C:\path\`},
	}
	for line, want := range tests {
		got, err := splitWords(line)
		if err != nil {
			t.Errorf("splitWords(%q) = %v", line, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("splitWords(%q) (-want +got):\n%s", line, d)
		}
	}
	for _, line := range []string{`a "b`, `a 'b`, `a \`} {
		if got, err := splitWords(line); err == nil {
			t.Errorf("splitWords(%q) = %q, want an error", line, got)
		}
	}
}
