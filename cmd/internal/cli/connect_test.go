package cli

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"

	"github.com/plait-mcp/plait/config"
)

// connectWith returns what plait connect makes of a command line, an environment and a file of mcp-oauth2-proxy, and
// what it says.
func connectWith(t *testing.T, env map[string]string, args ...string) (cfg *config.Config, said string, err error) {
	t.Helper()
	var talk bytes.Buffer
	env = maps.Clone(env)
	if env == nil {
		env = map[string]string{}
	}
	env["HOME"], env["USERPROFILE"] = "/home/kim", "/home/kim"
	a := &app{redact: newRedactor(), env: Env{LookupEnv: func(name string) (string, bool) { value, ok := env[name]; return value, ok }}}
	a.talk = a.redact.writer(&talk)
	var o connectOptions
	f := pflag.NewFlagSet("connect", pflag.ContinueOnError)
	o.flags(f)
	if err := f.Parse(args); err != nil {
		return nil, "", err
	}
	if err := o.takeArguments(f.Args()); err != nil {
		return nil, "", err
	}
	cfg, err = a.readConnect(t.Context(), &o, f.Changed)
	return cfg, talk.String(), err
}

const connectURL = "https://mcp.example.com/mcp"

// TestConnectIdentity makes an identity of each way to say how to sign in.
func TestConnectIdentity(t *testing.T) {
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	env := map[string]string{"ID": "client", "SECRET": "pa$$ ${X}$"}
	proxy := map[string]string{
		"OAUTH2_GRANT": "authorization_code", "OAUTH2_CLIENT_ID": "client", "OAUTH2_CLIENT_SECRET": "s$3${cret}$$",
		"OAUTH2_TOKEN_URL": "https://as.example/token", "OAUTH2_AUTHORIZATION_URL": "https://as.example/authorize", "OAUTH2_SCOPE": "a b",
		"OAUTH2_RESOURCE": "https://mcp.example.com/", "OAUTH2_AUDIENCE": "api", "OAUTH2_AUTH_STYLE": "header", "OAUTH2_EXTRA_PARAMS": `{"x":"$y"}`,
		"OAUTH2_REFRESH_TOKEN": "r-1", "OAUTH2_REDIRECT_URI": "http://127.0.0.1:1/cb", "OAUTH2_AUTHORIZATION_CODE": "c-1",
		"OAUTH2_CODE_VERIFIER": "v-1", "OAUTH2_REFRESH_SKEW_SECONDS": "45",
	}
	fromFile := map[string]string{"MCP_PROXY_CONFIG": file("proxy.json", `{"oauth2": {"grant": "client_credentials", "clientId": "client",
		"clientSecret": "from-file", "tokenUrl": "https://as.example/token", "scope": "a b", "audience": "api", "redirectUri": "http://127.0.0.1:1/cb",
		"extraParams": {"resource": "https://mcp.example.com/other", "scope": "c", "tenant": "1"}}}`), "OAUTH2_CLIENT_SECRET": "from-environment"}
	for name, tt := range map[string]struct {
		env  map[string]string
		args []string
		want func(i *config.Identity)
	}{
		"nothing":     {nil, nil, func(i *config.Identity) { i.Implicit = true }},
		"resource":    {nil, []string{"--resource", "https://tenant.example/"}, func(i *config.Identity) { i.Resource = "https://tenant.example/" }},
		"no resource": {nil, []string{"--disable-resource-parameter"}, func(i *config.Identity) { i.Resource = "omit" }},
		"client name": {nil, []string{"--client-name", "Kim's laptop"}, func(i *config.Identity) { i.ClientName = "Kim's laptop" }},
		"scope":       {nil, []string{"--scope", "a,b c", "--scope", "d"}, func(i *config.Identity) { i.Scopes = []string{"a", "b", "c", "d"} }},
		"no scope":    {nil, []string{"--scope", ""}, func(i *config.Identity) { i.Scopes = []string{} }},
		"http":        {nil, []string{"--allow-http", "--scope", "a"}, func(i *config.Identity) { i.Scopes, i.AllowHTTP = []string{"a"}, true }},
		"authorize": {nil, []string{"--authorize-param", "prompt=consent", "--authorize-param", "x=a=b"}, func(i *config.Identity) {
			i.AuthorizeParams = map[string]config.Secret{"prompt": "consent", "x": "a=b"}
		}},
		"info": {env, []string{"--static-oauth-client-info", `{"client_id": "${ID}", "client_secret": "${SECRET}", "token_endpoint_auth_method": "client_secret_basic", "other": 1}`}, func(i *config.Identity) {
			i.ClientID, i.ClientSecret, i.Auth.Method = "client", "pa$$ ${X}$", "client_secret_basic"
		}},
		"info of a file": {env, []string{"--static-oauth-client-info", "@" + file("info.json", "\ufeff"+`{"client_id": "a$$b$", "redirect_uris": ["http://localhost:1/x"], "scope": "s"}`)}, func(i *config.Identity) {
			i.ClientID, i.RedirectURI, i.Scopes = "a$$b$", "http://localhost:1/x", []string{"s"}
		}},
		"metadata": {env, []string{"--static-oauth-client-metadata", `{"scope": "a b", "software_id": "${ID}", "token_endpoint_auth_method": "client_secret_post", "contacts": ["$$"]}`}, func(i *config.Identity) {
			i.Scopes, i.Auth.Method = []string{"a", "b"}, "client_secret_post"
			i.ClientMetadata = map[string]any{
				"scope": "a b", "software_id": "client", "token_endpoint_auth_method": "client_secret_post", "contacts": []any{"$$"},
			}
		}},
		"scope before metadata": {nil, []string{"--static-oauth-client-metadata", `{"scope": "a"}`, "--scope", "b"}, func(i *config.Identity) {
			i.Scopes, i.ClientMetadata = []string{"b"}, map[string]any{"scope": "a"}
		}},
		"metadata document": {nil, []string{"--client-metadata-url", "https://kim.example/client.json"}, func(i *config.Identity) {
			i.ClientMetadataURL = "https://kim.example/client.json"
		}},
		"client credentials": {nil, []string{
			"--client-credentials", "--token-endpoint", "https://as.example/token", "--static-oauth-client-info",
			`{"client_id": "a", "client_secret": "b"}`, "--static-oauth-client-metadata", `{"scope": "x y", "token_endpoint_auth_method": "client_secret_basic"}`,
		}, func(i *config.Identity) {
			i.Grant, i.TokenEndpoint, i.ClientID, i.ClientSecret = config.GrantClientCredentials, "https://as.example/token", "a", "b"
			i.Scopes, i.Auth.Method = []string{"x", "y"}, "client_secret_basic"
		}},
		"device":   {nil, []string{"--device-code", "--authorize-param", "a=b"}, func(i *config.Identity) { i.Grant = config.GrantDeviceCode }},
		"id token": {nil, []string{"--use-id-token"}, func(i *config.Identity) { i.Bearer = "idToken" }},
		"path":     {nil, []string{"--callback-path", "/oauth/callback", "--host", "localhost"}, func(i *config.Identity) { i.RedirectURI = "http://localhost/oauth/callback" }},
		"path and port": {nil, []string{"--callback-path", "/x", "--callback-port", "4444"}, func(i *config.Identity) {
			i.RedirectURI = "http://127.0.0.1:4444/x"
		}},
		"all variables": {proxy, nil, func(i *config.Identity) {
			i.Grant, i.ClientID, i.ClientSecret, i.Auth.Method = config.GrantAuthorizationCode, "client", "s$3${cret}$$", "client_secret_basic"
			i.TokenEndpoint, i.AuthorizationEndpoint, i.Scopes = "https://as.example/token", "https://as.example/authorize", []string{"a", "b"}
			i.Resource, i.RedirectURI, i.RefreshSkew = "https://mcp.example.com/", "http://127.0.0.1:1/cb", 45e9
			i.TokenParams = map[string]config.Secret{"audience": "api", "x": "$y"}
			i.AuthorizeParams = map[string]config.Secret{"audience": "api"}
			i.RefreshToken, i.AuthorizationCode, i.CodeVerifier = "r-1", "c-1", "v-1"
		}},
		"flags before variables": {proxy, []string{"--scope", "z", "--resource", "https://mcp.example.com/mcp", "--client-credentials"}, func(i *config.Identity) {
			i.Grant, i.ClientID, i.ClientSecret, i.Auth.Method = config.GrantClientCredentials, "client", "s$3${cret}$$", "client_secret_basic"
			i.TokenEndpoint, i.Scopes = "https://as.example/token", []string{"z"}
			i.Resource, i.RefreshSkew = "https://mcp.example.com/mcp", 45e9
			i.TokenParams = map[string]config.Secret{"audience": "api", "x": "$y"}
		}},
		"refresh token": {map[string]string{"OAUTH2_GRANT": "refresh_token", "OAUTH2_REFRESH_TOKEN": "r", "OAUTH2_CLIENT_ID": "a"}, nil, func(i *config.Identity) {
			i.Grant, i.RefreshToken, i.ClientID = config.GrantAuthorizationCode, "r", "a"
		}},
		"file and environment": {fromFile, nil, func(i *config.Identity) {
			i.Grant, i.ClientID, i.ClientSecret, i.Auth.Method = config.GrantClientCredentials, "client", "from-environment", "client_secret_post"
			i.TokenEndpoint, i.Scopes, i.Resource = "https://as.example/token", []string{"c"}, "https://mcp.example.com/other"
			i.TokenParams = map[string]config.Secret{"audience": "api", "tenant": "1"}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, said, err := connectWith(t, tt.env, append([]string{connectURL}, tt.args...)...)
			if err != nil || said != "" || len(cfg.Warnings) > 0 {
				t.Fatalf("%v, says %q, warns %v", err, said, cfg)
			}
			want := config.NewIdentity("https://mcp.example.com/mcp", config.GrantAuto)
			tt.want(want)
			if d := cmp.Diff(want, cfg.Servers[0].Identity, cmpopts.IgnoreTypes(config.Pos{}), cmpopts.IgnoreFields(config.Identity{}, "Dir", "Name")); d != "" {
				t.Errorf("identity (-want +got):\n%s", d)
			}
		})
	}
}

