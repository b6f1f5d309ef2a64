package transport

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/plait-mcp/plait/auth/store/dbusguard"
)

// childRole is the variable that makes this test binary a child process of a test: one of childRoles.
const childRole = "PLAIT_TEST_CHILD"

func TestMain(m *testing.M) {
	dbusguard.Restore() // as the program does: children see the environment that it was started with
	if IsGuardian(os.Args) {
		RunGuardian(os.Stdin)
		os.Exit(0)
	}
	if role := os.Getenv(childRole); role != "" {
		run, ok := childRoles[role]
		if !ok {
			fmt.Fprintln(os.Stderr, "no such role:", role)
			os.Exit(100)
		}
		run()
		os.Exit(0)
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // for the programs that tests start: else each takes a second to end
	goleak.VerifyTestMain(m)
}
