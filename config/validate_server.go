package config

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/plait-mcp/plait/config/tree"
)

// checkServer reports what is wrong with a completed server.
func (l *loader) checkServer(s *Server) {
	l.checkKind(s)
	l.checkTimes(s)
	l.checkFiles(s)
	l.checkHeaders(s.Headers, func(name string) place {
		at := l.place("mcpServers", s.Name, "headers", name)
		at.show = l.place("mcpServers", s.Name, "headers").child(clean(name), at.pos).show
		return at
	})
	l.checkEnv(s)
	if s.ProtocolVersion != "" {
		l.choose(l.place("mcpServers", s.Name, "protocolVersion"), s.ProtocolVersion,
			"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
	}
	l.checkRules("tools", &s.Tools, "mcpServers", s.Name)
	l.checkRules("prompts", &s.Prompts, "mcpServers", s.Name)
	l.checkRules("resources", &s.Resources, "mcpServers", s.Name)
	for i, pattern := range s.Methods {
		at := l.place("mcpServers", s.Name, "methods", strconv.Itoa(i))
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			l.fault(at, IDPattern, fmt.Sprintf("%q is not a pattern of methods", l.source(at, pattern)), `write "acme/*"`)
		}
	}
}

// checkKind checks that there is one of url and command, that it is the one which type wants, and the url.
func (l *loader) checkKind(s *Server) {
	at := func(key string) place { return l.place("mcpServers", s.Name, key) }
	hasURL := s.URL != "" || l.isBroken("mcpServers", s.Name, "url")
	hasCommand := s.Command != "" || l.isBroken("mcpServers", s.Name, "command")
	switch {
	case l.isBroken("mcpServers", s.Name, "type"), l.isBroken("mcpServers", s.Name, "transport"):
	case hasURL && hasCommand:
		l.fault(at("command"), IDTarget, "there is a url as well", "keep one of them, or write two servers")
	case !hasURL && !hasCommand:
		l.fault(l.servers[s.Name].at, IDTarget, "has neither url nor command", "write one of them")
	case hasURL && s.Type == Stdio:
		l.fault(at("url"), IDTarget, "a server of type stdio has a command, not a url", "remove type")
	case hasCommand && s.Type != Stdio:
		l.fault(at("command"), IDTarget, fmt.Sprintf("a server of type %s has a url, not a command", s.Type), "remove type")
	}
	if s.URL != "" {
		l.checkURL(s, at("url"))
	}
	unused := []string{"args", "cwd", "env", "inheritEnv"}
	if s.Type == Stdio {
		unused = []string{"allowHttp", "caFile", "clientCert", "headers"}
	}
	for _, key := range unused {
		if l.isGiven("mcpServers", s.Name, key) && !isEmpty(s, key) && !l.broken[at(key).key] {
			l.warn(at(key), IDNoEffect, fmt.Sprintf("has no effect on a server of type %s", s.Type), "remove it")
		}
	}
}

// isEmpty tells whether a key is written and says nothing, as some clients do.
func isEmpty(s *Server, key string) bool {
	switch key {
	case "args":
		return len(s.Args) == 0
	case "env":
		return len(s.Env) == 0
	case "inheritEnv":
		return len(s.InheritEnv) == 0
	case "headers":
		return len(s.Headers) == 0
	case "allowHttp":
		return !s.AllowHTTP
	case "cwd":
		return s.Cwd == ""
	}
	return false
}

// checkURL reports a url that cannot be used. A url may hold a secret, so messages name its host at most.
func (l *loader) checkURL(s *Server, at place) {
	u, err := url.Parse(s.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		l.fault(at, IDURL, "is not a URL of http:// or https://", "write https://host/path")
		return
	}
	if u.Port() != "" && !IsAddress(u.Host) {
		l.fault(at, IDURL, "has a port that is out of range", "write one from 1 to 65535")
	}
	if u.Scheme == "http" && !s.AllowHTTP && !isLoopback(u.Hostname()) && !l.isBroken("mcpServers", s.Name, "allowHttp") {
		l.fault(at, IDURL, fmt.Sprintf("http:// to %s is not encrypted", u.Hostname()), "write https://, or allowHttp: true")
	}
	if _, has := u.User.Password(); has {
		l.warn(at, IDLiteral, "holds a password", "put it into headers, as Authorization")
	}
}

