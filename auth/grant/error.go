package grant

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Error says why an authorization server gave no token. It shows nothing that was sent.
type Error struct {
	Op       string // "token request", "device authorization", "revocation", "identity token request"
	Endpoint string // host and path
	// Code is the `error` of the answer (RFC 6749 section 5.2), like invalid_grant; "" when it had none.
	Code        string
	Status      int           // of the answer; 0 when there was none
	Description string        // of the server, cleaned: at most 200 printable characters
	RetryAfter  time.Duration // what the server asked for; 0 when it did not
	// Temporary: the network, a 5xx, 429 or a page where an answer belongs. Nothing is lost: try later.
	Temporary bool
	// MaybeSpent: the request was sent and nobody knows what the server made of it. A code that was in it is
	// not to be sent again; a refresh token may have been rotated.
	MaybeSpent bool
	Skew       time.Duration // how far this computer's clock is ahead of the server's
	Cause      error         // of the network; nil when there was an answer. It holds no address with a query.
}

// Error implements error.
func (e *Error) Error() string {
	text := e.Op
	if e.Endpoint != "" {
		text += " to " + e.Endpoint
	}
	text += ": " + e.reason()
	if skewed(e.Skew) {
		text += "; " + SkewText(e.Skew)
	}
	return text
}

func (e *Error) reason() string {
	if e.Cause != nil {
		return e.Cause.Error()
	}
	text := e.Code
	if text == "" {
		text = fmt.Sprintf("the server answers %d", e.Status)
		if name := http.StatusText(e.Status); name != "" {
			text += " " + name
		}
	}
	if e.Description != "" {
		text += fmt.Sprintf(" (%q)", e.Description)
	}
	return text
}

// Unwrap returns what the network said.
func (e *Error) Unwrap() error { return e.Cause }

// GrantRefused reports whether the server says that the refresh token, code or assertion is not valid any more.
func (e *Error) GrantRefused() bool { return e.Code == "invalid_grant" }

// ClientRefused reports whether the server does not know the client, or not with that secret. Servers that do not
// follow RFC 6749 here say it with 401, or in a sentence.
func (e *Error) ClientRefused() bool {
	switch {
	case e.Code == "invalid_client" || e.Code == "unauthorized_client":
		return true
	case e.Code != "" || e.Temporary || e.Status < http.StatusBadRequest:
		return false
	}
	said := strings.ToLower(e.Description)
	return e.Status == http.StatusUnauthorized || strings.Contains(said, "client_id") || strings.Contains(said, "unrecognized client")
}

// ResourceRefused reports whether the server wants another `resource` parameter (RFC 8707), or none. AADSTS9010010 is
// how Entra ID says it.
func (e *Error) ResourceRefused() bool {
	return e.Code == "invalid_target" || strings.Contains(e.Description, "AADSTS9010010")
}

// ScopeRefused reports whether the server does not give a scope that was asked for.
func (e *Error) ScopeRefused() bool { return e.Code == "invalid_scope" }

const maxSkew = time.Minute

func skewed(d time.Duration) bool { return d.Abs() > maxSkew }

// SkewText tells a person how wrong the clock is; "" when it is right within a minute.
func SkewText(d time.Duration) string {
	if !skewed(d) {
		return ""
	}
	side := "ahead of"
	if d < 0 {
		side = "behind"
	}
	return fmt.Sprintf("this computer's clock is %.0f min %s the server's; set it", d.Abs().Minutes(), side)
}

// SetupError says which key of the identity cannot be used, before anything is sent.
type SetupError struct {
	Key string // of the identity, like auth.key
	Err error
}

// Error implements error.
func (e *SetupError) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *SetupError) Unwrap() error { return e.Err }
