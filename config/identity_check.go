package config

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// check reports what is wrong with a completed identity.
func (c identityCheck) check() {
	if !c.l.isBroken("identities", c.Name, "grant") {
		c.checkKeys()
		c.checkNeeds()
	}
	c.checkEndpoints()
	c.checkClient()
	c.checkScopes()
	c.checkParams()
	c.checkAuth(c.Auth, "auth")
	c.checkAssertion(c.Assertion, "assertion")
	c.checkAssertion(c.Subject, "subject")
	if c.IDP != nil {
		c.checkAuth(c.IDP.Auth, "idp", "auth")
		c.checkAssertion(c.IDP.IDToken, "idp", "idToken")
	}
	c.l.checkHeaders(c.Headers, func(name string) place {
		at := c.at("headers", name)
		at.show = c.at("headers").child(clean(name), at.pos).show
		return at
	})
	c.l.notNegative(c.RefreshSkew, "write a duration such as 60s, or 0", "identities", c.Name, "refreshSkew")
	c.checkRemote()
}

// checkKeys reports keys that say nothing about the grant.
func (c identityCheck) checkKeys() {
	allowed := keysOf(c.Grant)
	values, _ := c.l.values["identities"].(map[string]any)
	given, _ := values[c.Name].(map[string]any)
	for _, key := range sortedKeys(given) {
		if key == "grant" || slices.Contains(allowed, key) {
			continue
		}
		hint := "remove it"
		if others := grantsWith(key); len(others) > 0 {
			hint = "remove it, or use " + strings.Join(others, ", ")
		}
		c.fault(c.at(key), IDGrantKey, fmt.Sprintf("has no meaning for the grant %s", c.Grant), hint)
	}
}

// grantsWith returns the grants for which a key has a meaning, if they are few.
func grantsWith(key string) []string {
	const few = 3
	var names []string
	for _, grant := range Grants() {
		if slices.Contains(keysOf(Grant(grant)), key) {
			names = append(names, grant)
		}
	}
	if len(names) > few {
		return nil
	}
	return names
}

// keysOf returns the keys of an identity that have a meaning for a grant.
func keysOf(g Grant) []string {
	token := []string{
		"issuer", "tokenEndpoint", "revocationEndpoint", "clientId", "clientSecret", "auth", "scopes", "extraScopes", "scopeParam", "resource",
		"tokenParams", "tokenPath", "bearer", "strictIssuer", "legacyDiscovery", "allowPrivateIssuer", "allowHttp", "provider",
		"cacheAccessToken", "refreshSkew",
	}
	client := []string{"registration", "registrationEndpoint", "registrationToken", "clientName", "clientMetadata", "clientMetadataUrl"}
	person := []string{"offlineAccess", "oneLogin", "refreshToken", "deviceAuthorizationEndpoint"}
	browser := []string{"authorizationEndpoint", "authorizeParams", "assumePKCE", "redirectURI", "authorizationCode", "codeVerifier"}
	switch g {
	case GrantAuto, GrantAuthorizationCode:
		return slices.Concat(token, client, person, browser)
	case GrantDeviceCode:
		return slices.Concat(token, client, person)
	case GrantClientCredentials:
		return append(token, "audience")
	case GrantJWTBearer:
		return append(token, "assertion")
	case GrantTokenExchange:
		return append(token, "subject", "subjectTokenType", "requestedTokenType", "audience")
	case GrantEnterprise:
		return slices.Concat(token, client, []string{"idp", "redirectURI", "authorizeParams"})
	case GrantHeader:
		return []string{"headers"}
	case GrantBasic:
		return []string{"username", "password"}
	case GrantExec:
		return []string{"command", "cacheAccessToken", "refreshSkew", "tokenPath", "bearer"}
	case GrantNone:
	}
	return nil
}

