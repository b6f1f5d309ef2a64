package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// conformanceScenarios are the scenarios for clients of 2025-11-25 that need no authorization.
var conformanceScenarios = []string{
	"initialize", "tools_call", "elicitation-sep1034-client-defaults", "sse-retry", "json-schema-2020-12-preservation",
}

// TestConformance lets the official suite judge the official client with plait between the two.
func TestConformance(t *testing.T) {
	t.Parallel()
	node := nodeJS(t, 22)
	suite := npmFile(t, "@modelcontextprotocol/conformance", "dist", "index.js")
	client := peerFile(t, "conformance-client.mjs")
	for _, scenario := range conformanceScenarios {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			results := t.TempDir()
			p := newProgram(t, append(testEnv(t), "PLAIT_BIN="+plaitProgram(t)), node, suite, "client",
				"--command", node+" "+client, "--scenario", scenario, "--spec-version", "2025-11-25", "--output-dir", results)
			p.run()
			p.check(t)
			passed := 0
			for _, c := range conformanceChecks(t, results) {
				switch c.Status {
				case "SUCCESS":
					passed++
				case "INFO":
				default:
					t.Errorf("%s: %s: %s %s", c.ID, c.Status, c.Description, c.ErrorMessage)
				}
			}
			if passed == 0 {
				t.Errorf("no check passed:\n%s%s", p.stdout.Bytes(), p.stderr.String())
			}
		})
	}
}

type conformanceCheck struct {
	ID, Status, Description, ErrorMessage string
}

// conformanceChecks reads the verdict of the suite.
func conformanceChecks(tb testing.TB, results string) []conformanceCheck {
	tb.Helper()
	var checks []conformanceCheck
	files, err := filepath.Glob(filepath.Join(results, "*", "checks.json"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		var some []conformanceCheck
		if err := json.Unmarshal(text, &some); err != nil {
			tb.Fatal(err)
		}
		checks = append(checks, some...)
	}
	return checks
}
