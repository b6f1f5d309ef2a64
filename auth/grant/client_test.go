package grant_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/config"
)

// TestMethod chooses how a client authenticates.
func TestMethod(t *testing.T) {
	for name, c := range map[string]struct {
		registered, configured, secret, key, cert string
		offered                                   []string
		want                                      string
	}{
		"public":                      {want: "none"},
		"silent server":               {secret: "s", want: "client_secret_basic"},
		"both":                        {secret: "s", offered: []string{"client_secret_post", "client_secret_basic"}, want: "client_secret_basic"},
		"post only":                   {secret: "s", offered: []string{"none", "client_secret_post"}, want: "client_secret_post"},
		"neither":                     {secret: "s", offered: []string{"private_key_jwt"}, want: "client_secret_basic"},
		"key":                         {key: "k", want: "private_key_jwt"},
		"certificate":                 {cert: "c", want: "tls_client_auth"},
		"configured":                  {secret: "s", configured: "client_secret_post", offered: []string{"client_secret_basic"}, want: "client_secret_post"},
		"registration wins":           {registered: "client_secret_post", configured: "none", secret: "s", want: "client_secret_post"},
		"registered without a secret": {registered: "none", key: "k", want: "none"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEndpoint(t, "https://as.example", config.GrantClientCredentials)
			e.Client.Method, e.Client.Secret, e.Metadata.AuthMethods = c.registered, c.secret, c.offered
			e.Identity.Auth = config.ClientAuth{Method: c.configured, Key: config.Secret(c.key), Cert: c.cert}
			if got := e.Method(); got != c.want {
				t.Errorf("%s", got)
			}
		})
	}
}

// TestSecretsSent looks at what a server is sent by each way to authenticate, and that it is sent once.
func TestSecretsSent(t *testing.T) {
	for _, method := range []string{"none", "client_secret_basic", "client_secret_post"} {
		t.Run(method, func(t *testing.T) {
			s := serve(t, gives(map[string]any{"access_token": "a"}))
			e := newEndpoint(t, s.URL, config.GrantClientCredentials)
			e.Client.ID, e.Client.Secret, e.Client.Method = "id:+/%", svcSecret, method
			e.Identity.TokenParams = map[string]config.Secret{"audience": "api"}
			if _, err := e.ClientCredentials(t.Context(), []string{"x", "y"}, "https://mcp.example/mcp"); err != nil {
				t.Fatal(err)
			}
			form, _ := s.last()
			if form.Get("grant_type") != "client_credentials" || form.Get("scope") != "x y" || form.Get("resource") != "https://mcp.example/mcp" || form.Get("audience") != "api" {
				t.Errorf("%v", form)
			}
			basic := s.auths[0] == "Basic aWQlM0ElMkIlMkYlMjU6c3ZjLXNlY3JldC13aXRoLXJlc2VydmVkJTNBJTJCJTJGJTI1"
			if basic != (method == "client_secret_basic") || form.Has("client_secret") != (method == "client_secret_post") || form.Has("client_id") == basic {
				t.Errorf("%s: header %q, form %v", method, s.auths[0], form)
			}
		})
	}
}

