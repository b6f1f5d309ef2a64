package main_test

import (
	"fmt"
	"os"
	"testing"
)

// programs are the programs that the test binary becomes when it is started with
// PLAIT_TEST_PROGRAM set to one of these names; each returns its exit code.
var programs = map[string]func() int{
	"bench-server": benchServer,
}

func TestMain(m *testing.M) {
	name := os.Getenv("PLAIT_TEST_PROGRAM")
	if name == "" {
		os.Exit(m.Run())
	}
	run, ok := programs[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "PLAIT_TEST_PROGRAM: no program %q\n", name)
		os.Exit(2)
	}
	os.Exit(run())
}
