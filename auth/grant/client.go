package grant

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/plait-mcp/plait/config"
)

// The ways of a client to prove which one it is (token_endpoint_auth_method of RFC 7591, RFC 8705).
const (
	methodNone  = "none"
	methodBasic = "client_secret_basic"
	methodPost  = "client_secret_post"
	methodJWT   = "private_key_jwt"
	methodTLS   = "tls_client_auth"
)

// proof is how one request shows which client sends it, beside what is in its parameters.
type proof struct {
	basic      bool // id and secret go into the header
	id, secret string
	cert       *tls.Certificate // nil for none
}

// prove adds to the parameters of a request what shows which client sends it.
func (e *Endpoint) prove(params url.Values) (proof, error) {
	id := e.Client.ID
	method := e.Method()
	if id != "" && method != methodBasic {
		params.Set("client_id", id)
	}
	secret := cmp.Or(e.Client.Secret, e.Identity.ClientSecret.Reveal())
	switch method {
	case methodNone:
		return proof{}, nil
	case methodBasic, methodPost:
		if secret == "" {
			return proof{}, &SetupError{Key: "clientSecret", Err: fmt.Errorf("%s needs one; set it", method)}
		}
		if method == methodBasic {
			return proof{basic: true, id: id, secret: secret}, nil
		}
		params.Set("client_secret", secret)
		return proof{}, nil
	case methodJWT:
		assertion, err := e.clientAssertion()
		if err != nil {
			return proof{}, err
		}
		params.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		params.Set("client_assertion", assertion)
		return proof{}, nil
	case methodTLS:
		pair, err := clientCertificate(e.Identity.Auth)
		return proof{cert: pair}, err
	default:
		return proof{}, &SetupError{Key: "auth.method", Err: fmt.Errorf("plait cannot authenticate by %q", method)}
	}
}

// clientCertificate reads the certificate of tls_client_auth; nil when the connection to the MCP server has one already.
func clientCertificate(a config.ClientAuth) (*tls.Certificate, error) {
	if a.Cert == "" {
		return nil, nil //nolint:nilnil // no certificate is a way to do it
	}
	pair, err := tls.LoadX509KeyPair(a.Cert, cmp.Or(a.CertKey, a.Cert))
	if err != nil {
		return nil, &SetupError{Key: "auth.cert", Err: err}
	}
	return &pair, nil
}

// Method returns how the client authenticates: as it was registered, else as the identity says, else by what the
// identity has and the server takes (RFC 8414 token_endpoint_auth_methods_supported).
func (e *Endpoint) Method() string {
	auth := e.Identity.Auth
	switch offered := e.Metadata.AuthMethods; {
	case e.Client.Method != "":
		return e.Client.Method
	case auth.Method != "":
		return auth.Method
	case auth.Key != "":
		return methodJWT
	case auth.Cert != "":
		return methodTLS
	case e.Client.Secret == "" && e.Identity.ClientSecret == "":
		return methodNone
	case !slices.Contains(offered, methodBasic) && slices.Contains(offered, methodPost):
		return methodPost
	default:
		return methodBasic // what RFC 8414 has a silent server take
	}
}

// certifier is a transport that can show another certificate.
type certifier interface {
	WithCertificate(cert tls.Certificate) http.RoundTripper
}

// transport returns what a request goes through, and what closes it.
func (e *Endpoint) transport(p proof) (http.RoundTripper, func(), error) {
	if p.cert == nil {
		return e.HTTP.Transport, func() {}, nil
	}
	var next http.RoundTripper
	switch t := e.HTTP.Transport.(type) {
	case *http.Transport:
		own := t.Clone()
		if own.TLSClientConfig == nil {
			own.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		own.TLSClientConfig.Certificates = []tls.Certificate{*p.cert}
		next = own
	case certifier:
		next = t.WithCertificate(*p.cert)
	default:
		return nil, nil, &SetupError{Key: "auth.cert", Err: errors.New("this connection cannot show a certificate")}
	}
	return next, (&http.Client{Transport: next}).CloseIdleConnections, nil
}

// endpoint returns where requests of a kind go: where the identity says, else the server's address for clients with a
// certificate (RFC 8705 section 5), else the usual one.
func (e *Endpoint) endpoint(name, configured, published string) string {
	if e.Method() == methodTLS && configured == "" {
		return cmp.Or(e.Metadata.MTLS[name], published)
	}
	return cmp.Or(configured, published)
}
