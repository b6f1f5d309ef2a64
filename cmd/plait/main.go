// Command plait shows many MCP servers as one.
package main

import (
	"os"

	"github.com/plait-mcp/plait/cmd/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.OS()))
}
