package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/plait-mcp/plait/config"
)

// oauthSource is what mcp-oauth2-proxy takes of OAuth from its environment or its file.
type oauthSource struct {
	Grant             string            `json:"grant"`
	ClientID          string            `json:"clientId"`
	ClientSecret      string            `json:"clientSecret"`
	TokenURL          string            `json:"tokenUrl"`
	AuthorizationURL  string            `json:"authorizationUrl"`
	Scope             string            `json:"scope"`
	Resource          string            `json:"resource"`
	Audience          string            `json:"audience"`
	AuthStyle         string            `json:"authStyle"`
	ExtraParams       map[string]string `json:"extraParams"`
	RefreshToken      string            `json:"refreshToken"`
	RedirectURI       string            `json:"redirectUri"`
	AuthorizationCode string            `json:"authorizationCode"`
	CodeVerifier      string            `json:"codeVerifier"`

	Interactive            *bool  `json:"interactive"`
	CallbackHost           string `json:"callbackHost"`
	CallbackPort           *int64 `json:"callbackPort"`
	CallbackTimeoutSeconds *int64 `json:"callbackTimeoutSeconds"`
	RefreshSkewSeconds     *int64 `json:"refreshSkewSeconds"`
	TokenCacheDir          string `json:"tokenCacheDir"`
}

// proxyPort is where mcp-oauth2-proxy has browsers come back to: its users have registered it.
const proxyPort = 53682

// readEnv reads the variables of mcp-oauth2-proxy; each wins over the file.
func (s *oauthSource) readEnv(lookup func(string) (string, bool)) error {
	for name, into := range map[string]*string{
		"OAUTH2_GRANT": &s.Grant, "OAUTH2_CLIENT_ID": &s.ClientID, "OAUTH2_CLIENT_SECRET": &s.ClientSecret, "OAUTH2_TOKEN_URL": &s.TokenURL,
		"OAUTH2_AUTHORIZATION_URL": &s.AuthorizationURL, "OAUTH2_SCOPE": &s.Scope, "OAUTH2_RESOURCE": &s.Resource, "OAUTH2_AUDIENCE": &s.Audience,
		"OAUTH2_AUTH_STYLE": &s.AuthStyle, "OAUTH2_REFRESH_TOKEN": &s.RefreshToken, "OAUTH2_REDIRECT_URI": &s.RedirectURI,
		"OAUTH2_AUTHORIZATION_CODE": &s.AuthorizationCode, "OAUTH2_CODE_VERIFIER": &s.CodeVerifier, "OAUTH2_CALLBACK_HOST": &s.CallbackHost,
		"OAUTH2_TOKEN_CACHE_DIR": &s.TokenCacheDir,
	} {
		if value, _ := lookup(name); value != "" {
			*into = value
		}
	}
	for name, into := range map[string]**int64{
		"OAUTH2_CALLBACK_PORT": &s.CallbackPort, "OAUTH2_CALLBACK_TIMEOUT_SECONDS": &s.CallbackTimeoutSeconds,
		"OAUTH2_REFRESH_SKEW_SECONDS": &s.RefreshSkewSeconds,
	} {
		if err := whole(lookup, name, into); err != nil {
			return err
		}
	}
	if text, _ := lookup("OAUTH2_EXTRA_PARAMS"); text != "" {
		s.ExtraParams = nil
		if err := json.Unmarshal([]byte(text), &s.ExtraParams); err != nil {
			return usagef("OAUTH2_EXTRA_PARAMS: is not a JSON object of texts; write {\"name\": \"value\"}")
		}
	}
	return truth(lookup, "OAUTH2_INTERACTIVE", &s.Interactive)
}

// whole reads a variable that is a whole number.
func whole(lookup func(string) (string, bool), name string, into **int64) error {
	value, _ := lookup(name)
	if value == "" {
		return nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 32)
	if err != nil {
		return usagef("%s: %q is not a whole number", name, value)
	}
	*into = &n
	return nil
}

