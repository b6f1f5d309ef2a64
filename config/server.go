package config

import (
	"strings"
	"time"
)

// Type is how a server is reached.
type Type string

// The types of servers.
const (
	HTTP  Type = "http"  // Streamable HTTP, at a URL
	SSE   Type = "sse"   // HTTP+SSE of 2024-11-05, at a URL
	Stdio Type = "stdio" // a child process
)

// Transport is the order in which the wires of a URL are tried.
type Transport string

// The transports of servers with a URL.
const (
	HTTPFirst Transport = "http-first" // Streamable HTTP, and SSE when the server does not know it
	SSEFirst  Transport = "sse-first"  // the other way round
	HTTPOnly  Transport = "http"
	SSEOnly   Transport = "sse"
)

// Server is one entry of mcpServers, with defaults filled in, variables expanded and paths absolute.
type Server struct {
	Name      string    `koanf:"-"` // its key in the file
	Pos       Pos       `koanf:"-"` // of that key
	Type      Type      `koanf:"type"`
	Transport Transport `koanf:"transport"` // "" for Stdio

	URL       string            `koanf:"url"`
	Headers   map[string]Secret `koanf:"headers"` // names as written, unique when case is ignored
	AllowHTTP bool              `koanf:"allowHttp"`

	ServerStream    bool   `koanf:"serverStream"`    // open the stream for what the server sends by itself, where the wire has one
	ProtocolVersion string `koanf:"protocolVersion"` // offered to the server; "" offers the client's

	// Identity is as whom plait comes to a server with a URL: the one that it chose, or an implicit one. It is nil for
	// Stdio, and for a server with a problem in its choice.
	Identity *Identity `koanf:"-"`

	CAFile     string     `koanf:"caFile"`
	ClientCert ClientCert `koanf:"clientCert"`

	Command    string            `koanf:"command"` // a name for the search path, or an absolute path
	Args       []string          `koanf:"args"`
	Env        map[string]Secret `koanf:"env"` // of envFile and env, env first
	InheritEnv []string          `koanf:"inheritEnv"`
	Cwd        string            `koanf:"cwd"` // absolute, "" for plait's own

	Prefix         string        `koanf:"prefix"` // as written, else Name; "" passes names unchanged
	ConnectTimeout time.Duration `koanf:"connectTimeout"`
	CallTimeout    time.Duration `koanf:"callTimeout"`
	Ping           Ping          `koanf:"ping"`
	Shared         bool          `koanf:"shared"`
	Methods        []string      `koanf:"methods"` // patterns of path.Match

	Required       bool          `koanf:"required"`       // nothing works without it
	Lazy           bool          `koanf:"lazy"`           // connect when it is first used
	IdleTimeout    time.Duration `koanf:"idleTimeout"`    // disconnect when it was not used for so long; 0 means never
	MaxConcurrent  int           `koanf:"maxConcurrent"`  // calls at a time, of all clients; 0 means any number
	MaxResultBytes int64         `koanf:"maxResultBytes"` // of one result; 0 means any size

	Tools     Rules `koanf:"tools"`
	Prompts   Rules `koanf:"prompts"`
	Resources Rules `koanf:"resources"` // of URIs and URI templates

	// Sums holds the SHA-256 of the contents of the TLS files when the configuration was loaded, by their keys.
	Sums map[string]string `koanf:"-"`

	// Profile is what the chosen profile allows besides; an item is shown when both do.
	Profile Profile `koanf:"-"`

	// Secrets are what secret references in any text of the server stand for: URL and Args
	// hold them, too, and are not to be shown before they are taken out.
	Secrets []Secret `koanf:"-"`

	// Problems is not empty when the server is misconfigured: it may not be used, and they say why.
	Problems Problems `koanf:"-"`
}

// ClientCert names the PEM files of a TLS client certificate; both are set or none is.
type ClientCert struct {
	Cert string `koanf:"cert"`
	Key  string `koanf:"key"`
}

// Ping is the keepalive of a server.
type Ping struct {
	Interval time.Duration `koanf:"interval"` // 0 means never
	Timeout  time.Duration `koanf:"timeout"`
}

// SanitizePrefix returns prefix as it may stand at the start of a tool's name: every character outside
// [A-Za-z0-9_-] becomes "_", and "t_" comes in front of one that does not start with a letter. The empty
// prefix stays empty.
func SanitizePrefix(prefix string) string {
	if prefix == "" {
		return ""
	}
	clean := strings.Map(func(r rune) rune {
		if isWordChar(r) {
			return r
		}
		return '_'
	}, prefix)
	if !isLetter(rune(clean[0])) {
		return "t_" + clean
	}
	return clean
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

func isWordChar(r rune) bool { return isLetter(r) || r >= '0' && r <= '9' || r == '_' || r == '-' }