// checkNeeds reports keys that the grant cannot do without.
func (c identityCheck) checkNeeds() {
	i := c.Identity
	need := func(has bool, key, example string) {
		if !c.has(has, strings.Split(key, ".")...) {
			c.l.report(c.l.identities[c.Name].at, IDGrantNeeds, fmt.Sprintf("the grant %s needs %s", c.Grant, key), "write "+example)
		}
	}
	server := c.has(i.Issuer != "", "issuer") || c.has(i.TokenEndpoint != "", "tokenEndpoint")
	switch c.Grant {
	case GrantClientCredentials:
		need(i.ClientID != "", "clientId", "clientId: NAME, as the server knows plait")
		c.checkCredentials(server)
	case GrantJWTBearer:
		need(c.isGiven("assertion"), "assertion", "assertion: {from: github-actions}, gitlab, kubernetes, file, env or command")
		need(server, "issuer", "issuer: https://…, so that the assertion goes there only")
	case GrantTokenExchange:
		need(c.isGiven("subject"), "subject", "subject: {from: env, env: NAME}, or github-actions, gitlab, kubernetes, file, command")
		need(server, "issuer", "issuer: https://…, so that the token goes there only")
	case GrantEnterprise:
		c.checkIDP(need)
	case GrantHeader:
		need(len(i.Headers) > 0, "headers", `headers: {Authorization: "Bearer ${TOKEN}"}`)
	case GrantBasic:
		need(i.Username != "", "username", "username: NAME")
	case GrantExec:
		need(len(i.Command) > 0, "command", "command: [PROGRAM, ARGUMENT]")
	case GrantAuto, GrantNone, GrantAuthorizationCode, GrantDeviceCode:
	}
}

// checkCredentials checks with what a client proves which one it is, where nobody else vouches for it.
func (c identityCheck) checkCredentials(fixed bool) {
	secret := c.has(c.ClientSecret != "", "clientSecret")
	switch c.Auth.Method {
	case "", "client_secret_basic", "client_secret_post":
		if !secret && c.Auth.Key == "" && !c.has(false, "auth", "key") {
			c.l.report(c.l.identities[c.Name].at, IDGrantNeeds, fmt.Sprintf("the grant %s needs clientSecret", c.Grant),
				`write clientSecret: "${keyring:…}", or auth: {method: private_key_jwt, key: …}`)
		}
	}
	if secret && !fixed && !c.l.isBroken("identities", c.Name) {
		c.l.warn(c.at("clientSecret"), IDAnyIssuer, "goes to whichever authorization server the MCP server names", "write issuer: https://…")
	}
}

func (c identityCheck) checkIDP(need func(has bool, key, example string)) {
	if c.IDP == nil {
		need(false, "idp", "idp: {issuer: https://…, clientId: …}")
		return
	}
	need(c.IDP.Issuer != "" || c.IDP.TokenEndpoint != "", "idp.issuer", "idp: {issuer: https://…}")
	need(c.IDP.ClientID != "", "idp.clientId", "idp: {clientId: NAME}, as the identity provider knows plait")
}

// checkEndpoints checks the URLs of an identity.
func (c identityCheck) checkEndpoints() {
	urls := map[string]string{
		"issuer": c.Issuer, "authorizationEndpoint": c.AuthorizationEndpoint, "tokenEndpoint": c.TokenEndpoint,
		"deviceAuthorizationEndpoint": c.DeviceAuthorizationEndpoint, "registrationEndpoint": c.RegistrationEndpoint,
		"revocationEndpoint": c.RevocationEndpoint,
	}
	if c.IDP != nil {
		urls["idp.issuer"], urls["idp.authorizationEndpoint"], urls["idp.tokenEndpoint"] = c.IDP.Issuer, c.IDP.AuthorizationEndpoint, c.IDP.TokenEndpoint
	}
	for _, key := range sortedKeys(urls) {
		if urls[key] == "" {
			continue
		}
		at := c.at(strings.Split(key, ".")...)
		u, err := url.Parse(urls[key])
		switch {
		case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Fragment != "" || u.User != nil:
			c.fault(at, IDURL, "is not a URL of https://", "write https://host/path")
		case u.Scheme == "http" && !isLoopback(u.Hostname()) && !c.AllowHTTP:
			c.fault(at, IDURL, fmt.Sprintf("http:// to %s is not encrypted", u.Hostname()), "write https://, or allowHttp: true")
		}
	}
	if u, err := url.Parse(c.ClientMetadataURL); c.ClientMetadataURL != "" && (err != nil || u.Scheme != "https" || u.Hostname() == "" || u.Path == "" || u.Path == "/" || u.Fragment != "") {
		c.fault(c.at("clientMetadataUrl"), IDURL, "is not a URL of https:// with a path", "write https://host/client.json")
	}
	if u, err := url.Parse(c.Resource); !slices.Contains([]string{"", wordAuto, wordAlways, "omit"}, c.Resource) && (err != nil || !u.IsAbs() || u.Fragment != "") {
		c.fault(c.at("resource"), IDURL, "is neither auto, always, omit nor a URI", "write https://host/path as the server publishes it")
	}
	c.checkRedirectURI()
}

