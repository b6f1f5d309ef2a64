package main_test

import "testing"

// TestDifferentialListener is TestDifferential with a client that comes to plait over HTTP or SSE. The server behind
// it is reached over the same wire.
func TestDifferentialListener(t *testing.T) {
	t.Parallel()
	for _, wire := range []string{"http", "sse"} {
		t.Run(wire, func(t *testing.T) {
			t.Parallel()
			path := map[string]string{"http": "/mcp", "sse": "/sse"}[wire]
			one := map[string]any{"everything": startEverything(t, wire).server("")}
			served, _ := listen(t, nil, "serve", "--stdio=false", "--http", "127.0.0.1:0", "--config", configFile(t, one))
			many := filesAndMemory(t, t.TempDir())
			many["everything"] = startEverything(t, wire).server("ev")
			merged, _ := listen(t, nil, "serve", "--stdio=false", "--http", "127.0.0.1:0", "--config", configFile(t, many))
			connected, _ := listen(t, nil, "connect", startEverything(t, wire).url, "--listen", "127.0.0.1:0")
			texts := recordClients(t, startEverything(t, wire).directly(),
				[]string{"--" + wire, served + path}, []string{"--prefix", "ev_", "--" + wire, merged + path}, []string{"--" + wire, connected + path})
			if t.Failed() {
				return
			}
			for i, way := range []string{alone, several, connect} {
				t.Run(way, func(t *testing.T) {
					compare(t, withoutDifferences(t, texts[0], wire, way), withoutDifferences(t, texts[1+i], wire, way))
					if t.Failed() {
						t.Log(texts[1+i].log)
					}
				})
			}
		})
	}
}
