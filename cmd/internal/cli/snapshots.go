package cli

import (
	"path/filepath"
	"runtime"

	"github.com/plait-mcp/plait/config"
)

// snapshotFolder returns the folder of the snapshots, "" when none shall be kept or nobody knows where: only
// commands that serve a client keep some, for the others want to see the servers as they are.
func (a *app) snapshotFolder(cfg *config.Config) string {
	folder := cacheFolder(a.env.LookupEnv)
	if !cfg.Startup.Snapshot || folder == "" {
		return ""
	}
	return filepath.Join(folder, "plait", "snapshots")
}

// cacheFolder returns what os.UserCacheDir does, but from lookupEnv, and $XDG_CACHE_HOME wherever it is set. It is
// "" when the environment names no folder.
func cacheFolder(lookupEnv func(string) (string, bool)) string {
	if dir, _ := lookupEnv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return dir
	}
	variable, below := "HOME", ".cache"
	switch runtime.GOOS {
	case "windows":
		variable, below = "LocalAppData", ""
	case "darwin", "ios":
		below = filepath.Join("Library", "Caches")
	}
	if dir, _ := lookupEnv(variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, below)
	}
	return ""
}
