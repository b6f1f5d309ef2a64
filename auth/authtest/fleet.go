package authtest

import (
	"os"
	"testing"
	"time"
)

// FleetSize is how many processes share one sign-in in tests: a dozen clients that a person has open.
const FleetSize = 12

// FleetTime returns how long a fleet works with tokens that live for two seconds: what PLAIT_TEST_FLEET says, else usual.
func FleetTime(tb testing.TB, usual time.Duration) time.Duration {
	tb.Helper()
	text := os.Getenv("PLAIT_TEST_FLEET")
	if text == "" {
		return usual
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}