// isUsed tells whether there is anything of OAuth.
func (s *oauthSource) isUsed() bool { return s.Grant != "" || s.ClientID != "" || s.RefreshToken != "" }

// check reports words that neither program knows.
func (s *oauthSource) check() error {
	if !slices.Contains([]string{"", "authorization_code", "client_credentials", "refresh_token", "device_code"}, s.Grant) {
		return usagef("OAUTH2_GRANT: %q is not known; write authorization_code, client_credentials, refresh_token or device_code", s.Grant)
	}
	if !slices.Contains([]string{"", "body", "header"}, s.AuthStyle) {
		return usagef("OAUTH2_AUTH_STYLE: %q is not known; write body or header", s.AuthStyle)
	}
	return nil
}

// complement fills in what no flag says.
func (o *connectOAuth) complement(given func(flag string) bool) error {
	s := &o.proxy
	if err := s.check(); err != nil {
		return err
	}
	if !given("callback-host") && !given("host") {
		o.callbackHost = s.CallbackHost
	}
	switch {
	case o.callbackPort != 0:
	case s.CallbackPort != nil:
		o.callbackPort = int(*s.CallbackPort)
	case s.isUsed():
		o.callbackPort = proxyPort
	}
	if s.CallbackTimeoutSeconds != nil && !given("auth-timeout-secs") && !given("auth-timeout") {
		o.authTimeout = int(*s.CallbackTimeoutSeconds)
	}
	return nil
}

// add adds the keys of an identity that are not there yet.
func (s *oauthSource) add(keys map[string]any) {
	mine := map[string]any{}
	for key, value := range map[string]string{
		"grant": s.Grant, "clientId": s.ClientID, "clientSecret": s.ClientSecret, "tokenEndpoint": s.TokenURL, "authorizationEndpoint": s.AuthorizationURL,
		"resource": s.Resource, "refreshToken": s.RefreshToken, "redirectURI": s.RedirectURI, "authorizationCode": s.AuthorizationCode,
		"codeVerifier": s.CodeVerifier,
	} {
		set(mine, key, exact(value))
	}
	if s.Grant == "refresh_token" {
		mine["grant"] = string(config.GrantAuthorizationCode)
	}
	if scopes := splitScopes(s.Scope); len(scopes) > 0 {
		mine["scopes"] = scopes
	}
	switch {
	case s.AuthStyle == "header" && s.ClientSecret != "":
		mine["auth"] = map[string]any{"method": "client_secret_basic"}
	case s.ClientSecret != "":
		mine["auth"] = map[string]any{"method": "client_secret_post"}
	}
	if s.RefreshSkewSeconds != nil {
		mine["refreshSkew"] = fmt.Sprintf("%ds", *s.RefreshSkewSeconds)
	}
	s.addParams(mine)
	for key, value := range mine {
		if keys[key] == nil {
			keys[key] = value
		}
	}
	if keys["grant"] == string(config.GrantClientCredentials) {
		for _, key := range []string{"authorizationEndpoint", "authorizeParams", "refreshToken", "redirectURI", "authorizationCode", "codeVerifier"} {
			delete(keys, key) // as mcp-oauth2-proxy, which does not look at them then
		}
	}
}

// addParams adds parameters. Some have a key of their own, and where a person signs in counts the audience there, too.
func (s *oauthSource) addParams(keys map[string]any) {
	token := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(s.ExtraParams)) {
		value := exact(s.ExtraParams[name])
		switch name {
		case "resource":
			keys["resource"] = value
		case "scope":
			keys["scopes"] = splitScopes(value)
		default:
			token[name] = value
		}
	}
	if s.Audience != "" {
		token["audience"] = exact(s.Audience)
		keys["authorizeParams"] = map[string]any{"audience": exact(s.Audience)}
	}
	if len(token) > 0 {
		keys["tokenParams"] = token
	}
}
