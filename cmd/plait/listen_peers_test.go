package main_test

import (
	"strings"
	"testing"
)

// listenToEverything starts a plait that serves server-everything over HTTP to who shows a token.
func listenToEverything(t *testing.T, token string) string {
	t.Helper()
	base, _ := listen(t, nil, "serve", "--stdio=false", "--config", jsonFile(t, map[string]any{
		"mcpServers": map[string]any{"everything": startEverything(t, "http").server("")},
		"startup":    map[string]any{"wait": hung.String()},
		"serve":      map[string]any{"http": map[string]any{"listen": ":0", "auth": map[string]any{"bearer": token}}},
	}))
	return base
}

// printing is what a client on the command line prints.
type printing struct {
	args []string
	want string
}

func (p printing) check(t *testing.T, command []string) {
	t.Helper()
	if got := unescaped(printed(t, append(command, p.args...))); !strings.Contains(got, p.want) {
		t.Errorf("%q prints %q, want %q", p.args, got, p.want)
	}
}

const (
	everythingDocument = "demo://resource/static/document/architecture.md"
	everythingText     = "Architecture"
)

// TestInspectorByURL has mcp-inspector --cli come by URL, with a token, over both wires.
func TestInspectorByURL(t *testing.T) {
	t.Parallel()
	node, program := nodeJS(t, 22), npmFile(t, "@modelcontextprotocol/inspector", "clients", "launcher", "build", "index.js")
	base := listenToEverything(t, "open-sesame-open")
	for wire, path := range map[string]string{"http": "/mcp", "sse": "/sse"} {
		t.Run(wire, func(t *testing.T) {
			t.Parallel()
			command := []string{
				node, program, "--cli", "--server-url", base + path, "--transport", wire,
				"--header", "Authorization: Bearer open-sesame-open", "--connect-timeout", "60000", "--method",
			}
			all := []printing{
				{[]string{"tools/list"}, `"get-sum"`},
				{[]string{"tools/call", "--tool-name", "echo", "--tool-arg", "message=by URL"}, "Echo: by URL"},
				{[]string{"resources/list"}, everythingDocument},
				{[]string{"resources/read", "--uri", everythingDocument}, everythingText},
				{[]string{"prompts/list"}, `"simple-prompt"`},
				{[]string{"prompts/get", "--prompt-name", "args-prompt", "--prompt-args", "city=Bern"}, "Bern"},
			}
			if wire == "sse" {
				all = all[:2] // each takes seconds
			}
			for _, p := range all {
				p.check(t, command)
			}
		})
	}
}

// TestMcporterByURL has mcporter, which knows no prompts, come by URL, with a token, over both wires.
func TestMcporterByURL(t *testing.T) {
	t.Parallel()
	node, program := nodeJS(t, 22), npmFile(t, "mcporter", "dist", "cli.js")
	base := listenToEverything(t, "open-sesame-open")
	for wire, path := range map[string]string{"http": "/mcp", "sse": "/sse"} {
		t.Run(wire, func(t *testing.T) {
			t.Parallel()
			command := []string{node, program, "--config", jsonFile(t, map[string]any{"mcpServers": map[string]any{
				"plait": map[string]any{"url": base + path, "headers": map[string]any{"Authorization": "Bearer open-sesame-open"}},
			}})}
			for _, p := range []printing{
				{[]string{"list", "plait", "--json", "--timeout", "60000"}, `"get-sum"`},
				{[]string{"call", "plait.echo", "message=by URL", "--output", "json"}, "Echo: by URL"},
				{[]string{"resource", "plait", "--json"}, everythingDocument},
				{[]string{"resource", "plait", everythingDocument, "--json"}, everythingText},
			} {
				p.check(t, command)
			}
		})
	}
}