// checkRedirectURI takes what RFC 8252, section 7.3 and MCP allow: this machine, or https.
func (c identityCheck) checkRedirectURI() {
	if c.RedirectURI == "" {
		return
	}
	u, err := url.Parse(c.RedirectURI)
	switch {
	case err != nil || u.Hostname() == "" || u.Fragment != "" || u.Scheme != "http" && u.Scheme != "https":
		c.fault(c.at("redirectURI"), IDRedirectURI, "is not a URL of this machine", "write http://127.0.0.1:33419/callback")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		c.fault(c.at("redirectURI"), IDRedirectURI, fmt.Sprintf("http:// to %s is not encrypted", u.Hostname()), "write http://127.0.0.1:33419/callback, or https://")
	}
}

// checkClient checks what says which client plait is.
func (c identityCheck) checkClient() {
	i := c.Identity
	hasID := c.has(i.ClientID != "", "clientId")
	switch {
	case i.Registration == "static" && !hasID:
		c.fault(c.at("registration"), IDGrantNeeds, "static needs clientId", "write clientId: NAME")
	case i.Registration == "cimd" && !c.has(i.ClientMetadataURL != "", "clientMetadataUrl"):
		c.fault(c.at("registration"), IDGrantNeeds, "cimd needs clientMetadataUrl", "write clientMetadataUrl: https://host/client.json")
	case i.Registration == "dynamic" && hasID:
		c.fault(c.at("clientId"), IDContradiction, "registration is dynamic", "remove one of them")
	case i.Registration == "cimd" && hasID:
		c.fault(c.at("clientId"), IDContradiction, "registration is cimd", "remove one of them")
	case c.isGiven("clientSecret") && !hasID && i.Grant != GrantNone && slices.Contains(keysOf(i.Grant), "clientId"):
		c.fault(c.at("clientSecret"), IDGrantNeeds, "a clientSecret needs its clientId", "write clientId: NAME")
	}
}

// checkScopes checks that each scope is one, as RFC 6749, section 3.3 has it.
func (c identityCheck) checkScopes() {
	check := func(scopes []string, keys ...string) {
		for n, scope := range scopes {
			at := c.at(append(slices.Clone(keys), strconv.Itoa(n))...)
			if scope == "" || strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r == '"' || r == '\\' || r > '~' }) {
				c.fault(at, IDScope, fmt.Sprintf("%q is not one scope", c.l.source(at, scope)), "write each scope as an element of the list")
			}
		}
	}
	check(c.Scopes, "scopes")
	check(c.ExtraScopes, "extraScopes")
	if c.IDP != nil {
		check(c.IDP.Scopes, "idp", "scopes")
	}
}

// checkParams reports parameters that plait sets itself: a value that differs from the real one leads nowhere.
func (c identityCheck) checkParams() {
	const client = " client_id client_secret client_assertion client_assertion_type redirect_uri scope resource "
	for key, own := range map[string]string{
		"authorizeParams": client + "response_type state nonce code_challenge code_challenge_method ",
		"tokenParams":     client + "grant_type code code_verifier refresh_token device_code assertion subject_token ",
	} {
		params := c.AuthorizeParams
		if key == "tokenParams" {
			params = c.TokenParams
		}
		for _, name := range sortedKeys(params) {
			if strings.Contains(own, " "+name+" ") {
				c.fault(c.at(key, name), IDContradiction, "is set by plait itself", "remove it; scopes, resource, redirectURI and clientId are keys of the identity")
			}
		}
	}
}