// TestClientAssertion signs with every kind of key and checks the signature and what it says.
func TestClientAssertion(t *testing.T) {
	ec := func(c elliptic.Curve) *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, p384 := ec(elliptic.P256()), ec(elliptic.P384())
	sec1, err := x509.MarshalECPrivateKey(p256)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: rsaKey, KeyID: "own", Algorithm: "PS256"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key     string
		alg     string
		kid     string
		aud     string
		verify  any
		want    jose.SignatureAlgorithm
		wantKid string
		offered []string
	}{
		"ES256":                   {key: pemOf(t, p256), verify: p256.Public(), want: jose.ES256},
		"ES384":                   {key: pemOf(t, p384), kid: "k", verify: p384.Public(), want: jose.ES384, wantKid: "k"},
		"RS256":                   {key: pemOf(t, rsaKey), verify: rsaKey.Public(), want: jose.RS256},
		"PS256":                   {key: pemOf(t, rsaKey), alg: "PS256", verify: rsaKey.Public(), want: jose.PS256},
		"PS256 of the server":     {key: pemOf(t, rsaKey), offered: []string{"ES256", "PS256"}, verify: rsaKey.Public(), want: jose.PS256},
		"RS256 among others":      {key: pemOf(t, rsaKey), offered: []string{"PS256", "RS256"}, verify: rsaKey.Public(), want: jose.RS256},
		"EdDSA":                   {key: pemOf(t, edKey), verify: public, want: jose.EdDSA},
		"PKCS#1":                  {key: pemBlock("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), verify: rsaKey.Public(), want: jose.RS256},
		"SEC 1":                   {key: pemBlock("EC PRIVATE KEY", sec1), verify: p256.Public(), want: jose.ES256},
		"JWK":                     {key: string(jwk), verify: rsaKey.Public(), want: jose.PS256, wantKid: "own"},
		"kid of the identity":     {key: string(jwk), kid: "other", alg: "RS256", verify: rsaKey.Public(), want: jose.RS256, wantKid: "other"},
		"one line":                {key: strings.ReplaceAll(pemOf(t, p256), "\n", `\n`), verify: p256.Public(), want: jose.ES256},
		"aud token endpoint":      {key: pemOf(t, p256), aud: "tokenEndpoint", verify: p256.Public(), want: jose.ES256},
		"aud of its own":          {key: pemOf(t, p256), aud: "https://aud.example", verify: p256.Public(), want: jose.ES256},
		"aud issuer, by its name": {key: pemOf(t, p256), aud: "issuer", verify: p256.Public(), want: jose.ES256},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, gives(map[string]any{"access_token": "a"}))
			e := newEndpoint(t, s.URL, config.GrantClientCredentials)
			e.Identity.Auth = config.ClientAuth{Key: config.Secret(c.key), Alg: c.alg, Kid: c.kid, Audience: c.aud}
			e.Metadata.AuthAlgs = c.offered
			var ids []string
			for range 2 {
				if _, err := e.ClientCredentials(t.Context(), nil, ""); err != nil {
					t.Fatal(err)
				}
				form, _ := s.last()
				parsed, err := jwt.ParseSigned(form.Get("client_assertion"), []jose.SignatureAlgorithm{c.want})
				if err != nil {
					t.Fatal(err)
				}
				var claims jwt.Claims
				if err := parsed.Claims(c.verify, &claims); err != nil {
					t.Fatal(err)
				}
				aud := map[string]string{"": s.URL, "issuer": s.URL, "tokenEndpoint": s.URL + "/token"}[c.aud]
				if aud == "" {
					aud = c.aud
				}
				if err := claims.Validate(jwt.Expected{Issuer: "client", Subject: "client", AnyAudience: jwt.Audience{aud}, Time: time.Now()}); err != nil {
					t.Error(err)
				}
				if parsed.Headers[0].KeyID != c.wantKid || claims.Expiry.Time().Sub(claims.IssuedAt.Time()) > 5*time.Minute {
					t.Errorf("%+v", parsed.Headers[0])
				}
				if form.Get("client_id") != "client" || form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
					t.Errorf("%v", form)
				}
				ids = append(ids, claims.ID)
			}
			if slices.Contains(ids, "") || ids[0] == ids[1] {
				t.Errorf("jti %q", ids)
			}
		})
	}
}

// TestSetup is about what a person configured wrongly: it is said which key, without its value, and nothing is sent.
func TestSetup(t *testing.T) {
	s := serve(t, gives(map[string]any{"access_token": "a"}))
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := json.Marshal(jose.JSONWebKey{Key: rsaKey.Public()})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*grant.Endpoint)
		key    string
	}{
		"no secret":     {func(e *grant.Endpoint) { e.Identity.Auth.Method = "client_secret_basic" }, "clientSecret"},
		"no key":        {func(e *grant.Endpoint) { e.Identity.Auth.Method = "private_key_jwt" }, "auth.key"},
		"no key at all": {func(e *grant.Endpoint) { e.Identity.Auth.Key = canary }, "auth.key"},
		"no JWK":        {func(e *grant.Endpoint) { e.Identity.Auth.Key = `{"` + canary + `"` }, "auth.key"},
		"a public JWK":  {func(e *grant.Endpoint) { e.Identity.Auth.Key = config.Secret(public) }, "auth.key"},
		"a certificate": {func(e *grant.Endpoint) { e.Identity.Auth.Key = config.Secret(pemBlock("CERTIFICATE", []byte(canary))) }, "auth.key"},
		"another algorithm": {func(e *grant.Endpoint) {
			e.Identity.Auth = config.ClientAuth{Key: config.Secret(pemOf(t, rsaKey)), Alg: "ES256"}
		}, "auth.key"},
		"a method of its own": {func(e *grant.Endpoint) { e.Identity.Auth.Method = "tls_by_magic" }, "auth.method"},
		"no certificate":      {func(e *grant.Endpoint) { e.Identity.Auth.Cert = "/nowhere.pem" }, "auth.cert"},
		"no endpoint":         {func(e *grant.Endpoint) { e.Metadata.TokenEndpoint = "" }, "tokenEndpoint"},
		"in clear":            {func(e *grant.Endpoint) { e.Metadata.TokenEndpoint = "http://as.example/token?x=" + canary }, "tokenEndpoint"},
		"javascript:":         {func(e *grant.Endpoint) { e.Metadata.TokenEndpoint = "javascript:alert(1)" }, "tokenEndpoint"},
		"a parameter of ours": {func(e *grant.Endpoint) { e.Identity.TokenParams = map[string]config.Secret{"grant_type": "password"} }, "tokenParams"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEndpoint(t, s.URL, config.GrantClientCredentials)
			c.change(e)
			_, err := e.ClientCredentials(t.Context(), nil, "")
			var setup *grant.SetupError
			if !errors.As(err, &setup) || setup.Key != c.key || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("%v", err)
			}
		})
	}
	if _, n := s.last(); n != 0 {
		t.Errorf("%d requests", n)
	}
}
