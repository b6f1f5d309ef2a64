package discovery

import (
	"net/http"
	"time"

	"github.com/plait-mcp/plait/auth/challenge"
	"github.com/plait-mcp/plait/config"
)

// Request says for which server an authorization server is looked for.
type Request struct {
	HTTP      *http.Client        // the server's: its TLS and proxy, and a transport that [Transport] made
	URL       string              // of the MCP server, as configured
	Challenge challenge.Challenge // of its 401; the zero value if there was none
	Identity  *config.Identity    // never nil
	Prefer    string              // the issuer that was used last: taken again if the server still names it; may be ""
	Cache     Cache               // nil: nothing is kept
	Since     time.Time           // what the cache has from before is looked for again; zero: all of it counts
	Trail     func(Step)          // told of each step when it was made; nil: nobody
}

// Found is the way to the tokens of a server.
type Found struct {
	// Resource is the server's name for itself, byte for byte as it publishes it; "" if it publishes none.
	Resource         string
	ResourceMetadata string // where it does; may be ""
	// Scopes is what to ask for: what the identity says, else the challenge, else the server's metadata, and the
	// identity's extra scopes (MCP, "Scope Selection Strategy"). nil is to ask for nothing in particular.
	Scopes []string
	Server *Metadata
}

// Step is one step of the way, for `plait auth explain`.
type Step struct {
	Name   string // what was looked at
	URL    string // where, without a query; may be ""
	Result string // ok, missing, ignored, refused, unavailable, configured or cached
	Detail string // what was found, or what is wrong
	Key    string // the config key that decides instead; may be ""
}

// The results of a Step.
const (
	OK          = "ok"
	Missing     = "missing"
	Ignored     = "ignored"
	Refused     = "refused"
	Unavailable = "unavailable"
	Configured  = "configured"
	Cached      = "cached"
)
