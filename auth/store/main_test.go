package store_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/plait-mcp/plait/auth/store"
)

// TestMain makes the test binary the helper of a keyring, too.
func TestMain(m *testing.M) {
	if store.IsHelper(os.Args) {
		if err := store.ServeKeyring(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}
