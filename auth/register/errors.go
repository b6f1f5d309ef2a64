package register

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/plait-mcp/plait/auth/discovery"
)

// NoClientError says that plait is no client of an authorization server and cannot become one by itself.
type NoClientError struct {
	Issuer      string
	RedirectURI string // that a person registers the client with; may be ""
	At          string // where, if that is known
}

// Error implements error.
func (e *NoClientError) Error() string {
	at := ""
	if e.At != "" {
		at = " at " + e.At
	}
	with := ""
	if e.RedirectURI != "" {
		with = " with the redirect URI " + e.RedirectURI
	}
	return fmt.Sprintf("the authorization server %s registers no clients; register one%s%s and set clientId in the identity", show(e.Issuer), at, with)
}

// TokenRequiredError says that a registration needs an initial access token (RFC 7591, section 3), or that it was not
// the right one.
type TokenRequiredError struct {
	Issuer string
	Status int
	Given  bool // one was sent
}

// Error implements error.
func (e *TokenRequiredError) Error() string {
	if e.Given {
		return fmt.Sprintf("the authorization server %s refuses the initial access token of the registration (%d); correct registrationToken in the identity",
			show(e.Issuer), e.Status)
	}
	return fmt.Sprintf("registration at the authorization server %s needs an initial access token (%d); set registrationToken in the identity",
		show(e.Issuer), e.Status)
}

// RefusedError says that a server does not take a registration.
type RefusedError struct {
	Issuer      string
	Status      int
	Code        string // of RFC 7591, section 3.2.2; may be ""
	Description string // printable and short; may be ""
}

// Error implements error.
func (e *RefusedError) Error() string {
	what := strconv.Itoa(e.Status)
	if e.Code != "" {
		what = e.Code
	}
	if e.Description != "" {
		what += ": " + fmt.Sprintf("%q", e.Description)
	}
	return fmt.Sprintf("the authorization server %s refuses the registration (%s); register a client there and set clientId in the identity, or change clientMetadata",
		show(e.Issuer), what)
}

// RedirectError says that a registration was to be sent elsewhere. It was not.
type RedirectError struct{ From, To string }

// Error implements error.
func (e *RedirectError) Error() string {
	return fmt.Sprintf("the registration endpoint %s redirects to %s: plait does not go there; if that is right, set registrationEndpoint in the identity",
		e.From, e.To)
}

// MovedError says that a server has another authorization server now than the configured client is of.
type MovedError struct{ From, To string }

// Error implements error.
func (e *MovedError) Error() string {
	return fmt.Sprintf("the server moved from the authorization server %s to %s, where the configured clientId may be somebody else's; set issuer in the identity to the right one",
		show(e.From), show(e.To))
}

// noClient says that there is no way to become a client.
func (r Request) noClient() error {
	return &NoClientError{
		Issuer: r.Found.Issuer, RedirectURI: r.RedirectURI, At: discovery.RegisterAt(r.Identity.Provider, r.Found.Issuer),
	}
}

const maxDescription = 200

// printable makes a text of a server one that can be shown.
func printable(s string) string {
	var b strings.Builder
	for _, c := range s {
		if b.Len() >= maxDescription {
			break
		}
		if c >= ' ' && c != '\u007f' && c != '\ufffd' {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// show returns a URL without what may be secret in it.
func show(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "a URL that cannot be read"
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}
