// Command plait shows many MCP servers as one.
package main

import (
	"os"

	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/auth/store/dbusguard"
	"github.com/plait-mcp/plait/cmd/internal/cli"
	"github.com/plait-mcp/plait/upstream/transport"
)

func main() {
	if store.IsHelper(os.Args) {
		if err := store.ServeKeyring(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		return
	}
	dbusguard.Restore()
	if transport.IsGuardian(os.Args) {
		transport.RunGuardian(os.Stdin)
		return
	}
	os.Exit(cli.Main(os.Args[1:], cli.OS()))
}
