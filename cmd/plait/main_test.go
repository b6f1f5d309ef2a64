package main_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/auth/store/dbusguard"
	"github.com/plait-mcp/plait/cmd/internal/cli"
	"github.com/plait-mcp/plait/upstream/transport"
)

// programs are the programs that the test binary becomes when it is started with
// PLAIT_TEST_PROGRAM set to one of these names; each returns its exit code.
var programs = map[string]func() int{
	"bench-server": benchServer,
	"fault-child":  faultChild,
	"load-plait":   loadPlait,
	"load-server":  loadServer,
	"mortal-child": mortalChild,
	"storm-child":  stormChild,
	"story-server": storyServer,
	"teller-child": tellerChild,
}

// inPrivate runs the tests without the variables by which a person, or a machine, tells plait what to do, and with no
// browser of theirs. A test gives plait those that it is about.
type inPrivate struct{ *testing.M }

var ofPersons = regexp.MustCompile("^(PLAIT_(CONFIG|LOG)|MCP_PROXY_CONFIG|LOG_LEVEL|ALLOW_INSECURE_HTTP|(UPSTREAM|OAUTH2|SSH)_.*)$")

// Run implements testscript.TestingM.
func (m inPrivate) Run() int {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); ofPersons.MatchString(name) {
			_ = os.Unsetenv(name)
		}
	}
	_ = os.Setenv("BROWSER", "none") // for all tests
	return m.M.Run()
}

// TestMain makes the test binary plait itself, under that name, for the stories in testdata/script.
func TestMain(m *testing.M) {
	if store.IsHelper(os.Args) {
		if err := store.ServeKeyring(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		return
	}
	if transport.IsGuardian(os.Args) {
		transport.RunGuardian(os.Stdin)
		return
	}
	name := os.Getenv("PLAIT_TEST_PROGRAM")
	if name == "" {
		testscript.Main(inPrivate{m}, map[string]func(){
			"plait": func() {
				dbusguard.Restore() // the tests themselves, and what they start, never see the session bus of the machine
				os.Exit(cli.Main(os.Args[1:], cli.OS()))
			},
			"child":  func() { os.Exit(exposedChild()) },
			"talk":   func() { os.Exit(talk()) },
			"hold":   func() { os.Exit(hold()) },
			"starts": func() { os.Exit(starts()) },

			"browser": func() { os.Exit(browser()) },
			"person":  func() { os.Exit(person()) },
			"handoff": func() { os.Exit(handoff()) },
		})
	}
	run, ok := programs[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "PLAIT_TEST_PROGRAM: no program %q\n", name)
		os.Exit(2)
	}
	dbusguard.Restore()
	os.Exit(run())
}
