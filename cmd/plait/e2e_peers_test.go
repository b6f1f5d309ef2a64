package main_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// toolClient is a real client that has plait as its server.
type toolClient struct {
	list func(t *testing.T) []string
	call func(t *testing.T, tool string, args map[string]string) (text string)

	close func() error // nil: there is nothing to close
}

// TestE2EPeers lets real clients list and call the tools of all real servers at once.
func TestE2EPeers(t *testing.T) {
	t.Parallel()
	e := startEverythings(t)
	for name, connect := range map[string]func(t *testing.T, config string) toolClient{
		"mcp-go": mcpGoClient, "go-sdk": goSDKClient, "mcp-inspector": inspector, "mcporter": mcporter,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			note := filepath.Join(folder, "note.txt")
			if err := os.WriteFile(note, []byte("a strand"), 0o600); err != nil {
				t.Fatal(err)
			}
			servers := filesAndMemory(t, folder)
			for _, wire := range wires {
				servers[wire] = e[wire].server("ev-" + wire)
			}
			c := connect(t, configFile(t, servers))
			if c.close != nil {
				defer func() {
					if err := c.close(); err != nil {
						t.Error(err)
					}
				}()
			}
			tools := c.list(t)
			for _, call := range []struct {
				tool string
				args map[string]string
				want string
			}{
				{"ev-http_echo", map[string]string{"message": "over http"}, "Echo: over http"},
				{"ev-sse_echo", map[string]string{"message": "over sse"}, "Echo: over sse"},
				{"ev-stdio_echo", map[string]string{"message": "over stdio"}, "Echo: over stdio"},
				{"fs_read_text_file", map[string]string{"path": note}, "a strand"},
				{"mem_search_nodes", map[string]string{"query": "nothing"}, `"entities"`},
			} {
				if !slices.Contains(tools, call.tool) {
					t.Errorf("no tool %s in %q", call.tool, tools)
				}
				if got := c.call(t, call.tool, call.args); !strings.Contains(got, call.want) {
					t.Errorf("%s(%v) = %q, want %q", call.tool, call.args, got, call.want)
				}
			}
		})
	}
}

// plaitCommand is plait as the child of a client; its stderr is checked when the test has ended.
func plaitCommand(t *testing.T, config string) *exec.Cmd {
	t.Helper()
	p := newProgram(t, testEnv(t), plaitProgram(t), "serve", "--config", config)
	p.cmd.Stdout = nil // the client's
	t.Cleanup(func() { p.check(t) })
	return p.cmd
}

func mcpGoClient(t *testing.T, config string) toolClient {
	t.Helper()
	cmd := plaitCommand(t, config)
	c := client.NewClient(transport.NewStdioWithOptions(cmd.Path, nil, nil, transport.WithCommandStderrWriter(cmd.Stderr),
		transport.WithCommandFunc(func(context.Context, string, []string, []string) (*exec.Cmd, error) {
			cmd.Stderr = nil // a pipe of the client's, which it copies
			return cmd, nil
		})))
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var hello mcp.InitializeRequest
	hello.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	hello.Params.ClientInfo = mcp.Implementation{Name: "mcp-go", Version: "1"}
	if _, err := c.Initialize(t.Context(), hello); err != nil {
		t.Fatal(err)
	}
	return toolClient{
		list: func(t *testing.T) []string {
			t.Helper()
			got, err := c.ListTools(t.Context(), mcp.ListToolsRequest{})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, tool := range got.Tools {
				names = append(names, tool.Name)
			}
			return names
		},
		call: func(t *testing.T, tool string, args map[string]string) string {
			t.Helper()
			var r mcp.CallToolRequest
			r.Params.Name, r.Params.Arguments = tool, args
			got, err := c.CallTool(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			return encoded(t, got.Content)
		},
		close: c.Close,
	}
}

func goSDKClient(t *testing.T, config string) toolClient {
	t.Helper()
	c := sdk.NewClient(&sdk.Implementation{Name: "go-sdk", Version: "1"}, nil)
	session, err := c.Connect(t.Context(), &sdk.CommandTransport{Command: plaitCommand(t, config)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return toolClient{
		list: func(t *testing.T) []string {
			t.Helper()
			var names []string
			for tool, err := range session.Tools(t.Context(), nil) {
				if err != nil {
					t.Fatal(err)
				}
				names = append(names, tool.Name)
			}
			return names
		},
		call: func(t *testing.T, tool string, args map[string]string) string {
			t.Helper()
			got, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: args})
			if err != nil {
				t.Fatal(err)
			}
			return encoded(t, got.Content)
		},
		close: session.Close,
	}
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return unescaped(text)
}

// unescaped lets JSON within JSON be read.
func unescaped(text []byte) string { return strings.ReplaceAll(string(text), `\"`, `"`) }

// clientConfig writes the configuration of a client with plait as the only server.
func clientConfig(t *testing.T, config string) string {
	t.Helper()
	return jsonFile(t, map[string]any{"mcpServers": map[string]any{
		"plait": map[string]any{"command": plaitProgram(t), "args": []string{"serve", "--config", config}},
	}})
}

// inspector is mcp-inspector --cli, which starts plait for each request.
func inspector(t *testing.T, config string) toolClient {
	t.Helper()
	command := []string{
		nodeJS(t, 22), npmFile(t, "@modelcontextprotocol/inspector", "clients", "launcher", "build", "index.js"),
		"--cli", "--config", clientConfig(t, config), "--server", "plait", "--method",
	}
	return toolClient{
		list: func(t *testing.T) []string {
			t.Helper()
			return printedTools(t, append(command, "tools/list"))
		},
		call: func(t *testing.T, tool string, args map[string]string) string {
			t.Helper()
			return printedResult(t, append(command, "tools/call", "--tool-name", tool), "--tool-arg", args)
		},
	}
}

// mcporter starts plait for each request.
func mcporter(t *testing.T, config string) toolClient {
	t.Helper()
	command := []string{nodeJS(t, 22), npmFile(t, "mcporter", "dist", "cli.js"), "--config", clientConfig(t, config)}
	return toolClient{
		list: func(t *testing.T) []string {
			t.Helper()
			return printedTools(t, append(command, "list", "plait", "--json"))
		},
		call: func(t *testing.T, tool string, args map[string]string) string {
			t.Helper()
			return printedResult(t, append(command, "call", "plait."+tool, "--output", "json"), "", args)
		},
	}
}

// printed runs a client on the command line and returns what it prints.
func printed(t *testing.T, command []string) []byte {
	t.Helper()
	p := newProgram(t, append(testEnv(t), "MCP_INSPECTOR_SECRET_STORE=memory"), command...)
	p.run()
	p.check(t)
	return p.stdout.Bytes()
}

func printedTools(t *testing.T, command []string) []string {
	t.Helper()
	var got struct{ Tools []struct{ Name string } }
	text := printed(t, command)
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%q printed %q: %v", command, text, err)
	}
	var names []string
	for _, tool := range got.Tools {
		names = append(names, tool.Name)
	}
	return names
}

// printedResult adds each argument to the command as key=value, after the flag if there is one.
func printedResult(t *testing.T, command []string, flag string, args map[string]string) string {
	t.Helper()
	for key, value := range args {
		if flag != "" {
			command = append(command, flag)
		}
		command = append(command, key+"="+value)
	}
	return unescaped(printed(t, command))
}
