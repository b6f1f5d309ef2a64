package grant

import (
	"slices"
	"strings"

	"github.com/plait-mcp/plait/config"
)

const (
	offlineAccess = "offline_access"
	wordAlways    = "always"
	wordAuto      = "auto"
	wordNever     = "never"
	wordOmit      = "omit"
)

// Scopes returns what to ask for: the scopes of the identity, else those that were found, and its extra ones. Where a
// person signs in, offline_access is asked for when the authorization server has it, because that is how a refresh
// token comes (the rule of MCP 2026-07-28, OIDC Core section 11). The order stays, nothing comes twice.
func (e *Endpoint) Scopes(found []string) []string {
	i := e.Identity
	if i.Scopes != nil {
		found = i.Scopes
	}
	scopes := make([]string, 0, len(found)+len(i.ExtraScopes)+1)
	add := func(s string) {
		if s != "" && !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	for _, s := range found {
		add(s)
	}
	for _, s := range i.ExtraScopes {
		add(s)
	}
	if e.wantsOffline() {
		add(offlineAccess)
	}
	return scopes
}

// wantsOffline reports whether plait asks for offline_access by itself.
func (e *Endpoint) wantsOffline() bool {
	i := e.Identity
	switch {
	case i.OfflineAccess == wordNever || !i.Grant.NeedsPerson() || i.Grant == config.GrantEnterprise:
		return false
	case i.OfflineAccess == wordAlways:
		return true
	}
	return i.Scopes == nil && slices.Contains(e.Metadata.ScopesSupported, offlineAccess)
}

// Narrower returns scopes without the offline_access that plait added by itself, after a server refused a scope.
// It is false when plait added none: what somebody wrote is never dropped.
func (e *Endpoint) Narrower(scopes []string) ([]string, bool) {
	i := e.Identity
	if !e.wantsOffline() || i.OfflineAccess == wordAlways || slices.Contains(i.ExtraScopes, offlineAccess) || !slices.Contains(scopes, offlineAccess) {
		return nil, false
	}
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return s == offlineAccess }), true
}

// Resource returns the `resource` parameter (RFC 8707): what was published, byte for byte, or what the identity says.
// It is "" for none: where the identity says omit, or by itself when a scope names the resource already, as those of
// Entra ID do, which then takes no other.
func (e *Endpoint) Resource(published string, scopes []string) string {
	switch policy := e.Identity.Resource; policy {
	case wordOmit:
		return ""
	case wordAlways:
		return published
	case wordAuto, "":
		named := func(scope string) bool {
			return published != "" && strings.HasPrefix(scope, strings.TrimSuffix(published, "/")+"/")
		}
		if slices.ContainsFunc(scopes, named) {
			return ""
		}
		return published
	default:
		return policy
	}
}

// MayOmitResource reports whether plait may leave `resource` out when the server refuses it.
func (e *Endpoint) MayOmitResource() bool {
	return e.Identity.Resource == "" || e.Identity.Resource == wordAuto
}
