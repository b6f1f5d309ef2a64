package transport

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/config"
)

// goosWindows is the runtime.GOOS on which names of variables are equal when their case is ignored.
const goosWindows = "windows"

// environment returns the variables of the child of s as NAME=value, sorted: of own, which are plait's, only those
// that most programs need and those that inheritEnv names, and then env, which wins. So a secret in plait's
// environment reaches only the servers that ask for it.
func environment(goos string, own []string, s *config.Server) ([]string, error) {
	for _, pattern := range s.InheritEnv {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, fmt.Errorf("inheritEnv %q: %w; write names, with * and ? as wildcards", pattern, err)
		}
	}
	wanted := append(needed(goos), s.InheritEnv...)
	vars := map[string]string{} // by fold(name), whole
	for _, kv := range own {
		name, value, ok := cutVariable(kv)
		// A value that begins like a function was exported by a shell: code, not data.
		if ok && !strings.HasPrefix(value, "()") && matches(goos, wanted, name) {
			vars[fold(goos, name)] = kv
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		vars[fold(goos, name)] = name + "=" + s.Env[name].Reveal()
	}
	return slices.Sorted(maps.Values(vars)), nil
}

// needed returns patterns of the variables that every child gets: those that the official MCP SDKs pass on, and
// the locale.
func needed(goos string) []string {
	if goos == goosWindows {
		return []string{
			"APPDATA", "COMSPEC", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "NUMBER_OF_PROCESSORS", "OS", "PATH",
			"PATHEXT", "PROCESSOR_ARCHITECTURE", "PROGRAMDATA", "PROGRAMFILES", "PROGRAMFILES(X86)", "PROGRAMW6432",
			"SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "TMP", "USERDOMAIN", "USERNAME", "USERPROFILE", "WINDIR",
		}
	}
	return []string{"HOME", "LANG", "LC_*", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "USER"}
}

func matches(goos string, patterns []string, name string) bool {
	name = fold(goos, name)
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(fold(goos, pattern), name)
		return ok && err == nil
	})
}

func fold(goos, name string) string {
	if goos == goosWindows {
		return strings.ToUpper(name)
	}
	return name
}

// cutVariable splits NAME=value. On Windows the names of some hidden variables begin with "=".
func cutVariable(kv string) (name, value string, ok bool) {
	if kv == "" {
		return "", "", false
	}
	at := strings.IndexByte(kv[1:], '=')
	if at < 0 {
		return "", "", false
	}
	return kv[:at+1], kv[at+2:], true
}

// lookup returns the value of a variable in a list that environment returned.
func lookup(goos string, vars []string, name string) string {
	for _, kv := range vars {
		if n, v, ok := cutVariable(kv); ok && fold(goos, n) == name {
			return v
		}
	}
	return ""
}
