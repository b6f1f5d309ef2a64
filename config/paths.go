package config

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// resolve returns an absolute path: "~/" is the home folder, and a relative path starts in folder.
func resolve(name, folder string, env lookup) (string, error) {
	if rest, ok := strings.CutPrefix(name, "~"); ok && (rest == "" || os.IsPathSeparator(rest[0])) {
		home, err := homeFolder(env)
		if err != nil {
			return "", err
		}
		return filepath.Join(home, rest), nil
	}
	if filepath.IsAbs(name) {
		return filepath.Clean(name), nil
	}
	return filepath.Join(folder, name), nil
}

// hasSeparator tells whether a command is a path, not a name to search for.
func hasSeparator(command string) bool {
	return strings.ContainsRune(command, '/') || strings.ContainsRune(command, os.PathSeparator)
}

// userFolder returns plait's folder in the user's config folder: what os.UserConfigDir names, but from lookupEnv.
func userFolder(lookupEnv lookup) (string, error) {
	home, err := homeFolder(lookupEnv)
	switch runtime.GOOS {
	case "windows":
		if dir, _ := lookupEnv("AppData"); dir != "" {
			return filepath.Join(dir, "plait"), nil
		}
		return filepath.Join(home, "AppData", "Roaming", "plait"), err
	case "darwin", "ios":
		return filepath.Join(home, "Library", "Application Support", "plait"), err
	}
	if dir, _ := lookupEnv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "plait"), nil
	}
	return filepath.Join(home, ".config", "plait"), err
}
