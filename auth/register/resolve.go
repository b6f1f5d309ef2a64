package register

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/config"
)

// Request says at which authorization server plait needs to be a client, and for what.
type Request struct {
	HTTP        *http.Client // as for [discovery.Resolve]
	Found       *discovery.Metadata
	Identity    *config.Identity
	RedirectURI string   // "" for grants without one
	Scopes      []string // what will be asked for
	Known       *Client  // of an earlier time, for this identity; may be nil
}

// secretMargin is how long before its end a secret counts as expired.
const secretMargin = time.Minute

// Resolve returns plait as a client of the server: the one in the configuration, else a Client ID Metadata Document
// if the server reads those, else Known if it still fits, else one that it registers now, with one request or, when the
// server says what it does not like, a few. The RedirectURI of the result is the one to send, which may be another one
// than asked for.
//
// The errors are of ctx, or: MovedError, NoClientError, TokenRequiredError, RefusedError, RedirectError, which stay
// until somebody changes something, and discovery.UnavailableError, which does not.
func Resolve(ctx context.Context, req Request) (*Client, error) {
	id := req.Identity
	if id.ClientID != "" || id.Registration == string(Static) || needsNoClient(id) {
		return req.static()
	}
	cimd := id.ClientMetadataURL != "" && (id.Registration == "cimd" || id.Registration != string(Dynamic) && req.Found.ClientIDMetadataDocument)
	switch {
	case cimd:
		return req.document()
	case id.Registration == "cimd" || req.Found.RegistrationEndpoint == "" || !canRegister(id.Grant):
		return nil, req.noClient()
	case req.fits(req.Known):
		return req.Known, nil
	}
	return req.dynamic(ctx)
}

// needsNoClient tells whether the assertion alone says who comes (RFC 7521, section 4.1).
func needsNoClient(id *config.Identity) bool {
	return id.Grant == config.GrantJWTBearer && id.Registration != string(Dynamic) && id.Registration != "cimd"
}

// canRegister tells whether a client of a grant may be one that anybody can register: a person signs in besides.
func canRegister(g config.Grant) bool {
	return g == "" || g.NeedsPerson() && g != config.GrantEnterprise
}

// fits tells whether a registration of an earlier time is good for this request.
func (r Request) fits(c *Client) bool {
	return c != nil && c.Kind == Dynamic && c.Issuer == r.Found.Issuer && c.ID != "" && !c.Expired() &&
		(c.RedirectURI == r.RedirectURI || r.RedirectURI == "" || r.alternates(c.RedirectURI)) &&
		(c.Asked == "" || c.Asked == r.fingerprint())
}

// alternates tells whether a redirect URI is the other form of the one that was asked for, which the server insisted on.
func (r Request) alternates(uri string) bool {
	return r.Identity.RedirectURI == "" && uri != "" && uri == otherLoopback(r.RedirectURI)
}

// Expired tells whether the secret of the client is not good any more.
func (c Client) Expired() bool {
	return !c.SecretExpires.IsZero() && !time.Now().Add(secretMargin).Before(c.SecretExpires)
}

// static returns the client of the configuration. One that was used at another server goes to no other, unless the
// configuration says so (MCP, "Authorization Server Binding").
func (r Request) static() (*Client, error) {
	id := r.Identity
	if id.ClientID == "" && !needsNoClient(id) {
		return nil, r.noClient()
	}
	if k := r.Known; k != nil && k.Kind == Static && k.ID == id.ClientID && k.Issuer != r.Found.Issuer && id.Issuer == "" {
		return nil, &MovedError{From: k.Issuer, To: r.Found.Issuer}
	}
	return &Client{
		Issuer: r.Found.Issuer, ID: id.ClientID, Secret: id.ClientSecret.Reveal(), Kind: Static,
		Method: methodOf(id, r.Found.AuthMethods), RedirectURI: r.RedirectURI,
	}, nil
}

// document returns the client whose id is the address of its metadata.
func (r Request) document() (*Client, error) {
	if err := checkDocument(r.Identity.ClientMetadataURL); err != nil {
		return nil, err
	}
	method := r.Identity.Auth.Method
	if method == "" {
		method = methodNone
		if r.Identity.Auth.Key != "" {
			method = methodKey
		}
	}
	return &Client{
		Issuer: r.Found.Issuer, ID: r.Identity.ClientMetadataURL, Kind: Document, Method: method, RedirectURI: r.RedirectURI,
	}, nil
}

// How a client proves who it is (RFC 7591, section 2; RFC 7523; RFC 8705).
const (
	methodNone  = "none"
	methodBasic = "client_secret_basic"
	methodPost  = "client_secret_post"
	methodKey   = "private_key_jwt"
	methodTLS   = "tls_client_auth"
)

// methodOf chooses how the configured client proves who it is, from what it has and from what the server takes; a
// server that does not say takes client_secret_basic (RFC 8414, section 2).
func methodOf(id *config.Identity, offered []string) string {
	switch {
	case id.Auth.Method != "":
		return id.Auth.Method
	case id.Auth.Key != "":
		return methodKey
	case id.Auth.Cert != "":
		return methodTLS
	case id.ClientSecret == "":
		return methodNone
	}
	return secretMethod(offered)
}

// secretMethod chooses how to show a secret.
func secretMethod(offered []string) string {
	if slices.Contains(offered, methodPost) && !slices.Contains(offered, methodBasic) {
		return methodPost
	}
	return methodBasic
}
