package upstream

import (
	"context"
	"os"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"
)

// childRole is the variable that makes this test binary a server that is a child.
const childRole = "PLAIT_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childRole) != "" {
		_ = peer(nil).Run(context.Background(), &sdk.StdioTransport{})
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
