package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/plait-mcp/plait/config"
)

// connectOAuth is what the command line, the environment and a file say of signing in.
type connectOAuth struct {
	resource          string
	noResource        bool
	clientName        string
	scope             []string // as they were given; none: as the server says
	authorizeParams   []string // "name=value"
	clientMetadataURL string
	clientInfo        string // JSON, or @ and the name of a file with it
	clientMetadata    string // the same
	clientCredentials bool
	deviceCode        bool
	tokenEndpoint     string
	idToken           bool

	callbackHost string
	callbackPort int // 0 for the usual one
	callbackPath string
	authTimeout  int // seconds
	resetAuth    bool

	proxy oauthSource // what mcp-oauth2-proxy has besides
}

func (o *connectOAuth) flags(f *pflag.FlagSet) {
	f.StringVar(&o.resource, "resource", "", "ask for tokens for this `URL` (RFC 8707), which keeps tenants apart")
	f.BoolVar(&o.noResource, "disable-resource-parameter", false, "do not say for which server a token is wanted")
	f.StringVar(&o.clientName, "client-name", "", "what plait is called where it registers")
	f.StringArrayVar(&o.scope, "scope", nil, "ask for these `scopes` instead of those that the server names: a,b or 'a b'")
	f.StringArrayVar(&o.authorizeParams, "authorize-param", nil, "add `name=value` to the address where a person signs in (repeatable)")
	f.StringVar(&o.clientInfo, "static-oauth-client-info", "", "the registered client: `JSON` with client_id and client_secret, or @file; ${VAR} is replaced")
	f.StringVar(&o.clientMetadata, "static-oauth-client-metadata", "", "what to register: `JSON`, or @file; ${VAR} is replaced")
	f.StringVar(&o.clientMetadataURL, "client-metadata-url", "", "the `URL` of a Client ID Metadata Document")
	f.BoolVar(&o.clientCredentials, "client-credentials", false, "sign in as the client itself, without a person")
	f.StringVar(&o.tokenEndpoint, "token-endpoint", "", "where to get tokens, a `URL`, with --client-credentials")
	f.BoolVar(&o.deviceCode, "device-code", false, "sign in with a code on any device")
	f.BoolVar(&o.idToken, "use-id-token", false, "send the ID token instead of the access token")
	f.StringVar(&o.callbackHost, "callback-host", "", "the `host` that a browser comes back to: 127.0.0.1 or localhost (default 127.0.0.1)")
	f.StringVar(&o.callbackHost, "host", "", "the same")
	f.IntVar(&o.callbackPort, "callback-port", 0, "the port that a browser comes back to (default 33419)")
	f.StringVar(&o.callbackPath, "callback-path", "", "the `path` that a browser comes back to (default /callback)")
	f.IntVar(&o.authTimeout, "auth-timeout-secs", 300, "wait so long for a person to sign in")
	f.IntVar(&o.authTimeout, "auth-timeout", 300, "the same")
	f.BoolVar(&o.resetAuth, "reset-auth", false, "forget former sign-ins to this server first")
	_ = f.MarkHidden("host")
	_ = f.MarkHidden("auth-timeout")
}

// identity returns the keys of the identity that the options describe, nil when they say nothing of one.
func (o *connectOAuth) identity(allowHTTP bool) (map[string]any, error) {
	keys := map[string]any{}
	for _, add := range []func(map[string]any) error{o.addClient, o.addMetadata, o.addRequest, o.addGrant} {
		if err := add(keys); err != nil {
			return nil, err
		}
	}
	o.proxy.add(keys)
	if len(keys) == 0 {
		return nil, nil //nolint:nilnil // nothing was said, and nothing is wrong
	}
	if allowHTTP {
		keys["allowHttp"] = true
	}
	return keys, nil
}

// addClient adds the client that was registered by hand.
func (o *connectOAuth) addClient(keys map[string]any) error {
	var info struct {
		ClientID     string   `json:"client_id"`
		ClientSecret string   `json:"client_secret"`
		Method       string   `json:"token_endpoint_auth_method"`
		Scope        string   `json:"scope"`
		RedirectURIs []string `json:"redirect_uris"`
	}
	if o.clientInfo == "" {
		return nil
	}
	if err := jsonOrFile("--static-oauth-client-info", o.clientInfo, &info); err != nil {
		return err
	}
	if info.ClientID == "" {
		return usagef("--static-oauth-client-info: client_id is missing; write {\"client_id\": \"…\"}")
	}
	keys["clientId"] = literal(info.ClientID)
	set(keys, "clientSecret", literal(info.ClientSecret))
	if info.Method != "" {
		keys["auth"] = map[string]any{"method": info.Method}
	}
	if len(info.RedirectURIs) > 0 && o.callbackPort == 0 && o.callbackPath == "" {
		keys["redirectURI"] = literal(info.RedirectURIs[0])
	}
	if scopes := splitScopes(info.Scope); len(scopes) > 0 {
		keys["scopes"] = scopes
	}
	return nil
}