// isLoopback tells whether a host can only be this machine.
func isLoopback(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// checkFiles looks whether the files and the folder that are named exist.
func (l *loader) checkFiles(s *Server) {
	at := func(keys ...string) place { return l.place(append([]string{"mcpServers", s.Name}, keys...)...) }
	l.checkFile(s.CAFile, at("caFile"))
	l.checkFile(s.ClientCert.Cert, at("clientCert", "cert"))
	l.checkFile(s.ClientCert.Key, at("clientCert", "key"))
	if (s.ClientCert.Cert == "") != (s.ClientCert.Key == "") {
		l.fault(at("clientCert"), IDTarget, "has only one of cert and key", "write both")
	}
	if s.Cwd == "" || s.Type != Stdio {
		return
	}
	if info, err := os.Stat(s.Cwd); err != nil || !info.IsDir() {
		l.fault(at("cwd"), IDPath, fmt.Sprintf("there is no folder %q", l.source(at("cwd"), s.Cwd)), "make it or check the path")
	}
}

func (l *loader) checkFile(name string, at place) {
	if name == "" {
		return
	}
	l.look(name)
	info, err := os.Stat(name)
	if err == nil && info.IsDir() {
		err = tree.ErrIsFolder
	}
	if err != nil {
		l.fault(at, IDPath, unreadable(l.source(at, name), err), "check the path")
	}
}

// checkHeaders checks names and values as RFC 9110 wants them. A value is never shown.
func (l *loader) checkHeaders(headers map[string]Secret, where func(name string) place) {
	seen := map[string]string{}
	for _, name := range sortedKeys(headers) {
		at := where(name)
		if !isToken(name) {
			l.fault(at, IDHeader, "is not the name of a header", "use letters, digits and hyphens")
		}
		if strings.ContainsFunc(headers[name].Reveal(), func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			l.fault(at, IDHeader, "the value has a line break or another control character", "check the variable or file it comes from")
		}
		folded := strings.ToLower(name)
		if first, twice := seen[folded]; twice {
			l.fault(at, IDTwice, fmt.Sprintf("is the same header as %q", first), "keep one of them")
		}
		seen[folded] = name
	}
}

// isToken tells whether s is a token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !isWordChar(r) && !strings.ContainsRune("!#$%&'*+.^`|~", r)
	})
}

// checkEnv checks what is handed to a child: no system takes a NUL, or a name with "=".
func (l *loader) checkEnv(s *Server) {
	for _, name := range sortedKeys(s.Env) {
		at := l.place("mcpServers", s.Name, "env", name)
		switch {
		case strings.ContainsAny(name, "=\x00"):
			l.fault(at, IDEnvironment, `the name of a variable has a "="`, "")
		case strings.ContainsRune(s.Env[name].Reveal(), 0):
			l.fault(at, IDEnvironment, "the value has a NUL character", "")
		}
	}
	for i, name := range s.InheritEnv {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			l.fault(l.place("mcpServers", s.Name, "inheritEnv", strconv.Itoa(i)), IDEnvironment, "is not the name of a variable", "")
		}
	}
	for i, arg := range s.Args {
		if strings.ContainsRune(arg, 0) {
			l.fault(l.place("mcpServers", s.Name, "args", strconv.Itoa(i)), IDEnvironment, "has a NUL character", "")
		}
	}
	if strings.ContainsRune(s.Command, 0) {
		l.fault(l.place("mcpServers", s.Name, "command"), IDEnvironment, "has a NUL character", "")
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