// TestConnectName looks which sign-ins are shared: as few as by the programs whose command line this is. plait auth login
// understands the names.
func TestConnectName(t *testing.T) {
	for want, args := range map[string][]string{
		"https://mcp.example.com/mcp":                                  {"https://mcp.example.com/mcp", "--scope", "a"},
		"https://mcp.example.com/tenant/mcp":                           {"https://mcp.example.com/tenant/mcp"},
		"https://mcp.example.com/mcp#and=4b6fbb61":                     {"https://mcp.example.com/mcp?tenant=s3cret"},
		"https://mcp.example.com/mcp#resource=https%3A%2F%2Fa.example": {"https://mcp.example.com/mcp", "--resource", "https://a.example"},
		"https://mcp.example.com/mcp#and=924cff57":                     {"https://mcp.example.com/mcp", "--authorize-param", "login_hint=kim"},
		"https://mcp.example.com/kim":                                  {"https://kim@mcp.example.com/kim"},
	} {
		cfg, said, err := connectWith(t, nil, args...)
		if err != nil || said != "" {
			t.Fatalf("%q: %v, says %q", args, err, said)
		}
		if got := cfg.Servers[0].Identity.Name; got != want {
			t.Errorf("%q: %s, want %s", args, got, want)
		}
		if strings.Contains(want, "#and") || strings.Contains(want, "kim") {
			continue
		}
		a := &app{redact: newRedactor(), env: Env{LookupEnv: func(string) (string, bool) { return "", false }}}
		again, err := a.connectTo(t.Context(), want)
		if err != nil || again.Servers[0].Identity.Name != want || again.Servers[0].Identity.Resource != cfg.Servers[0].Identity.Resource {
			t.Errorf("plait auth login %s: %v", want, err)
		}
	}
}