// checkAuth checks how a client proves which one it is.
func (c identityCheck) checkAuth(a ClientAuth, keys ...string) {
	at := func(key string) place { return c.at(append(slices.Clone(keys), key)...) }
	has := func(value bool, key string) bool { return c.has(value, append(slices.Clone(keys), key)...) }
	secret := append(slices.Clone(keys[:len(keys)-1]), "clientSecret")
	switch a.Method {
	case "private_key_jwt":
		if !has(a.Key != "", "key") {
			c.fault(at("method"), IDGrantNeeds, "private_key_jwt needs a key", `write key: "${file:key.pem}"`)
		}
	case "tls_client_auth":
		if a.Cert == "" || a.CertKey == "" {
			c.fault(at("method"), IDGrantNeeds, "tls_client_auth needs cert and certKey", "write the paths of PEM files")
		}
	case "none":
		if c.isGiven(secret...) {
			c.fault(c.at(secret...), IDContradiction, "auth.method is none", "remove one of them")
		}
	case "client_secret_basic", "client_secret_post":
		if !c.isGiven(secret...) && c.Grant != GrantClientCredentials && !c.mayRegister() {
			c.fault(at("method"), IDGrantNeeds, a.Method+" needs clientSecret", `write clientSecret: "${keyring:SERVICE/KEY}"`)
		}
	}
	for key, given := range map[string]bool{"key": a.Key != "", "alg": a.Alg != "", "kid": a.Kid != "", "audience": a.Audience != ""} {
		if given && a.Method != "private_key_jwt" && (a.Method != "" || a.Key == "") {
			c.fault(at(key), IDContradiction, "is for private_key_jwt only", "write method: private_key_jwt, or remove it")
		}
	}
	if text := strings.TrimSpace(a.Key.Reveal()); text != "" && !strings.HasPrefix(text, "-----BEGIN") && !strings.HasPrefix(text, "{") {
		c.fault(at("key"), IDPrivateKey, "is neither PEM nor a JWK", `write "${file:key.pem}", or a JSON Web Key`)
	}
	c.l.checkFile(a.Cert, at("cert"))
	c.l.checkFile(a.CertKey, at("certKey"))
}

// mayRegister tells whether the client may come from a registration, with a secret of the server's.
func (c identityCheck) mayRegister() bool { return !c.has(c.ClientID != "", "clientId") }

// checkAssertion checks that what an assertion is taken from has the keys it needs and no others.
func (c identityCheck) checkAssertion(a Assertion, keys ...string) {
	needs := map[string]string{"gitlab": "env", "kubernetes": "file", "file": "file", "env": "env", "command": "command", "github-actions": "audience"}
	at := func(key string) place { return c.at(append(slices.Clone(keys), key)...) }
	given := map[string]bool{"file": a.File != "", "env": a.Env != "", "command": len(a.Command) > 0, "audience": a.Audience != ""}
	own, known := needs[a.From]
	if path := slices.Concat([]string{"identities", c.Name}, keys); a.From == "" && c.isGiven(keys...) && !c.l.isBroken(path...) {
		c.fault(c.at(keys...), IDGrantNeeds, "from is missing", "write from: github-actions, gitlab, kubernetes, file, env or command")
		return
	}
	for _, key := range sortedKeys(given) {
		switch {
		case given[key] && known && key != own:
			c.fault(at(key), IDGrantKey, "has no meaning for from: "+a.From, "remove it")
		case !given[key] && key == own && key != "audience" && !c.has(false, append(slices.Clone(keys), key)...):
			c.fault(at("from"), IDGrantNeeds, fmt.Sprintf("%s needs %s", a.From, key), fmt.Sprintf("write {from: %s, %s: …}", a.From, key))
		}
	}
}

// checkRemote reports what a layer from elsewhere may not make this machine give away.
func (c identityCheck) checkRemote() {
	paths := [][]string{{"command"}}
	for _, assertion := range [][]string{{"assertion"}, {"subject"}, {"idp", "idToken"}} {
		for _, key := range []string{"file", "env", "command"} {
			paths = append(paths, append(slices.Clone(assertion), key))
		}
	}
	for _, path := range paths {
		if at := c.at(path...); c.isGiven(path...) && at.layer.remote {
			c.fault(at, IDReferenceForbidden, "a remote layer may not say where a token comes from", "write it into a file on this machine")
		}
	}
}
