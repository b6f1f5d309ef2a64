package grant

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/plait-mcp/plait/config"
)

// assertionLife is how long a client assertion can be used.
const assertionLife = 2 * time.Minute

// clientAssertion returns a JWT by which a client proves that it has a key (RFC 7523 section 2.2, private_key_jwt of
// OpenID Connect Core section 9). It can be used once.
func (e *Endpoint) clientAssertion() (string, error) {
	auth := e.Identity.Auth
	if auth.Key == "" {
		return "", &SetupError{Key: "auth.key", Err: errors.New("private_key_jwt needs a private key, PEM or JWK; set it")}
	}
	signer, err := newSigner(auth, e.Metadata.AuthAlgs)
	if err != nil {
		return "", &SetupError{Key: "auth.key", Err: err}
	}
	audience := auth.Audience
	switch {
	case audience == "tokenEndpoint", (audience == "" || audience == "issuer") && e.Metadata.Issuer == "":
		audience = e.endpoint("token_endpoint", e.Identity.TokenEndpoint, e.Metadata.TokenEndpoint)
	case audience == "", audience == "issuer":
		audience = e.Metadata.Issuer
	}
	now := time.Now()
	return jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: e.Client.ID, Subject: e.Client.ID, Audience: jwt.Audience{audience}, ID: rand.Text(),
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(assertionLife)),
	}).Serialize()
}

// newSigner returns a signer with the private key of a client, in PEM or JWK form. It signs as the client says, else as
// the key does, else in a way that the server takes, if those are known. No error shows the key.
func newSigner(auth config.ClientAuth, offered []string) (jose.Signer, error) {
	key, err := parseKey(auth.Key.Reveal())
	if err != nil {
		return nil, err
	}
	if auth.Kid != "" {
		key.KeyID = auth.Kid
	}
	alg := cmp.Or(auth.Alg, key.Algorithm)
	if alg == "" {
		ways := algorithmsOf(key.Key)
		if len(ways) == 0 {
			return nil, errors.New("a key of this kind cannot sign; use RSA, EC or Ed25519")
		}
		alg = string(ways[0])
		if i := slices.IndexFunc(ways, func(way jose.SignatureAlgorithm) bool { return slices.Contains(offered, string(way)) }); i > 0 {
			alg = string(ways[i])
		}
	}
	key.Algorithm = alg
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, fmt.Errorf("a key of this kind cannot sign with %s", alg)
	}
	return signer, nil
}

// parseKey reads a private key: a JWK, or PEM with PKCS#8, PKCS#1 or SEC 1.
func parseKey(text string) (jose.JSONWebKey, error) {
	if text = strings.TrimSpace(text); strings.HasPrefix(text, "{") {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON([]byte(text)); err != nil {
			return key, errors.New("it is no JWK that can be read")
		}
		if key.IsPublic() {
			return key, errors.New("it is a public key; the private one is needed")
		}
		return key, nil
	}
	// In a variable of the environment a line often ends in a backslash and an n.
	block, _ := pem.Decode([]byte(strings.ReplaceAll(text, `\n`, "\n")))
	if block == nil {
		return jose.JSONWebKey{}, errors.New("it is neither PEM nor a JWK")
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		return jose.JSONWebKey{Key: key}, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return jose.JSONWebKey{Key: key}, nil
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return jose.JSONWebKey{Key: key}, nil
	}
	return jose.JSONWebKey{}, fmt.Errorf("PEM of type %q holds no private key that can be read; it may be encrypted", block.Type)
}

// algorithmsOf returns how a key can sign, the usual way first.
func algorithmsOf(key any) []jose.SignatureAlgorithm {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.RS384, jose.PS384, jose.RS512, jose.PS512}
	case ed25519.PrivateKey:
		return []jose.SignatureAlgorithm{jose.EdDSA}
	case *ecdsa.PrivateKey:
		switch key.Curve {
		case elliptic.P256():
			return []jose.SignatureAlgorithm{jose.ES256}
		case elliptic.P384():
			return []jose.SignatureAlgorithm{jose.ES384}
		case elliptic.P521():
			return []jose.SignatureAlgorithm{jose.ES512}
		}
	}
	return nil
}
