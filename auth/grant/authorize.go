package grant

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"golang.org/x/oauth2"
)

// What is asked of an authorization server, in errors.
const (
	opAuthorize = "authorization"
	opDevice    = "device authorization"
	opRevoke    = "revocation"
)

// Authorize is what one authorization request says.
type Authorize struct {
	State       string
	Verifier    string // of PKCE; see NewVerifier
	RedirectURI string
	Scopes      []string // none leaves `scope` out
	Resources   []string // of RFC 8707, as published; none leaves `resource` out
}

// NewVerifier returns a code verifier (RFC 7636 section 4.1).
func NewVerifier() string { return oauth2.GenerateVerifier() }

// AuthorizeURL returns where a person goes to sign in. The challenge is always S256. It refuses an endpoint that a
// browser must not be sent to: anything but https, and http on this computer.
func (e *Endpoint) AuthorizeURL(a Authorize) (string, error) {
	endpoint := e.endpoint("authorization_endpoint", e.Identity.AuthorizationEndpoint, e.Metadata.AuthorizationEndpoint)
	if err := e.checkURL(opAuthorize, endpoint); err != nil {
		return "", err
	}
	if a.State == "" || a.Verifier == "" {
		return "", errors.New("an authorization request needs a state and a verifier")
	}
	e.learn(a.State, a.Verifier)
	c := oauth2.Config{ClientID: e.Client.ID, RedirectURL: a.RedirectURI, Endpoint: oauth2.Endpoint{AuthURL: endpoint}}
	u, err := url.Parse(c.AuthCodeURL(a.State, oauth2.S256ChallengeOption(a.Verifier)))
	if err != nil {
		return "", &SetupError{Key: keyOf(opAuthorize), Err: errors.New("it is no URL")}
	}
	query := u.Query()
	if len(a.Scopes) > 0 {
		query.Set(cmp.Or(e.Identity.ScopeParam, "scope"), joinScopes(a.Scopes))
	}
	for _, r := range a.Resources {
		query.Add("resource", r)
	}
	for name, value := range e.Identity.AuthorizeParams {
		if isOurs(name) {
			return "", &SetupError{Key: "authorizeParams", Err: fmt.Errorf("%s is set by plait; remove it", name)}
		}
		query.Set(name, value.Reveal())
	}
	u.RawQuery, u.Fragment = query.Encode(), ""
	return u.String(), nil
}

// isOurs reports whether a parameter keeps a sign-in safe or is what a request is about: nobody else may set it.
func isOurs(name string) bool {
	return slices.Contains([]string{
		"client_id", "response_type", "redirect_uri", "state", "code_challenge", "code_challenge_method",
		"grant_type", "code", "code_verifier", "refresh_token", "device_code", "assertion", "subject_token",
		"client_secret", "client_assertion", "client_assertion_type",
	}, name)
}

// Code is an authorization code with what it was asked for with.
type Code struct {
	Code, Verifier, RedirectURI string
	Resource                    string // "" leaves `resource` out
}

// Exchange gives a code for a token (RFC 6749 section 4.1.3). It sends the code once: whatever the error, the code is
// not to be used again.
func (e *Endpoint) Exchange(ctx context.Context, c Code) (*Token, error) {
	params := url.Values{"grant_type": {"authorization_code"}, "code": {c.Code}}
	set(params, "redirect_uri", c.RedirectURI)
	set(params, "code_verifier", c.Verifier)
	set(params, "resource", c.Resource)
	return e.token(ctx, request{params: params, finish: true})
}

// set sets a parameter that has a value.
func set(params url.Values, name, value string) {
	if value != "" {
		params.Set(name, value)
	}
}
