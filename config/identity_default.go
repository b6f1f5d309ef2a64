package config

import (
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Words of keys that leave a choice to plait.
const (
	wordAuto   = "auto"
	wordAlways = "always"
	wordNever  = "never"
)

// defaultPort is where a browser comes back to: one for all servers of a user.
const defaultPort = 33419

// NewIdentity returns an identity of which all else is as where the file says nothing.
func NewIdentity(name string, grant Grant) *Identity {
	return &Identity{
		Name: name, Grant: grant, ClientName: "plait", Registration: wordAuto, OfflineAccess: wordAuto, Resource: wordAuto,
		ScopeParam: "scope", OneLogin: wordAuto, Bearer: "accessToken", CacheAccessToken: true,
	}
}

// implicitIdentity returns the identity of a server that names none: anonymous until it asks for OAuth, unless its
// headers or its url hold what it wants.
func implicitIdentity(s *Server) *Identity {
	i := NewIdentity(s.Name, GrantAuto)
	i.Implicit, i.Pos = true, s.Pos
	if named, ok := userInfo(s.URL); ok && named {
		i.Grant = GrantNone
	}
	for name := range s.Headers {
		if strings.EqualFold(name, "Authorization") {
			i.Grant = GrantNone
		}
	}
	return i
}

// defaultAuth returns how people sign in where the file says nothing.
func defaultAuth() Auth {
	return Auth{
		Callback: Callback{Host: "127.0.0.1", Port: defaultPort}, Timeout: 5 * time.Minute, CallWait: 20 * time.Second, LoginTool: true,
	}
}

// stateFolder returns plait's folder for what it keeps.
func stateFolder(lookupEnv lookup) (string, error) {
	if dir, _ := lookupEnv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "plait"), nil
	}
	if dir, _ := lookupEnv("LocalAppData"); runtime.GOOS == "windows" && dir != "" {
		return filepath.Join(dir, "plait"), nil
	}
	home, err := homeFolder(lookupEnv)
	if err != nil {
		return "", err
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Application Support", "plait"), nil
	}
	return filepath.Join(home, ".local", "state", "plait"), nil
}