// addMetadata adds what a registration shall hold. Some of it counts for sign-ins, too.
func (o *connectOAuth) addMetadata(keys map[string]any) error {
	if o.clientMetadata == "" {
		return nil
	}
	metadata := map[string]any{}
	if err := jsonOrFile("--static-oauth-client-metadata", o.clientMetadata, &metadata); err != nil {
		return err
	}
	if scope, ok := metadata["scope"].(string); ok {
		keys["scopes"] = append([]string{}, splitScopes(scope)...)
	}
	if method, ok := metadata["token_endpoint_auth_method"].(string); ok {
		keys["auth"] = map[string]any{"method": method}
	}
	if keys["clientId"] == nil {
		keys["clientMetadata"] = replaced(metadata)
	}
	return nil
}

// addRequest adds what a sign-in asks for.
func (o *connectOAuth) addRequest(keys map[string]any) error {
	switch {
	case o.noResource && o.resource != "":
		return usagef("--resource: --disable-resource-parameter is given as well; keep one of them")
	case o.noResource:
		keys["resource"] = "omit"
	case o.resource != "":
		keys["resource"] = literal(o.resource)
	}
	set(keys, "clientName", literal(o.clientName))
	set(keys, "clientMetadataUrl", literal(o.clientMetadataURL))
	if len(o.scope) > 0 {
		keys["scopes"] = append([]string{}, splitScopes(strings.Join(o.scope, " "))...)
	}
	params := map[string]any{}
	for _, param := range o.authorizeParams {
		name, value, ok := strings.Cut(param, "=")
		switch {
		case !ok || name == "":
			return usagef("--authorize-param: a parameter is written as name=value")
		case name == "resource":
			return usagef("--authorize-param: write --resource URL, which is sent with every request for a token")
		}
		params[name] = literal(value)
	}
	if len(params) > 0 {
		keys["authorizeParams"] = params
	}
	if o.idToken {
		keys["bearer"] = "idToken"
	}
	if path := o.callbackPath; path != "" {
		if !strings.HasPrefix(path, "/") {
			return usagef("--callback-path: %q does not begin with a slash; write /callback", path)
		}
		keys["redirectURI"] = "http://" + cmp.Or(o.callbackHost, "127.0.0.1") + literal(path)
		if o.callbackPort != 0 {
			keys["redirectURI"] = "http://" + net.JoinHostPort(strings.Trim(cmp.Or(o.callbackHost, "127.0.0.1"), "[]"), strconv.Itoa(o.callbackPort)) + literal(path)
		}
	}
	return nil
}

// addGrant adds how tokens are got, when that is not the usual way.
func (o *connectOAuth) addGrant(keys map[string]any) error {
	switch {
	case o.clientCredentials && o.deviceCode:
		return usagef("--device-code: --client-credentials is given as well; keep one of them")
	case o.clientCredentials:
		keys["grant"] = string(config.GrantClientCredentials)
		set(keys, "tokenEndpoint", literal(o.tokenEndpoint))
		for _, key := range []string{"clientMetadata", "clientName", "clientMetadataUrl", "redirectURI", "authorizeParams"} {
			delete(keys, key) // nobody registers or comes back
		}
	case o.tokenEndpoint != "":
		return usagef("--token-endpoint: needs --client-credentials; otherwise it is discovered")
	case o.deviceCode:
		keys["grant"] = string(config.GrantDeviceCode)
		for _, key := range []string{"redirectURI", "authorizeParams"} {
			delete(keys, key)
		}
	}
	return nil
}

// auth returns the keys under auth.
func (o *connectOAuth) auth() (map[string]any, error) {
	if o.authTimeout <= 0 {
		return nil, usagef("--auth-timeout-secs is not more than 0; write a number of seconds")
	}
	callback := map[string]any{}
	set(callback, "host", o.callbackHost)
	if o.callbackPort != 0 {
		callback["port"] = o.callbackPort
	}
	return map[string]any{"timeout": fmt.Sprintf("%ds", o.authTimeout), "callback": callback}, nil
}

// jsonOrFile reads a flag that holds JSON, or @ and the name of a file with it. An error shows nothing of it.
func jsonOrFile(flag, text string, into any) error {
	if name, ok := strings.CutPrefix(text, "@"); ok {
		data, err := os.ReadFile(name)
		if err != nil {
			return usagef("%s: %w", flag, err)
		}
		text = strings.TrimPrefix(string(data), "\ufeff")
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return usagef("%s: is not a JSON object; write {\"name\": \"value\"}, or @ and the name of a file", flag)
	}
	return nil
}

// splitScopes reads scopes that are separated by commas or spaces.
func splitScopes(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
}

// set sets a key unless its value says nothing.
func set(keys map[string]any, key, value string) {
	if value != "" {
		keys[key] = value
	}
}

// literal returns a text for a configuration in which ${VAR} is replaced, and any other dollar sign stands for itself.
func literal(text string) string { return strings.ReplaceAll(text, "$$", "$$$$") }

// exact returns a text for a configuration in which nothing is replaced.
func exact(text string) string { return strings.ReplaceAll(text, "$", "$$") }

// replaced is literal for all texts in a value of JSON.
func replaced(value any) any {
	switch value := value.(type) {
	case string:
		return literal(value)
	case []any:
		other := make([]any, 0, len(value))
		for _, item := range value {
			other = append(other, replaced(item))
		}
		return other
	case map[string]any:
		other := map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			other[key] = replaced(value[key])
		}
		return other
	}
	return value
}
