package config_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/plait-mcp/plait/config"
)

// TestRemoteLayerIsKept fetches a layer once: the second start needs no network.
func TestRemoteLayerIsKept(t *testing.T) {
	folder := folderOf(t, "-- team.yaml --\nmcpServers: {a: {command: npx}}\n")
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.ServeFile(w, r, filepath.Join(folder, "team.yaml"))
	}))
	team := sum(t, filepath.Join(folder, "team.yaml"))
	path := filepath.Join(folder, "plait.yaml")
	write(t, path, "extends: [{url: "+server.URL+"/team.yaml, sha256: "+strings.ToUpper(team)+"}]\n")
	offline := config.Options{LookupEnv: inFolder(folder), Offline: true}
	if _, err := config.Load(t.Context(), path, offline); err == nil || !strings.Contains(err.Error(), "never fetched before") {
		t.Errorf("offline: %v", err)
	}
	check := func(o config.Options) {
		t.Helper()
		cfg, err := config.Load(t.Context(), path, o)
		if err != nil || names(cfg) != "a" {
			t.Errorf("Load = %+v, %v", cfg, err)
		}
	}
	online := config.Options{LookupEnv: inFolder(folder)}
	check(online)
	server.Close()
	check(online)
	check(offline)
	kept := filepath.Join(folder, "cache", "plait", "layers", team)
	if info, err := os.Stat(kept); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("Stat = %v, %v", info, err)
	}
	write(t, kept, "mcpServers: {evil: {command: npx}}")
	if _, err := config.Load(t.Context(), path, online); err == nil || !strings.Contains(err.Error(), config.IDRemote) {
		t.Errorf("a layer that was changed in the cache is used: %v", err)
	}
	if got := asked.Load(); got != 1 {
		t.Errorf("the server was asked %d times, want once", got)
	}
}
