package store_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/plait-mcp/plait/auth/store"
)

// programVariable names the program that the test binary becomes.
const programVariable = "PLAIT_STORE_TEST_PROGRAM"

// programs are those programs. They say what is wrong.
var programs = map[string]func(args []string) error{
	"count":    countUp,
	"full":     fillDisk,
	"no-space": noSpace,
}

// TestMain makes the test binary the helper of a keyring, too, and other processes that use a store.
func TestMain(m *testing.M) {
	if store.IsHelper(os.Args) {
		if err := store.ServeKeyring(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		return
	}
	if run, ok := programs[os.Getenv(programVariable)]; ok {
		if err := run(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}
