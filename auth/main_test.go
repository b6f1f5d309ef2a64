package auth_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"
)

// programVariable names the program that the test binary becomes.
const programVariable = "PLAIT_AUTH_TEST_PROGRAM"

// TestMain makes the test binary other processes that use the same store, too.
func TestMain(m *testing.M) {
	all := programs()
	all["sail"] = sail
	if run, ok := all[os.Getenv(programVariable)]; ok {
		if err := run(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// program returns the test binary as one of the programs.
func program(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), programVariable+"="+name, "HOME="+t.TempDir())
	return cmd
}
