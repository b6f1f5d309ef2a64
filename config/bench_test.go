package config_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/config"
)

// BenchmarkLoad loads 100 servers, from one file and from two layers.
func BenchmarkLoad(b *testing.B) {
	folder := b.TempDir()
	var servers strings.Builder
	servers.WriteString("defaults: {idleTimeout: 5m}\nmcpServers:\n")
	for i := range 100 {
		fmt.Fprintf(&servers, "  server%d:\n    url: https://${HOST}/mcp/%d\n    headers: {Authorization: \"Bearer ${TOKEN}\", X-Team: a}\n"+
			"    callTimeout: 1m\n    ping: {interval: 5s}\n    tools: {allow: [\"get_*\", \"list_*\"], deny: [\"*_secret\"]}\n", i, i)
	}
	write(b, filepath.Join(folder, "one.yaml"), servers.String())
	write(b, filepath.Join(folder, "two.yaml"), "extends: one.yaml\nmcpServers:\n  server7: {callTimeout: 2m}\n")
	for _, name := range []string{"one.yaml", "two.yaml"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				cfg, err := config.Load(b.Context(), filepath.Join(folder, name), config.Options{LookupEnv: environment})
				if err != nil || len(cfg.Problems()) > 0 {
					b.Fatal(err, cfg.Problems())
				}
			}
		})
	}
}
