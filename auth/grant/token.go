package grant

import (
	"fmt"
	"io"
	"time"
)

// Token is the answer of a token endpoint (RFC 6749 section 5.1). It marshals with its secrets, for a sealed store;
// however it is printed, they do not show.
type Token struct {
	// Access is what a request to the MCP server carries: the access token, or the ID token when the identity
	// says bearer: idToken.
	Access  string `json:"access"`
	Type    string `json:"type,omitempty"`
	Refresh string `json:"refresh,omitempty"` // "" when the server gave none, not even before
	ID      string `json:"id,omitempty"`
	Scope   string `json:"scope,omitempty"`  // what was granted; "" when it is what was asked for
	Issued  string `json:"issued,omitempty"` // issued_token_type of RFC 8693

	Obtained time.Time `json:"obtained,omitzero"`
	// Expires counts from the receipt, by this computer's wall clock. It is zero when nobody said: the token
	// lives until the MCP server refuses it.
	Expires        time.Time `json:"expires,omitzero"`
	RefreshExpires time.Time `json:"refreshExpires,omitzero"` // zero: unknown

	// Skew is how far this computer's clock is ahead of the server's, as well as its Date header tells.
	Skew time.Duration `json:"-"`
}

// Format implements fmt.Formatter, for every verb.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// String tells what may be known of a token.
func (t Token) String() string {
	expires := "unknown"
	if !t.Expires.IsZero() {
		expires = t.Expires.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("token (expires %s, refreshable %t)", expires, t.Refresh != "")
}

// GoString implements fmt.GoStringer.
func (t Token) GoString() string { return t.String() }
