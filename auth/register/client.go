package register

import (
	"fmt"
	"time"
)

// Kind is how a client came to be.
type Kind string

// The kinds.
const (
	Static   Kind = "static"   // somebody registered it and wrote it into the configuration
	Document Kind = "document" // its id is the address of its metadata
	Dynamic  Kind = "dynamic"  // plait registered it
)

// Client is plait as an authorization server knows it. It is persisted, and holds secrets: printed, it hides them.
type Client struct {
	Issuer      string `json:"issuer"` // of the only server that it may be shown to
	ID          string `json:"client_id"`
	Secret      string `json:"client_secret,omitempty"`
	Method      string `json:"token_endpoint_auth_method"` // how it proves who it is: none, client_secret_basic …
	Kind        Kind   `json:"kind"`
	RedirectURI string `json:"redirect_uri,omitempty"` // to be sent exactly so
	Scope       string `json:"scope,omitempty"`        // that it is registered for; "" if nobody said
	Asked       string `json:"asked,omitempty"`        // the fingerprint of what a dynamic registration asked for

	IssuedAt      time.Time `json:"issued_at"`
	SecretExpires time.Time `json:"secret_expires"` // zero: never

	ManageURI   string `json:"registration_client_uri,omitempty"` // RFC 7592
	ManageToken string `json:"registration_access_token,omitempty"`
}

// Format implements fmt.Formatter for every verb and hides the secrets.
func (c Client) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "%s client %q of %s", string(c.Kind), c.ID, c.Issuer)
}
