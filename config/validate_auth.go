package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
)

const maxPort = 65535

// checkAuth checks how people sign in, and where that is kept, and completes it.
func (l *loader) checkAuth(cfg *Config) {
	if cfg.Auth.Timeout <= 0 {
		l.fault(l.place("auth", "timeout"), IDRange, "is not more than 0", "write a duration such as 5m")
	}
	l.notNegative(cfg.Auth.CallWait, "write a duration such as 20s, or 0", "auth", "callWait")
	b := cfg.Auth.Callback
	at := func(key string) place { return l.place("auth", "callback", key) }
	if !isLoopback(strings.Trim(b.Host, "[]")) {
		l.fault(at("host"), IDRedirectURI, fmt.Sprintf("%q is not this machine", l.source(at("host"), b.Host)), "write 127.0.0.1, localhost or [::1]")
	}
	if b.Port < 0 || b.Port > maxPort {
		l.fault(at("port"), IDRange, fmt.Sprintf("%d is out of range", b.Port), "write a number from 1 to 65535, or 0 for any that is free")
	}
	if ip, err := netip.ParseAddr(b.Bind); b.Bind != "" && err != nil {
		l.fault(at("bind"), IDValue, fmt.Sprintf("%q is not an address", l.source(at("bind"), b.Bind)), "write 0.0.0.0, or remove it")
	} else if b.Bind != "" && !ip.IsLoopback() {
		l.warn(at("bind"), IDExposed, "opens the callback to other machines while somebody signs in", "remove it, unless a container needs it")
	}
	if u, err := url.Parse(b.PublicURL); b.PublicURL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Fragment != "" || u.RawQuery != "") {
		l.fault(at("publicUrl"), IDURL, "is not a URL of http:// or https://", "write https://host/path")
	}
	l.checkCredentials(cfg)
}

func (l *loader) checkCredentials(cfg *Config) {
	l.choose(l.place("credentials", "store"), cfg.Credentials.Store, "auto", "keyring", "file", "memory")
	at := l.place("credentials", "path")
	if cfg.Credentials.Path == "" {
		if folder, err := stateFolder(l.env); err == nil {
			cfg.Credentials.Path = filepath.Join(folder, "auth")
		}
		return
	}
	path, err := l.absolute(cfg.Credentials.Path, at)
	if err != nil {
		wrong := asExpandError(err)
		l.fault(at, wrong.id, wrong.msg, wrong.hint)
		return
	}
	cfg.Credentials.Path = path
}
