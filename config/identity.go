package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"time"
)

// Identity says as whom plait comes to a server, and how it gets what proves it. Servers that name the same one share
// it. It is immutable, with defaults filled in, variables expanded and paths absolute.
type Identity struct {
	Name     string `koanf:"-"` // its key in the file; the name of the server when Implicit
	Pos      Pos    `koanf:"-"` // of that key; of the server when Implicit
	Implicit bool   `koanf:"-"` // nobody wrote it: the server names none

	Grant    Grant  `koanf:"grant"`
	Provider string `koanf:"provider"` // whose ways it follows; "" when that follows from the issuer

	// Where the authorization server is. What is "" is discovered, by RFC 9728 and RFC 8414.
	Issuer                      string `koanf:"issuer"`
	AuthorizationEndpoint       string `koanf:"authorizationEndpoint"`
	TokenEndpoint               string `koanf:"tokenEndpoint"`
	DeviceAuthorizationEndpoint string `koanf:"deviceAuthorizationEndpoint"`
	RegistrationEndpoint        string `koanf:"registrationEndpoint"`
	RevocationEndpoint          string `koanf:"revocationEndpoint"`

	// Which client plait is there.
	ClientID          string         `koanf:"clientId"`
	ClientSecret      Secret         `koanf:"clientSecret"`
	ClientName        string         `koanf:"clientName"`        // told in a registration; never ""
	ClientMetadataURL string         `koanf:"clientMetadataUrl"` // of a Client ID Metadata Document
	ClientMetadata    map[string]any `koanf:"clientMetadata"`    // members of a registration, over plait's own; numbers are json.Number
	Registration      string         `koanf:"registration"`      // auto, static, cimd or dynamic
	RegistrationToken Secret         `koanf:"registrationToken"` // the initial access token of RFC 7591
	Auth              ClientAuth     `koanf:"auth"`

	// What is asked for.
	Scopes          []string          `koanf:"scopes"` // exactly these, none when empty; nil leaves it to the server
	ExtraScopes     []string          `koanf:"extraScopes"`
	OfflineAccess   string            `koanf:"offlineAccess"` // auto, always or never
	Resource        string            `koanf:"resource"`      // auto, always, omit, or the URI to send
	RedirectURI     string            `koanf:"redirectURI"`
	ScopeParam      string            `koanf:"scopeParam"` // "scope", where the server has no other name for it
	AuthorizeParams map[string]Secret `koanf:"authorizeParams"`
	TokenParams     map[string]Secret `koanf:"tokenParams"`
	OneLogin        string            `koanf:"oneLogin"` // auto, always or never

	// How strict plait is with what it finds.
	AssumePKCE         bool `koanf:"assumePKCE"`
	StrictIssuer       bool `koanf:"strictIssuer"`
	LegacyDiscovery    bool `koanf:"legacyDiscovery"`
	AllowPrivateIssuer bool `koanf:"allowPrivateIssuer"`
	AllowHTTP          bool `koanf:"allowHttp"`

	// What becomes of a token.
	TokenPath        string        `koanf:"tokenPath"` // where the token is in an answer, such as authed_user; "" for its top
	Bearer           string        `koanf:"bearer"`    // accessToken or idToken: which of them the server gets
	CacheAccessToken bool          `koanf:"cacheAccessToken"`
	RefreshSkew      time.Duration `koanf:"refreshSkew"` // how long before its end a token is renewed; 0 leaves it to plait

	// What the grants need besides.
	Assertion          Assertion         `koanf:"assertion"`          // jwt_bearer
	Subject            Assertion         `koanf:"subject"`            // token_exchange
	SubjectTokenType   string            `koanf:"subjectTokenType"`   // token_exchange
	RequestedTokenType string            `koanf:"requestedTokenType"` // token_exchange; may be ""
	Audience           string            `koanf:"audience"`           // token_exchange and client_credentials; may be ""
	IDP                *IdentityProvider `koanf:"idp"`                // enterprise; nil for all others
	Headers            map[string]Secret `koanf:"headers"`            // header
	Username           string            `koanf:"username"`           // basic
	Password           Secret            `koanf:"password"`           // basic
	Command            CommandLine       `koanf:"command"`            // exec: prints a token, or the JSON of a token answer
	RefreshToken       Secret            `koanf:"refreshToken"`       // given from outside, for the first token
	AuthorizationCode  Secret            `koanf:"authorizationCode"`  // the same, to be exchanged once
	CodeVerifier       Secret            `koanf:"codeVerifier"`       // of that code

	// Dir is where a command runs: the folder of the file.
	Dir string `koanf:"-"`

	// Secrets are what secret references in any text of the identity stand for.
	Secrets []Secret `koanf:"-"`

	// Problems is not empty when the identity may not be used. They are problems of its servers, too.
	Problems Problems `koanf:"-"`
}

// Grant is how an identity gets a token.
type Grant string

