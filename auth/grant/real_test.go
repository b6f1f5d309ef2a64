package grant_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/plait-mcp/plait/auth/authtest"
	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/config"
)

// svcSecret has what RFC 6749 section 2.3.1 has encoded before it goes into the header.
const svcSecret = "svc-secret-with-reserved:+/%"

// at returns an endpoint of a real authorization server.
func at(t *testing.T, s *authtest.Server, g config.Grant, id, secret string) *grant.Endpoint {
	t.Helper()
	e := newEndpoint(t, s.Issuer, g)
	if err := json.Unmarshal([]byte(s.Get(t, "/.well-known/oauth-authorization-server")), e.Metadata); err != nil {
		t.Fatal(err)
	}
	e.Client.ID, e.Client.Secret = id, secret
	return e
}

// works fails the test when the resource does not take a token.
func works(t *testing.T, s *authtest.Server, token *grant.Token) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Resource, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token.Access)
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("the resource answers %d %s to a fresh token", answer.StatusCode, body)
	}
}

func TestRealClientCredentials(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	pki := newPKI(t)
	s := authtest.Start(t, "AS_CLIENT_JWKS="+write(t, "jwks.json", string(public)), "AS_TLS_CERT="+pki.server.Cert, "AS_TLS_KEY="+pki.server.CertKey, "AS_TLS_CA="+pki.ca)
	t.Run("basic with reserved characters", func(t *testing.T) {
		e := at(t, s, config.GrantClientCredentials, "svc", svcSecret)
		token, err := e.ClientCredentials(t.Context(), []string{"mcp:read"}, s.Resource)
		if err != nil {
			t.Fatal(err)
		}
		if token.Scope != "mcp:read" || token.Expires.IsZero() || token.Refresh != "" {
			t.Errorf("%v, scope %q", token, token.Scope)
		}
		works(t, s, token)
	})
	t.Run("post", func(t *testing.T) {
		e := at(t, s, config.GrantClientCredentials, "svc-post", "svc-secret")
		e.Identity.Auth.Method = "client_secret_post"
		token, err := e.ClientCredentials(t.Context(), []string{"mcp:read"}, s.Resource)
		if err != nil {
			t.Fatal(err)
		}
		works(t, s, token)
	})
	for name, text := range map[string]string{"PEM": pemOf(t, key), "JWK": jwkOf(t, key)} {
		t.Run("private_key_jwt "+name, func(t *testing.T) {
			e := at(t, s, config.GrantClientCredentials, "svc-jwt", "")
			e.Identity.Auth.Key = config.Secret(text)
			token, err := e.ClientCredentials(t.Context(), nil, s.Resource)
			if err != nil {
				t.Fatal(err)
			}
			works(t, s, token)
		})
	}
	t.Run("tls_client_auth", func(t *testing.T) {
		e := at(t, s, config.GrantClientCredentials, "svc-mtls", "")
		e.HTTP.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pki.pool}}
		e.Identity.Auth = config.ClientAuth{Method: "tls_client_auth", Cert: pki.client.Cert, CertKey: pki.client.CertKey}
		if e.Metadata.MTLS["token_endpoint"] == "" {
			t.Fatal("the server has no alias for clients with a certificate")
		}
		token, err := e.ClientCredentials(t.Context(), []string{"mcp:read"}, s.Resource)
		if err != nil {
			t.Fatal(err)
		}
		works(t, s, token)
	})
	t.Run("M42 refused", func(t *testing.T) {
		before := s.Stats(t).Token
		e := at(t, s, config.GrantClientCredentials, "svc", "another")
		_, err := e.ClientCredentials(t.Context(), []string{"mcp:read"}, s.Resource)
		var refused *grant.Error
		if !errors.As(err, &refused) || !refused.ClientRefused() || refused.Temporary || refused.Status != http.StatusUnauthorized {
			t.Errorf("%v", err)
		}
		if n := s.Stats(t).Token - before; n != 1 {
			t.Errorf("%d requests for one refusal", n)
		}
	})
}

// signIn signs a person in, as far as the code.
func signIn(t *testing.T, e *grant.Endpoint, a grant.Authorize) grant.Code {
	t.Helper()
	to, err := e.AuthorizeURL(a)
	if err != nil {
		t.Fatal(err)
	}
	var code url.Values
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	landed := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { code = r.URL.Query() })}
	done := make(chan struct{})
	go func() { defer close(done); _ = landed.Serve(l) }()
	defer func() { landed.Close(); <-done }()
	port := l.Addr().(*net.TCPAddr).Port
	redirect := "http://" + (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}).String() + "/callback"
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("redirect_uri", redirect)
	u.RawQuery = q.Encode()
	authtest.Visit(t, u.String())
	if code.Get("state") != a.State || code.Get("code") == "" {
		t.Fatalf("the person landed with %v", code)
	}
	c := grant.Code{Code: code.Get("code"), Verifier: a.Verifier, RedirectURI: redirect}
	if len(a.Resources) > 0 {
		c.Resource = a.Resources[0]
	}
	return c
}

