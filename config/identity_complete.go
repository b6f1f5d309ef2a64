package config

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/mattn/go-shellwords"
)

// Where platforms keep the tokens that they give to what runs on them, unless the file says otherwise.
const (
	gitlabVariable = "GITLAB_OIDC_TOKEN"
	kubernetesFile = "/var/run/secrets/kubernetes.io/serviceaccount/token"
)

// urnPrefix is what the names of token types of RFC 8693 begin with.
const urnPrefix = "urn:ietf:params:oauth:token-type:"

// identityCheck fills in what follows from the rest of an identity, and reports what is wrong with it.
type identityCheck struct {
	l *loader
	*Identity
}

// at returns where those keys of the identity stand, or the nearest above them.
func (c identityCheck) at(keys ...string) place {
	return c.l.place(append([]string{"identities", c.Name}, keys...)...)
}

func (c identityCheck) isGiven(keys ...string) bool {
	return c.l.isGiven(append([]string{"identities", c.Name}, keys...)...)
}

// has tells whether a key has a value, also when it is one that could not be read or, offline, is not known.
func (c identityCheck) has(value bool, keys ...string) bool {
	return value || c.isGiven(keys...) && c.l.isBroken(append([]string{"identities", c.Name}, keys...)...)
}

func (c identityCheck) fault(at place, id, msg, hint string) { c.l.fault(at, id, msg, hint) }

func (c identityCheck) complete() {
	i := c.Identity
	c.word((*string)(&i.Grant), []string{"grant"}, Grants()...)
	c.word(&i.Registration, []string{"registration"}, wordAuto, "static", "cimd", "dynamic")
	c.word(&i.OfflineAccess, []string{"offlineAccess"}, wordAuto, wordAlways, wordNever)
	c.word(&i.OneLogin, []string{"oneLogin"}, wordAuto, wordAlways, wordNever)
	c.word(&i.Bearer, []string{"bearer"}, "accessToken", "idToken")
	c.word(&i.Provider, []string{"provider"}, append([]string{""}, Providers()...)...)
	c.completeAuth(&i.Auth, "auth")
	issuer := cmp.Or(i.Issuer, i.TokenEndpoint)
	c.completeAssertion(&i.Assertion, issuer, "assertion")
	c.completeAssertion(&i.Subject, issuer, "subject")
	i.SubjectTokenType, i.RequestedTokenType = urn(i.SubjectTokenType), urn(i.RequestedTokenType)
	if i.Grant == GrantTokenExchange && i.SubjectTokenType == "" {
		i.SubjectTokenType = urnPrefix + "jwt"
	}
	if i.ClientMetadataURL != "" && i.ClientID == i.ClientMetadataURL {
		i.ClientID = ""
	}
	if p := i.IDP; p != nil {
		c.completeAuth(&p.Auth, "idp", "auth")
		c.completeAssertion(&p.IDToken, cmp.Or(p.Issuer, p.TokenEndpoint), "idp", "idToken")
		p.SubjectTokenType = urn(p.SubjectTokenType)
		if p.SubjectTokenType == "" {
			p.SubjectTokenType = urnPrefix + "id_token"
		}
	}
	for name := range i.Headers {
		if isOwnHeader(name) {
			delete(i.Headers, name)
			c.l.warn(c.at("headers", name), IDNoEffect, "is set by plait itself and ignored", "remove it")
		}
	}
}

// urn returns the whole name of a token type, which may be written as its last word.
func urn(s string) string {
	if s == "" || strings.Contains(s, ":") {
		return s
	}
	return urnPrefix + strings.ReplaceAll(s, "-", "_")
}

// word makes a value the choice that it is a spelling of, or reports it.
func (c identityCheck) word(value *string, keys []string, choices ...string) {
	if i := slices.IndexFunc(choices, func(choice string) bool { return plain(choice) == plain(*value) }); i >= 0 {
		*value = choices[i]
		return
	}
	c.l.choose(c.at(keys...), *value, slices.DeleteFunc(choices, func(choice string) bool { return choice == "" })...)
}

func (c identityCheck) completeAuth(a *ClientAuth, keys ...string) {
	at := func(key string) []string { return append(slices.Clone(keys), key) }
	c.word(&a.Method, at("method"), append([]string{""}, authMethods()...)...)
	c.word(&a.Alg, at("alg"), append([]string{""}, signingAlgs()...)...)
	c.absolute(&a.Cert, at("cert")...)
	c.absolute(&a.CertKey, at("certKey")...)
}

// completeAssertion fills in what an assertion for that issuer does not say.
func (c identityCheck) completeAssertion(a *Assertion, issuer string, keys ...string) {
	at := func(key string) []string { return append(slices.Clone(keys), key) }
	c.word(&a.From, at("from"), "", "github-actions", "gitlab", "kubernetes", "file", "env", "command")
	switch {
	case a.From == "github-actions" && a.Audience == "":
		a.Audience = issuer
	case a.From == "gitlab" && a.Env == "":
		a.Env = gitlabVariable
	case a.From == "kubernetes" && a.File == "":
		a.File = kubernetesFile
		return
	}
	c.absolute(&a.File, at("file")...)
}

func (c identityCheck) absolute(name *string, keys ...string) {
	if *name == "" {
		return
	}
	path, err := c.l.absolute(*name, c.at(keys...))
	if err != nil {
		c.l.add(c.at(keys...), asExpandError(err).problem())
		return
	}
	*name = path
}

// commandLine returns the words of a command that is written as one text.
func (l *loader) commandLine(ctx context.Context, v leaf) CommandLine {
	text, ok := l.expanded(ctx, v.node, v.at)
	if !ok {
		return nil
	}
	parser := shellwords.NewParser()
	words, err := parser.Parse(text)
	if err != nil || len(words) == 0 || parser.Position >= 0 {
		l.report(v.at, IDValue, "is not a command with its arguments", "no shell reads it: put special characters into quotes, or write a list")
		return nil
	}
	return words
}

// userInfo tells whether a URL names a user; it is false when it is none.
func userInfo(text string) (named, ok bool) {
	u, err := url.Parse(text)
	return err == nil && u.User != nil, err == nil
}

// Grants returns the words for the grants, in the order in which they are explained.
func Grants() []string {
	return []string{
		string(GrantAuto), string(GrantNone), string(GrantAuthorizationCode), string(GrantDeviceCode), string(GrantClientCredentials),
		string(GrantJWTBearer), string(GrantTokenExchange), string(GrantEnterprise), string(GrantHeader), string(GrantBasic), string(GrantExec),
	}
}

// Providers returns the authorization servers whose ways plait knows.
func Providers() []string {
	return []string{"atlassian", "auth0", "cognito", "entra", "github", "google", "keycloak", "notion", "okta", "slack", "supabase"}
}

// authMethods are those of RFC 7591, section 2, RFC 7523 and RFC 8705 that plait has.
func authMethods() []string {
	return []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth"}
}

// signingAlgs are those of RFC 7518 and RFC 8037 that an assertion can be signed with.
func signingAlgs() []string {
	return []string{"ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"}
}