// The grants.
const (
	GrantAuto              Grant = "auto"               // anonymous until the server asks for OAuth, then as GrantAuthorizationCode
	GrantNone              Grant = "none"               // always anonymous
	GrantAuthorizationCode Grant = "authorization_code" // a person signs in, in a browser
	GrantDeviceCode        Grant = "device_code"        // a person signs in, on any device (RFC 8628)
	GrantClientCredentials Grant = "client_credentials" // the client for itself
	GrantJWTBearer         Grant = "jwt_bearer"         // an assertion of somebody else, without a secret (RFC 7523)
	GrantTokenExchange     Grant = "token_exchange"     // a token for another one (RFC 8693)
	GrantEnterprise        Grant = "enterprise"         // the identity provider of an organization allows it (ID-JAG)
	GrantHeader            Grant = "header"             // fixed headers
	GrantBasic             Grant = "basic"              // name and password (RFC 7617)
	GrantExec              Grant = "exec"               // a command prints it
)

// NeedsPerson tells whether somebody has to sign in before the first token. With GrantAuto that depends on the server.
func (g Grant) NeedsPerson() bool {
	return g == GrantAuto || g == GrantAuthorizationCode || g == GrantDeviceCode || g == GrantEnterprise
}

// ClientAuth is how a client proves to a token endpoint which one it is.
type ClientAuth struct {
	// Method is none, client_secret_basic, client_secret_post, private_key_jwt or tls_client_auth; "" leaves it to the
	// server's metadata.
	Method   string `koanf:"method"`
	Key      Secret `koanf:"key"`      // private_key_jwt: PEM or JWK
	Alg      string `koanf:"alg"`      // private_key_jwt: ES256, RS256, PS256, EdDSA …; "" follows from the key
	Kid      string `koanf:"kid"`      // private_key_jwt; may be ""
	Audience string `koanf:"audience"` // private_key_jwt: issuer, tokenEndpoint, or the text itself; "" is issuer
	Cert     string `koanf:"cert"`     // tls_client_auth: PEM file
	CertKey  string `koanf:"certKey"`  // tls_client_auth: PEM file
}

// Assertion says where a token of somebody else comes from. It is fetched anew whenever one is needed.
type Assertion struct {
	// From is github-actions, gitlab, kubernetes, file, env or command; "" when there is no assertion.
	From     string      `koanf:"from"`
	Audience string      `koanf:"audience"` // github-actions: whom it is for; never ""
	File     string      `koanf:"file"`     // file and kubernetes; absolute
	Env      string      `koanf:"env"`      // env and gitlab: the name of the variable
	Command  CommandLine `koanf:"command"`  // command
}

// IdentityProvider is where a person of an organization signs in, and who allows the client to come to a server.
type IdentityProvider struct {
	Issuer                string     `koanf:"issuer"`
	AuthorizationEndpoint string     `koanf:"authorizationEndpoint"`
	TokenEndpoint         string     `koanf:"tokenEndpoint"`
	ClientID              string     `koanf:"clientId"`
	ClientSecret          Secret     `koanf:"clientSecret"`
	Auth                  ClientAuth `koanf:"auth"`
	Scopes                []string   `koanf:"scopes"`           // of the sign-in; nil is openid and offline_access
	IDToken               Assertion  `koanf:"idToken"`          // instead of a sign-in
	SubjectTokenType      string     `koanf:"subjectTokenType"` // of IDToken; "" is that of an ID token
}

// CommandLine is a program with its arguments. No shell reads it.
type CommandLine []string

// Fingerprint returns the hex SHA-256 of all that decides as whom plait comes, Name included, of nothing else.
func (i *Identity) Fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "misconfigured %t %s implicit %t scopes %t\n", len(i.Problems) > 0, i.Name, i.Implicit, i.Scopes != nil)
	v := reflect.ValueOf(i).Elem()
	for f := range v.Type().Fields() {
		if f.Tag.Get("koanf") == "-" && f.Name != "Dir" {
			continue
		}
		fmt.Fprintf(h, "%s ", f.Name)
		encode(h, v.FieldByIndex(f.Index))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Format implements fmt.Formatter, for every verb: an identity is shown by its name.
func (i *Identity) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "identity %s (%s)", i.Name, i.Grant) }

// Format implements fmt.Formatter, for every verb: fmt would show what a pointer to it holds, secrets too.
func (p *IdentityProvider) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "identity provider %s", p.Issuer)
}

// Callback is where a browser comes back to after a sign-in.
type Callback struct {
	Host      string `koanf:"host"`      // in the redirect URI: 127.0.0.1, localhost or [::1]
	Port      int    `koanf:"port"`      // 0 for any that is free
	Bind      string `koanf:"bind"`      // the address to listen on; "" for loopback only
	PublicURL string `koanf:"publicUrl"` // what a browser elsewhere reaches Port by; "" for none
}

// Credentials says where what was signed in is kept.
type Credentials struct {
	Store string `koanf:"store"` // auto, keyring, file or memory
	Path  string `koanf:"path"`  // of the folder, absolute; "" only when no home folder is known
	Key   Secret `koanf:"key"`   // what its files are sealed with; "" for a key that plait makes and keeps
}

// Auth says how people sign in.
type Auth struct {
	Callback  Callback      `koanf:"callback"`
	Timeout   time.Duration `koanf:"timeout"`   // how long a sign-in may take
	CallWait  time.Duration `koanf:"callWait"`  // how long a call waits for one before its caller gets the link
	LoginTool bool          `koanf:"loginTool"` // offer the tool plait_auth
}