// TestA13Resource signs in with the resource in the authorization and in the token requests, at a server that gives no
// token for the resource otherwise, and renews it.
func TestA13Resource(t *testing.T) {
	s := authtest.Start(t)
	e := at(t, s, config.GrantAuthorizationCode, "cli", "")
	scopes := e.Scopes([]string{"openid", "mcp:read"})
	code := signIn(t, e, grant.Authorize{State: "state", Verifier: grant.NewVerifier(), Scopes: scopes, Resources: []string{s.Resource}})
	token, err := e.Exchange(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	works(t, s, token)
	if token.Refresh == "" || token.ID == "" {
		t.Fatalf("no refresh token or ID token: %v", token)
	}
	next, err := e.Refresh(t.Context(), token.Refresh, nil, s.Resource)
	if err != nil {
		t.Fatal(err)
	}
	works(t, s, next)
	if next.Refresh == token.Refresh {
		t.Error("the refresh token was not rotated")
	}
	if n := s.Stats(t); n.Token != 2 || n.Reuse != 0 {
		t.Errorf("%+v", n)
	}
	if _, err := e.Refresh(t.Context(), next.Refresh, nil, s.Resource+"/"); !resourceRefused(err) {
		t.Errorf("another resource: %v", err)
	}
	if _, err = e.Refresh(t.Context(), token.Refresh, nil, s.Resource); !grantRefused(err) {
		t.Errorf("an old refresh token: %v", err)
	}
	if err := e.Revoke(t.Context(), next.Refresh, "refresh_token"); err != nil {
		t.Error(err)
	}
	if _, err := e.Refresh(t.Context(), next.Refresh, nil, s.Resource); !grantRefused(err) {
		t.Errorf("a revoked refresh token: %v", err)
	}
}

func resourceRefused(err error) bool {
	var e *grant.Error
	return errors.As(err, &e) && e.ResourceRefused()
}

func grantRefused(err error) bool {
	var e *grant.Error
	return errors.As(err, &e) && e.GrantRefused() && !e.Temporary
}

func TestRealEnterprise(t *testing.T) {
	s := authtest.Start(t)
	idp := at(t, s, config.GrantEnterprise, "idjag", "idjag-secret")
	code := signIn(t, idp, grant.Authorize{State: "state", Verifier: grant.NewVerifier(), Scopes: []string{"openid"}})
	person, err := idp.Exchange(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	e := at(t, s, config.GrantEnterprise, "idjag", "idjag-secret")
	e.Identity.IDP = &config.IdentityProvider{Issuer: s.Issuer, ClientID: "idjag"}
	want := grant.Want{Scopes: []string{"mcp:read"}, Resource: s.Resource}
	token, err := e.Enterprise(t.Context(), idp, grant.Subject{Token: person.ID}, want)
	if err != nil {
		t.Fatal(err)
	}
	works(t, s, token)
	idp.Identity.IDP = e.Identity.IDP
	e.Identity.IDP.IDToken = config.Assertion{From: "file", File: write(t, "id", person.ID+"\n")}
	if token, err = e.Enterprise(t.Context(), idp, grant.Subject{}, want); err != nil {
		t.Fatal(err)
	}
	works(t, s, token)
	if _, err := e.Enterprise(t.Context(), idp, grant.Subject{Token: person.Access}, want); !grantRefused(err) {
		t.Errorf("a token of another kind: %v", err)
	}
}

// TestRealDevice signs a person in who enters the code on the pages of the server.
func TestRealDevice(t *testing.T) {
	s := authtest.Start(t)
	e := at(t, s, config.GrantDeviceCode, "cli", "")
	token, err := e.Device(t.Context(), []string{"openid", "mcp:read", "offline_access"}, s.Resource, func(c grant.DeviceCode) {
		if c.UserCode == "" || c.CompleteURI == "" || time.Until(c.Expires) < time.Minute {
			t.Errorf("%+v", c)
		}
		enter(t, c.CompleteURI)
	})
	if err != nil {
		t.Fatal(err)
	}
	works(t, s, token)
	if token.Refresh == "" {
		t.Error("no refresh token")
	}
}

var action = regexp.MustCompile(`(?s)action="([^"]+)".*?name="xsrf" value="([^"]+)"`)

// enter does what a person does who is sent to a page with a device code.
func enter(t *testing.T, address string) {
	t.Helper()
	client := newBrowser(t)
	page := browse(t, client, address, nil)
	for range 3 { // the code, and that it is the right one
		found := action.FindStringSubmatch(page)
		if found == nil {
			break
		}
		u, _ := url.Parse(address)
		form := url.Values{"xsrf": {found[2]}, "user_code": {u.Query().Get("user_code")}, "confirm": {"yes"}}
		page = browse(t, client, found[1], form)
	}
	if !strings.Contains(page, "device ok") {
		t.Errorf("the last page is %s", page)
	}
}

func browse(t *testing.T, client *http.Client, address string, form url.Values) string {
	t.Helper()
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return string(text)
}

// pki is an authority with a certificate for a server on this computer and one for the client svc-mtls.
type pki struct {
	ca             string
	pool           *x509.CertPool
	server, client config.ClientAuth
}

func newPKI(t *testing.T) *pki {
	t.Helper()
	caKey := newKey(t)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	p := &pki{ca: write(t, "ca.pem", pemBlock("CERTIFICATE", der)), pool: x509.NewCertPool()}
	parsed, _ := x509.ParseCertificate(der)
	p.pool.AddCert(parsed)
	leaf := func(name string, serial int64) config.ClientAuth {
		key := newKey(t)
		c := &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		}
		der, err := x509.CreateCertificate(rand.Reader, c, ca, key.Public(), caKey)
		if err != nil {
			t.Fatal(err)
		}
		return config.ClientAuth{Cert: write(t, name+".pem", pemBlock("CERTIFICATE", der)), CertKey: write(t, name+".key", pemOf(t, key))}
	}
	const server, client = 2, 3
	p.server, p.client = leaf("server", server), leaf("svc-mtls", client)
	return p
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pemOf(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemBlock("PRIVATE KEY", der)
}

func pemBlock(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func jwkOf(t *testing.T, key any) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: "k", Algorithm: "ES256"})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
