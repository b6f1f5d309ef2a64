package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
)

// complete fills in what follows from the rest of the entry: its kind, absolute paths, the environment, headers.
func (l *loader) complete(e *entry, name string) {
	known := l.servers[name]
	e.Name, e.Pos = name, known.at.pos
	l.completeType(&e.Server)
	l.completePaths(&e.Server)
	e.Env = known.mergeEnv(e.Env, l.lookup)
	if e.BearerTokenEnvVar != "" {
		l.addHeader(e, "Authorization", "Bearer ", e.BearerTokenEnvVar, "bearerTokenEnvVar")
	}
	for header, variable := range e.EnvHTTPHeaders {
		l.addHeader(e, header, "", variable, "envHttpHeaders", header)
	}
	for header := range e.Headers {
		if isOwnHeader(header) {
			delete(e.Headers, header)
			l.warn(l.place("mcpServers", name, "headers", header), IDNoEffect, "is set by plait itself and ignored", "remove it")
		}
	}
}

// addHeader adds a header whose value is in a variable; keys say which key of the entry wants it.
func (l *loader) addHeader(e *entry, header, before, variable string, keys ...string) {
	at := l.place(append([]string{"mcpServers", e.Name}, keys...)...)
	value, ok := l.lookup(variable)
	switch {
	case !ok:
		l.add(at, Problem{ID: IDUnset, Msg: fmt.Sprintf("variable %s is not set", variable), Hint: "set it", Unset: true})
		return
	case e.Headers == nil:
		e.Headers = map[string]Secret{}
	}
	if _, twice := e.Headers[header]; twice {
		l.report(at, IDTwice, fmt.Sprintf("header %q is also in headers", header), "keep one of them")
		return
	}
	e.Headers[header] = Secret(before + value)
}

// isOwnHeader tells whether the protocol or the connection decides what the header holds.
func isOwnHeader(name string) bool {
	switch strings.ToLower(name) {
	case "accept", "connection", "content-length", "content-type", "host", "last-event-id", "mcp-protocol-version",
		"mcp-session-id", "transfer-encoding":
		return true
	}
	return false
}

// completeType decides what kind of server it is, from type and transport in the spellings of many clients, else
// from url or command.
func (l *loader) completeType(s *Server) {
	kind, okType := typeOf(string(s.Type))
	transport, okTransport := transportOf(string(s.Transport))
	if !okType {
		l.choose(l.place("mcpServers", s.Name, "type"), string(s.Type), "http", "sse", "stdio")
	}
	if !okTransport {
		l.choose(l.place("mcpServers", s.Name, "transport"), string(s.Transport), "http-first", "sse-first", "http", "sse")
	}
	switch {
	case kind == Stdio || transport == stdioTransport, kind == "" && transport == "" && s.URL == "" && s.Command != "":
		s.Type, s.Transport = Stdio, ""
		return
	case transport != "":
		s.Transport = transport
	case kind == HTTP:
		s.Transport = HTTPOnly
	case kind == SSE:
		s.Transport = SSEOnly
	default:
		s.Transport = HTTPFirst
	}
	s.Type = HTTP
	if s.Transport == SSEOnly || s.Transport == SSEFirst {
		s.Type = SSE
	}
}

// typeOf reads a type as Claude, Cursor, VS Code, Windsurf, Cline, opencode and others write it; "" leaves it open.
func typeOf(s string) (Type, bool) {
	switch plain(s) {
	case "", "remote", "url":
		return "", true
	case "http", "https", "streamablehttp", "httpstream", "streamable":
		return HTTP, true
	case "sse":
		return SSE, true
	case "stdio", "local", "command":
		return Stdio, true
	}
	return "", false
}

// stdioTransport is what some clients write as transport of a command.
const stdioTransport Transport = "stdio"

// transportOf reads a transport; "" leaves it open.
func transportOf(s string) (Transport, bool) {
	switch plain(s) {
	case "", "auto":
		return "", true
	case "httpfirst":
		return HTTPFirst, true
	case "ssefirst":
		return SSEFirst, true
	case "http", "streamablehttp", "httponly":
		return HTTPOnly, true
	case "sse", "sseonly":
		return SSEOnly, true
	case "stdio":
		return stdioTransport, true
	}
	return "", false
}

// plain returns s without what spellings of one word differ in.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == ' ' {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

// completePaths makes paths absolute, from the folder of the file that names them.
func (l *loader) completePaths(s *Server) {
	l.makeAbsolute(&s.CAFile, s.Name, "caFile")
	l.makeAbsolute(&s.ClientCert.Cert, s.Name, "clientCert", "cert")
	l.makeAbsolute(&s.ClientCert.Key, s.Name, "clientCert", "key")
	l.makeAbsolute(&s.Cwd, s.Name, "cwd")
	if hasSeparator(s.Command) {
		l.makeAbsolute(&s.Command, s.Name, "command")
	}
}

func (l *loader) makeAbsolute(name *string, server string, keys ...string) {
	if *name == "" {
		return
	}
	at := l.place(append([]string{"mcpServers", server}, keys...)...)
	resolved, err := l.absolute(*name, at)
	if err != nil {
		l.add(at, asExpandError(err).problem())
		return
	}
	*name = resolved
}

// absolute returns a path with the home folder for ~ and, when relative, from the folder of the file that names it.
func (l *loader) absolute(name string, at place) (string, error) {
	if at.layer.remote && !filepath.IsAbs(name) && !strings.HasPrefix(name, "~") {
		return "", &expandError{
			id: IDRemotePath, msg: "a remote layer has no folder in which a relative path could start", hint: "write an absolute path, or one from ~/",
		}
	}
	return resolve(name, at.layer.dir, l.env)
}
