package discovery

import (
	"slices"

	"github.com/plait-mcp/plait/config"
)

// offlineAccess is the scope that asks for a refresh token (OpenID Connect Core, section 11).
const offlineAccess = "offline_access"

// Scopes returns what to ask for: exactly what the identity says; else what the challenge asks for, else all that the
// server's metadata name, else nothing (MCP, "Scope Selection Strategy"). The identity's extra scopes come on top.
// Nothing is ever made up.
func Scopes(id *config.Identity, challenged, published []string) []string {
	scopes := published
	switch {
	case id.Scopes != nil:
		scopes = id.Scopes
	case len(challenged) > 0:
		scopes = challenged
	}
	var chosen []string
	for _, s := range slices.Concat(scopes, id.ExtraScopes) {
		if s != "" && !slices.Contains(chosen, s) {
			chosen = append(chosen, s)
		}
	}
	return chosen
}

// WantsOffline tells whether offline_access is to be added to what is asked for, to get a refresh token: if the
// identity says so, or else, when it leaves that to plait, if the authorization server knows the scope and refresh
// tokens and nobody said exactly which scopes to ask for (MCP, "Refresh Tokens").
func WantsOffline(id *config.Identity, server *Metadata) bool {
	switch id.OfflineAccess {
	case always:
		return true
	case never:
		return false
	}
	return id.Scopes == nil && slices.Contains(server.ScopesSupported, offlineAccess) &&
		(len(server.GrantTypes) == 0 || slices.Contains(server.GrantTypes, "refresh_token"))
}
