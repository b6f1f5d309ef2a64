package main_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// conformanceScenarios are the scenarios for clients, by the version of the protocol that they are of: all of
// 2025-11-25, all that 2025-03-26 has besides, and those of the extensions that plait has. Not run are those of DPoP and
// of 2026-07-28, which plait does not speak yet.
var conformanceScenarios = map[string][]string{
	"2025-11-25": {
		"initialize", "tools_call", "elicitation-sep1034-client-defaults", "sse-retry", "json-schema-2020-12-preservation",
		"auth/metadata-default", "auth/metadata-var1", "auth/metadata-var2", "auth/metadata-var3", "auth/basic-cimd",
		"auth/scope-from-www-authenticate", "auth/scope-from-scopes-supported", "auth/scope-omitted-when-undefined", "auth/scope-step-up",
		"auth/scope-retry-limit", "auth/token-endpoint-auth-basic", "auth/token-endpoint-auth-post", "auth/token-endpoint-auth-none",
		"auth/pre-registration",
	},
	"2025-03-26": {"auth/2025-03-26-oauth-metadata-backcompat", "auth/2025-03-26-oauth-endpoint-fallback"},
	"extension":  {"auth/client-credentials-jwt", "auth/client-credentials-basic", "auth/enterprise-managed-authorization", "auth/wif-jwt-bearer"},
}

// TestConformance lets the official suite judge the official client with plait between the two.
func TestConformance(t *testing.T) {
	t.Parallel()
	node := nodeJS(t, 22)
	suite := npmFile(t, "@modelcontextprotocol/conformance", "dist", "index.js")
	client := peerFile(t, "conformance-client.mjs")
	for version, scenarios := range conformanceScenarios {
		for _, scenario := range scenarios {
			t.Run(version+"/"+scenario, func(t *testing.T) {
				t.Parallel()
				results := t.TempDir()
				args := []string{node, suite, "client", "--command", node + " " + client, "--scenario", scenario, "--output-dir", results, "--timeout", "60000"}
				if version != "extension" {
					args = append(args, "--spec-version", version)
				}
				p := newProgram(t, append(testEnv(t), "PLAIT_BIN="+plaitProgram(t)), args...)
				p.run()
				p.check(t)
				conformanceVerdict(t, p, results)
			})
		}
	}
}

// TestConformanceScenarios compares the scenarios with those that the suite has.
func TestConformanceScenarios(t *testing.T) {
	t.Parallel()
	p := newProgram(t, testEnv(t), nodeJS(t, 22), npmFile(t, "@modelcontextprotocol/conformance", "dist", "index.js"), "list", "--client")
	p.run()
	p.check(t)
	for version, scenarios := range conformanceScenarios {
		if version == "extension" {
			continue // of those plait has some
		}
		var all []string
		for line := range strings.Lines(p.stdout.String()) {
			name, versions, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "- "), " ")
			if slices.Contains(strings.Split(strings.Trim(versions, "[]"), ","), version) {
				all = append(all, name)
			}
		}
		if d := cmp.Diff(slices.Sorted(slices.Values(all)), slices.Sorted(slices.Values(scenarios))); d != "" {
			t.Errorf("scenarios of %s (-of the suite +run):\n%s", version, d)
		}
	}
}

// conformanceVerdict fails the test if a check of the suite failed, or none was made.
func conformanceVerdict(t *testing.T, p *program, results string) {
	t.Helper()
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
	if passed == 0 || t.Failed() {
		t.Errorf("%d checks passed:\n%s%s", passed, p.stdout.Bytes(), p.stderr.String())
	}
}

type conformanceCheck struct {
	ID, Status, Description, ErrorMessage string
}

// conformanceChecks reads the verdict of the suite.
func conformanceChecks(tb testing.TB, results string) []conformanceCheck {
	tb.Helper()
	var checks []conformanceCheck
	err := filepath.WalkDir(results, func(file string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Base(file) != "checks.json" {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var some []conformanceCheck
		err = json.Unmarshal(text, &some)
		checks = append(checks, some...)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return checks
}
