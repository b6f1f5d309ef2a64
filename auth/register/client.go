// Package register makes plait a client of an authorization server.
package register

import (
	"fmt"
	"io"
	"time"
)

// Client is one client of one authorization server. It is persisted, with its secrets; printed it hides them.
type Client struct {
	Issuer        string    `json:"issuer"`
	ID            string    `json:"id"`
	Secret        string    `json:"secret,omitempty"`
	Method        string    `json:"method,omitempty"` // token_endpoint_auth_method; "" when nobody said
	Kind          Kind      `json:"kind"`
	RedirectURI   string    `json:"redirectUri,omitempty"`
	IssuedAt      time.Time `json:"issuedAt,omitzero"`
	SecretExpires time.Time `json:"secretExpires,omitzero"`
	ManageURI     string    `json:"manageUri,omitempty"`   // of RFC 7592
	ManageToken   string    `json:"manageToken,omitempty"` // of RFC 7592
}

// Kind is how plait became the client.
type Kind string

// Format implements fmt.Formatter, for every verb.
func (c Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "client "+c.ID) }