// TestConnectCallback looks where a browser comes back to, and how long plait waits for it.
func TestConnectCallback(t *testing.T) {
	proxy := map[string]string{"OAUTH2_CLIENT_ID": "a"}
	set := map[string]string{
		"OAUTH2_CLIENT_ID": "a", "OAUTH2_CALLBACK_HOST": "localhost", "OAUTH2_CALLBACK_PORT": "7", "OAUTH2_CALLBACK_TIMEOUT_SECONDS": "9",
		"OAUTH2_TOKEN_CACHE_DIR": "/srv/tokens$",
	}
	for name, tt := range map[string]struct {
		env  map[string]string
		args []string
		want string
	}{
		"defaults":              {nil, nil, "127.0.0.1 33419 5m0s"},
		"positional port":       {nil, []string{"9696"}, "127.0.0.1 9696 5m0s"},
		"flags":                 {nil, []string{"--callback-host", "localhost", "--callback-port", "9", "--auth-timeout-secs", "30"}, "localhost 9 30s"},
		"other names":           {nil, []string{"--host", "localhost", "--auth-timeout", "31"}, "localhost 33419 31s"},
		"that of the proxy":     {proxy, nil, "127.0.0.1 53682 5m0s"},
		"variables":             {set, nil, "localhost 7 9s"},
		"flag before variables": {set, []string{"8", "--host", "127.0.0.1", "--auth-timeout", "10"}, "127.0.0.1 8 10s"},
	} {
		cfg, _, err := connectWith(t, tt.env, append([]string{connectURL}, tt.args...)...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		b := cfg.Auth.Callback
		if got := strings.Join([]string{b.Host, strconv.Itoa(b.Port), cfg.Auth.Timeout.String()}, " "); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
		if want := filepath.FromSlash("/srv/tokens$"); (cfg.Credentials.Path == want) != (tt.env["OAUTH2_TOKEN_CACHE_DIR"] != "") {
			t.Errorf("%s: credentials in %s", name, cfg.Credentials.Path)
		}
	}
}

// TestConnectRefuses says in words of the command line what is wrong, and shows no secret.
func TestConnectRefuses(t *testing.T) {
	for want, tt := range map[string]struct {
		env  map[string]string
		args []string
	}{
		`"port" is not a port`:                                        {nil, []string{"port"}},
		"--callback-port: the port 2 is given as well":                {nil, []string{"2", "--callback-port", "3"}},
		"--callback-port: 70000 is out of range":                      {nil, []string{"70000"}},
		`--callback-host: "0.0.0.0" is not this machine`:              {nil, []string{"--callback-host", "0.0.0.0"}},
		"--callback-path: \"x\" does not begin with a slash":          {nil, []string{"--callback-path", "x"}},
		"--auth-timeout-secs is not more than 0":                      {nil, []string{"--auth-timeout", "0"}},
		"--resource: is neither":                                      {nil, []string{"--resource", "here"}},
		"--resource: --disable-resource-parameter is given":           {nil, []string{"--resource", "https://a", "--disable-resource-parameter"}},
		`--scope: "a\"b" is not one scope`:                            {nil, []string{"--scope", `a"b`}},
		"--authorize-param: a parameter is written":                   {nil, []string{"--authorize-param", "s3cret"}},
		"--authorize-param: write --resource":                         {nil, []string{"--authorize-param", "resource=s3cret"}},
		"--authorize-param state: is set by plait itself":             {nil, []string{"--authorize-param", "state=s3cret"}},
		"--static-oauth-client-info: is not a JSON object":            {nil, []string{"--static-oauth-client-info", `"s3cret"`}},
		"--static-oauth-client-info: client_id is missing":            {nil, []string{"--static-oauth-client-info", `{"client_secret": "s3cret"}`}},
		"--static-oauth-client-info: open":                            {nil, []string{"--static-oauth-client-info", "@/nowhere.json"}},
		"client_secret: variable NOT_SET is not set":                  {nil, []string{"--static-oauth-client-info", `{"client_id": "a", "client_secret": "${NOT_SET}"}`}},
		"token_endpoint_auth_method: \"plain\" is not known":          {nil, []string{"--static-oauth-client-info", `{"client_id": "a", "token_endpoint_auth_method": "plain"}`}},
		"--client-metadata-url: is not a URL":                         {nil, []string{"--client-metadata-url", "https://kim.example"}},
		"--token-endpoint: needs --client-credentials":                {nil, []string{"--token-endpoint", "https://as.example"}},
		"--device-code: --client-credentials is given":                {nil, []string{"--device-code", "--client-credentials"}},
		"the grant client_credentials needs clientId; write --static": {nil, []string{"--client-credentials"}},
		`OAUTH2_GRANT: "password" is not known`:                       {map[string]string{"OAUTH2_GRANT": "password"}, nil},
		`OAUTH2_AUTH_STYLE: "query" is not known`:                     {map[string]string{"OAUTH2_AUTH_STYLE": "query"}, nil},
		`OAUTH2_CALLBACK_PORT: "x" is not a whole number`:             {map[string]string{"OAUTH2_CALLBACK_PORT": "x"}, nil},
		`OAUTH2_EXTRA_PARAMS: is not a JSON object`:                   {map[string]string{"OAUTH2_EXTRA_PARAMS": "s3cret"}, nil},
		`OAUTH2_EXTRA_PARAMS grant_type: is set by plait`:             {map[string]string{"OAUTH2_CLIENT_ID": "a", "OAUTH2_EXTRA_PARAMS": `{"grant_type": "s3cret"}`}, nil},
		`OAUTH2_INTERACTIVE: "perhaps" is neither`:                    {map[string]string{"OAUTH2_INTERACTIVE": "perhaps"}, nil},
		"the redirect URI: http:// to a.example":                      {map[string]string{"OAUTH2_CLIENT_ID": "a", "OAUTH2_REDIRECT_URI": "http://a.example/cb"}, nil},
	} {
		_, said, err := connectWith(t, tt.env, append([]string{connectURL}, tt.args...)...)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error()+said, "s3cret") {
			t.Errorf("%q: %v, want %q", tt.args, err, want)
		}
	}
	cfg, said, err := connectWith(t, nil, connectURL, "--header", "authorization: Bearer x", "--scope", "a")
	if err != nil || cfg.Servers[0].Identity.Grant != config.GrantNone || !strings.Contains(said, "has no effect") {
		t.Errorf("with a header: %v, says %q", err, said)
	}
}
