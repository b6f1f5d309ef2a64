package discovery

import (
	"net/url"
	"regexp"
	"strings"
)

// tenant is the place of the tenant in the issuers of Entra ID that are good for several.
const tenant = "{tenantid}"

// aGUID is how Entra ID names a tenant in its documents, whatever name was asked for.
var aGUID = regexp.MustCompile(`^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)

// issuerOf returns who a document is of, if that is who was expected. The standard says that both are identical
// (RFC 8414, section 3.3). Where documents in the field are not, and nobody but the same host could have written them,
// the spelling of the document counts:
//
//   - one slash at the end that only one of the two has, since both lead to the same document;
//   - the tenant of Entra ID, where the document has a placeholder or the tenant's number. With a placeholder the
//     expected issuer counts.
func issuerOf(got, want string, strict bool) (issuer string, ok bool) {
	if got == want {
		return got, got != ""
	}
	if strict || got == "" {
		return "", false
	}
	if strings.TrimSuffix(got, "/") == strings.TrimSuffix(want, "/") && !strings.HasSuffix(strings.TrimSuffix(got, "/"), "/") {
		return got, true
	}
	return entraIssuer(got, want)
}

// entraIssuer compares two issuers of Entra ID by all but the tenant.
func entraIssuer(got, want string) (string, bool) {
	w, err := url.Parse(want)
	if err != nil || providerOf(want) != providerEntra {
		return "", false
	}
	asked, rest, _ := strings.Cut(strings.TrimPrefix(w.Path, "/"), "/")
	prefix, after := origin(w)+"/", ""
	if rest = strings.TrimSuffix(rest, "/"); rest != "" {
		after = "/" + rest
	}
	found, ok := strings.CutPrefix(got, prefix)
	if !ok || asked == "" {
		return "", false
	}
	if found, ok = strings.CutSuffix(strings.TrimSuffix(found, "/"), after); !ok {
		return "", false
	}
	switch {
	case found == tenant:
		return want, true
	case aGUID.MatchString(found) && !aGUID.MatchString(asked):
		return got, true
	}
	return "", false
}
