package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// parity are the programs that plait stands in for, and what each of them offers but its packages: one row each in the
// README.
var parity = map[string][]string{
	"hyper-mcp-remote": {
		"SERVER_URL", "--header", "--resource", "--client-name", "--scope", "--callback-host", "--callback-port", "--auth-timeout-secs",
		"--reset-auth", "--allow-http", "--ping-interval-secs", "sign-in", "keyring", "anonymous", "both directions", "HYPER_MCP_REMOTE_LOG_PATH",
		"authorization URL in the log", "self-signed",
	},
	"hyper-mcp-proxy": {
		"COMMAND", "--host", "one child per session", "capabilities probed", "tools, resources, templates, prompts, completions", "no authentication",
		"Ctrl-C drains", "dropped",
	},
	"mikluko/mcp-proxy": {
		"`URL`", "--listen", "--header", "--transport", "--host", "--allow-http", "--log-level", "--enable-proxy", "--ignore-tool", "--auth-timeout",
		"--resource", "--static-oauth-client-metadata", "share one upstream connection", "cache folder",
	},
	"mcp-oauth2-proxy": {
		"MCP_PROXY_CONFIG", "UPSTREAM_URL", "OAUTH2_GRANT", "OAUTH2_INTERACTIVE", "ALLOW_INSECURE_HTTP", "access tokens in memory only", "refresh with skew",
		"server stream", "callback checks Host", "redaction", "SSH", "leaves out",
	},
	"mcp-remote": {
		"port after the URL", "--callback-path", "--authorize-param", "--disable-resource-parameter", "--client-metadata-url", "--client-credentials",
		"--device-code", "--use-id-token", "--debug",
	},
}

// TestReadmeParity finds a row in the README for everything that those programs offer, and the tests that it names.
func TestReadmeParity(t *testing.T) {
	tests := testsOf(t)
	tables := readmeTables(t, "Coming from")
	for program, offers := range parity {
		rows := tables[program]
		if len(rows) != len(offers) {
			t.Errorf("%s has %d rows, want %d", program, len(rows), len(offers))
			continue
		}
		for i, offer := range offers {
			if !strings.Contains(rows[i][0], offer) {
				t.Errorf("%s: row %d is %q, want %s", program, i+1, rows[i][0], offer)
			}
			named := namedTests.FindAllStringSubmatch(rows[i][len(rows[i])-1], -1)
			if len(named) == 0 {
				t.Errorf("%s: %s names no test", program, offer)
			}
			for _, name := range named {
				if cases, ok := tests[name[1]]; !ok || name[2] != "" && !slices.Contains(cases, name[2]) {
					t.Errorf("%s: %s names %s, which there is not", program, offer, name[0])
				}
			}
		}
	}
	for program := range tables {
		if parity[program] == nil {
			t.Errorf("it is not known what %s offers", program)
		}
	}
}

var namedTests = regexp.MustCompile("`(Test\\w+)(?:/([^`]+))?`")

// testsOf returns the tests of all packages, and the names of their cases.
func testsOf(t *testing.T) map[string][]string {
	t.Helper()
	tests := map[string][]string{}
	for _, s := range sources(t) {
		if !strings.HasSuffix(s.file, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), root+"/"+s.file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				tests[f.Name.Name] = append(tests[f.Name.Name], caseNames(f)...)
			}
		}
	}
	return tests
}

// readmeTables returns the rows of the tables in a part of the README, by the heading above them.
func readmeTables(t *testing.T, part string) map[string][][]string {
	t.Helper()
	text, err := os.ReadFile(root + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(text), "\n## "+part)
	if !ok {
		t.Fatalf("the README has no part %q", part)
	}
	here, _, _ := strings.Cut(after, "\n## ")
	tables, heading := map[string][][]string{}, ""
	for line := range strings.Lines(here) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "### "); ok {
			heading = name
		}
		if row, ok := strings.CutPrefix(line, "| "); ok && !strings.HasPrefix(row, "there ") {
			tables[heading] = append(tables[heading], strings.Split(strings.TrimSuffix(row, " |"), " | "))
		}
	}
	return tables
}
