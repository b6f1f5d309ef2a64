package discovery

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// NotOAuthError says that a server wants credentials and nothing about it is OAuth.
type NotOAuthError struct {
	Scheme string // of its challenge; "" if it gave none
}

// Error implements error.
func (e *NotOAuthError) Error() string {
	what := "wants authentication"
	if e.Scheme != "" && !strings.EqualFold(e.Scheme, "Bearer") {
		what = fmt.Sprintf("wants authentication of the kind %.40q", e.Scheme)
	}
	return "the server " + what + " but offers no OAuth metadata; give it an identity with grant: header or grant: basic"
}

// ResourceError says that the metadata of a server are those of another one. No token is asked for in its name.
type ResourceError struct {
	Metadata string // where
	Resource string // whose they are
	URL      string // of the server
}

// Error implements error.
func (e *ResourceError) Error() string {
	return fmt.Sprintf("its metadata at %s name another server, %.200q: no token is requested for that; if it is the right one, set resource in the identity",
		show(e.Metadata), e.Resource)
}

// IssuerError says that a document of metadata is of another authorization server (RFC 8414, section 3.3).
type IssuerError struct {
	Metadata  string // where
	Got, Want string
}

// Error implements error.
func (e *IssuerError) Error() string {
	return fmt.Sprintf("the metadata at %s claim the issuer %.200q, expected %.200q (RFC 8414, section 3.3); if that is right, set issuer in the identity",
		show(e.Metadata), e.Got, e.Want)
}

// MetadataError says that an authorization server cannot be used as it describes itself, or that it does not.
type MetadataError struct {
	Issuer string
	Reason string // a clause
	Advice string // what to do
}

// Error implements error.
func (e *MetadataError) Error() string {
	return fmt.Sprintf("the authorization server %s %s; %s", show(e.Issuer), e.Reason, e.Advice)
}

// PKCEError says that an authorization server does not tell that it knows PKCE with S256 (RFC 7636), which MCP
// demands of it.
type PKCEError struct{ Issuer string }

// Error implements error.
func (e *PKCEError) Error() string {
	return fmt.Sprintf("the authorization server %s does not say that it knows PKCE (code_challenge_methods_supported); if it does, set assumePKCE: true in the identity",
		show(e.Issuer))
}

// BlockedError says that a public server points to an address that only this machine or network reaches.
type BlockedError struct {
	Host string
	Addr string // what it resolves to
	Kind string // such as private
	Hard bool   // no setting allows it
}

// Error implements error.
func (e *BlockedError) Error() string {
	at := e.Host
	if e.Addr != e.Host {
		at += " (" + e.Addr + ")"
	}
	if e.Hard {
		return fmt.Sprintf("%s is a %s address: plait does not go where a server points to there", at, e.Kind)
	}
	return fmt.Sprintf("%s is a %s address and the server is not: plait does not go there; if that is right, set allowPrivateIssuer: true in the identity",
		at, e.Kind)
}

// UnavailableError says that a document could not be had now, and nothing else: a later attempt may work.
type UnavailableError struct {
	URL        string        // without a query
	Status     int           // 0 if there was no answer
	RetryAfter time.Duration // as the server says; 0 if it does not
	Err        error         // nil if there was an answer
}

// Error implements error.
func (e *UnavailableError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s answers %d; try again later", e.URL, e.Status)
	}
	return fmt.Sprintf("%s cannot be reached: %s", e.URL, reason(e.Err))
}

// Unwrap returns why there was no answer.
func (e *UnavailableError) Unwrap() error { return e.Err }

// reason says why there was no answer. An authority nobody trusts here is named: it is often a proxy of the company.
func reason(err error) string {
	if unknown, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		by := "an unknown authority"
		if c := unknown.Cert; c != nil && c.Issuer.String() != "" {
			by = fmt.Sprintf("%.120q", c.Issuer.String())
		}
		return "its certificate is issued by " + by + ", which is not trusted here; set caFile of the server"
	}
	return WithoutURL(err).Error()
}

// WithoutURL returns the reason of an error of net/http, which shows the URL and what is secret in it.
func WithoutURL(err error) error {
	if u, ok := err.(*url.Error); ok { //nolint:errorlint // the outermost one
		return u.Err
	}
	return err
}

// show returns a URL without what may be secret in it.
func show(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "a URL that cannot be read"
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}
