package auth

import (
	"slices"

	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

const (
	// bonds say which grant a server is used with, by identity and URL.
	bonds store.Kind = "bonds"
	// tabs say when a browser was opened for an identity.
	tabs store.Kind = "tabs"
)

// who names an identity in keys of records. The implicit identity of a server is another one at another URL.
func who(server, url string, i *config.Identity) string {
	if i.Implicit {
		return store.Key("server", server, url)
	}
	return store.Key("identity", i.Name)
}

// bondKey names the bond of a server.
func bondKey(who, url string) string { return store.Key(who, url) }

// clientKey names the registration of an identity at an authorization server (MCP 2026-07-28, AS Binding: credentials
// are kept by issuer).
func clientKey(who, issuer string) string { return store.Key(who, issuer) }

// deviceKey names the registration that signs in by codes where the other one is for browsers.
func deviceKey(who, issuer string) string { return store.Key(who, issuer, "device") }

// grantKey names a grant. Resources are part of it: a sign-in for other servers does not replace one.
func grantKey(who, issuer, clientID string, resources []string) string {
	sorted := slices.Sorted(slices.Values(resources))
	return store.Key(append([]string{who, issuer, clientID}, sorted...)...)
}
