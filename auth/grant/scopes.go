package grant

import (
	"slices"
	"strings"

	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/config"
)

const (
	offlineAccess = "offline_access"
	wordAlways    = "always"
	wordAuto      = "auto"
	wordOmit      = "omit"
)

// Scopes returns what to ask for: what discovery.Scopes chooses of those that were found and, where a person signs in,
// offline_access as discovery.WantsOffline has it: that is how a refresh token comes. Nothing comes twice.
func (e *Endpoint) Scopes(found []string) []string {
	scopes := discovery.Scopes(e.Identity, nil, found)
	if e.wantsOffline() && !slices.Contains(scopes, offlineAccess) {
		scopes = append(scopes, offlineAccess)
	}
	return scopes
}

// wantsOffline reports whether plait asks for offline_access by itself. Who signs in without a person needs no refresh
// token.
func (e *Endpoint) wantsOffline() bool {
	g := e.Identity.Grant
	return g.NeedsPerson() && g != config.GrantEnterprise && discovery.WantsOffline(e.Identity, e.Metadata)
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
