package cli

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

// connectOptions are what the command line, the environment and a file say of the one server; see connectSource.
type connectOptions struct {
	url             string
	headers         []string // "Name: value"
	transport       string
	allowHTTP       bool
	caFile          string
	ignoreTools     []string
	pingInterval    int // seconds, 0 for none
	pingTimeout     int // seconds
	callTimeout     time.Duration
	serverStream    bool
	protocolVersion string

	listen string
	shared bool
	gate   gate

	oauth     connectOAuth
	person    presence
	noBrowser bool

	enableProxy bool // proxies of the environment are honoured anyhow
	debug       bool // mcp-remote's word for --log-level debug
}

func newConnect(a *app) *cobra.Command {
	var o connectOptions
	c := &cobra.Command{
		Use:   "connect [URL [CALLBACK-PORT]]",
		Short: "Serve one remote server unchanged, without a configuration file",
		Long: `Serve the one server at URL on standard input and output, without a configuration file.

Names, URIs, capabilities and instructions pass unchanged. The command line is that of mcp-remote,
hyper-mcp-remote and mikluko/mcp-proxy. What no flag says is taken from the environment variables of
mcp-oauth2-proxy (UPSTREAM_URL, UPSTREAM_TIMEOUT_MS, UPSTREAM_PROTOCOL_VERSION, UPSTREAM_OPEN_SERVER_STREAM,
ALLOW_INSECURE_HTTP, LOG_LEVEL and those that begin with OAUTH2_), and then from the file of mcp-oauth2-proxy that MCP_PROXY_CONFIG names.`,
		Example: `  plait connect https://mcp.example.com/mcp --header 'Authorization: Bearer ${TOKEN}'`,
		Args:    cobra.MaximumNArgs(2), //nolint:mnd // the URL and the port
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.takeArguments(args); err != nil {
				return err
			}
			return runConnect(c.Context(), a, o, c.Flags().Changed)
		},
	}
	o.flags(c.Flags())
	o.person.flags(c)
	a.logFlags(c)
	return c
}

func (o *connectOptions) flags(f *pflag.FlagSet) {
	f.StringArrayVarP(&o.headers, "header", "H", nil, "send this `'Name: value'` with every request; ${VAR} is replaced (repeatable)")
	f.StringVar(&o.transport, "transport", "http-first", "http-first, sse-first, http-only or sse-only")
	f.BoolVar(&o.allowHTTP, "allow-http", false, "permit http:// to a host that is not this machine")
	f.StringVar(&o.caFile, "ca-file", "", "trust the authorities in this PEM `file`, too")
	f.StringArrayVar(&o.ignoreTools, "ignore-tool", nil, "hide the tools that match this `glob` (repeatable)")
	f.IntVar(&o.pingInterval, "ping-interval-secs", 60, "ping the server so often, 0 for never")
	f.IntVar(&o.pingTimeout, "ping-timeout-secs", 10, "wait so long for the answer to a ping")
	f.DurationVar(&o.callTimeout, "call-timeout", 10*time.Minute, "give a call up after this time without progress")
	f.BoolVar(&o.serverStream, "server-stream", true, "keep a stream open for what the server sends by itself")
	f.StringVar(&o.protocolVersion, "protocol-version", "", "offer this protocol `version` to the server instead of the client's")
	o.oauth.flags(f)
	f.StringVarP(&o.listen, "listen", "l", "", "serve clients over HTTP at this `address` instead: GET /sse and POST /message, and /mcp")
	f.BoolVar(&o.shared, "shared", false, "let all clients share one connection to the server; it cannot ask them anything then")
	o.gate.flags(f)
	f.BoolVar(&o.noBrowser, "no-browser", false, "open no browser for the first sign-in")
	f.BoolVar(&o.enableProxy, "enable-proxy", false, "accepted: HTTP_PROXY, HTTPS_PROXY and NO_PROXY are always honoured")
	f.BoolVar(&o.debug, "debug", false, "the same as --log-level debug")
	_ = f.MarkHidden("debug")
}

func runConnect(ctx context.Context, a *app, o connectOptions, given func(flag string) bool) error {
	cfg, err := a.readConnect(ctx, &o, given)
	if err != nil {
		return err
	}
	if o.debug && a.logLevel == "" {
		a.logLevel = "debug"
	}
	return a.serve(ctx, cfg, serving{doors: o.doors(), person: o.person, browser: !o.noBrowser, forget: o.oauth.resetAuth})
}

// readConnect makes the configuration of what flags, environment and the file of mcp-oauth2-proxy say together.
func (a *app) readConnect(ctx context.Context, o *connectOptions, given func(flag string) bool) (*config.Config, error) {
	log := config.Log{Level: "info", Format: "text"}
	if err := a.complement(o, &log, given); err != nil {
		return nil, err
	}
	cfg, err := a.connectConfig(ctx, *o)
	if err != nil {
		return nil, err
	}
	cfg.Log = log
	return cfg, nil
}

// connectConfig makes the configuration of the one server and checks it as if it stood in a file.
func (a *app) connectConfig(ctx context.Context, o connectOptions) (*config.Config, error) {
	if o.url == "" {
		return nil, usagef("connect needs the URL of a server; see plait connect --help")
	}
	headers, err := readHeaders(o.headers)
	if err != nil {
		return nil, err
	}
	name := "server"
	if u, err := url.Parse(o.url); err == nil {
		name = cmp.Or(u.Host, name)
	}
	server := map[string]any{
		"url": o.url, "headers": headers, "transport": o.transport, "allowHttp": o.allowHTTP, "caFile": o.caFile,
		"prefix": "", "shared": o.shared, "serverStream": o.serverStream, "callTimeout": o.callTimeout.String(),
		"ping": map[string]any{
			"interval": fmt.Sprintf("%ds", o.pingInterval), "timeout": fmt.Sprintf("%ds", o.pingTimeout),
		},
	}
	if o.protocolVersion != "" {
		server["protocolVersion"] = o.protocolVersion
	}
	if len(o.ignoreTools) > 0 {
		server["tools"] = map[string]any{"deny": o.ignoreTools}
	}
	file := map[string]any{
		"mcpServers": map[string]any{name: server},
		"startup":    map[string]any{"wait": "10s"}, // the client gets the server's own answer to initialize, if it can
	}
	if o.listen != "" {
		file["serve"] = map[string]any{"http": map[string]any{"listen": exact(o.listen)}}
	}
	if err := a.addSignIn(file, name, o, headers); err != nil {
		return nil, err
	}
	cfg, err := a.parse(ctx, file, a.lenient(o.headers), &terms{name, connectFlags})
	if err != nil {
		return nil, err
	}
	cfg.Warnings = slices.DeleteFunc(cfg.Warnings, func(p config.Problem) bool { return p.ID == config.IDAnyIssuer })
	o.nameIdentities(cfg)
	return cfg, nil
}

// nameIdentities names the identity of the server by the URL, for that is what plait auth login takes without a file. Where
// several may be wanted for one URL, as the programs have it whose command line this is, what tells them apart follows
// as the fragment: the resource, and a hash of what may be a secret.
func (o *connectOptions) nameIdentities(cfg *config.Config) {
	cfg.Identities = nil
	for _, s := range cfg.Servers {
		named := *s.Identity
		if u, err := url.Parse(s.URL); err == nil {
			name := &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
			apart := url.Values{}
			if r := named.Resource; strings.Contains(r, ":") {
				apart.Set(fragmentResource, r)
			}
			if more := append(slices.Sorted(slices.Values(o.oauth.authorizeParams)), u.RawQuery); strings.Join(more, "") != "" {
				const short = 8
				apart.Set("and", store.Key(more...)[:short])
			}
			named.Name = name.String()
			if len(apart) > 0 {
				named.Name += "#" + apart.Encode()
			}
		}
		s.Identity = &named
		if !named.Implicit {
			cfg.Identities = append(cfg.Identities, s.Identity)
		}
	}
}

// fragmentResource is the resource in the fragment of the name of an identity.
const fragmentResource = "resource"

// connectTo makes the configuration of plait connect with that URL and no flags but what its fragment says.
func (a *app) connectTo(ctx context.Context, to string) (*config.Config, error) {
	var o connectOptions
	o.flags(pflag.NewFlagSet("connect", pflag.ContinueOnError))
	to, fragment, _ := strings.Cut(to, "#")
	if apart, err := url.ParseQuery(fragment); err == nil {
		o.oauth.resource = apart.Get(fragmentResource)
	}
	o.url = to
	return a.connectConfig(ctx, o)
}

// addSignIn adds to a configuration how to sign in to its one server.
func (a *app) addSignIn(file map[string]any, name string, o connectOptions, headers map[string]string) error {
	signIn, err := o.oauth.auth()
	if err != nil {
		return err
	}
	file["auth"] = signIn
	if folder := o.oauth.proxy.TokenCacheDir; folder != "" {
		file["credentials"] = map[string]any{"path": exact(folder)}
	}
	identity, err := o.oauth.identity(o.allowHTTP)
	if err != nil || identity == nil { // it is the one that every server has
		return err
	}
	u, err := url.Parse(o.url)
	known := err == nil && u.User != nil
	for header := range headers {
		known = known || strings.EqualFold(header, "Authorization")
	}
	if known {
		a.say("plait: the header Authorization or the user in the URL is all that the server gets; what is said of OAuth has no effect")
		return nil
	}
	server, _ := file["mcpServers"].(map[string]any)[name].(map[string]any)
	server["identity"], file["identities"] = name, map[string]any{name: identity}
	return nil
}

// doors says where clients come in: over HTTP, or on standard input and output, not both.
func (o *connectOptions) doors() doors {
	return doors{gate: o.gate, stdio: func() (wanted, given bool) { return o.listen == "", true }}
}

// takeArguments takes the URL, and after it the port of the callback, as mcp-remote has it.
func (o *connectOptions) takeArguments(args []string) error {
	if len(args) > 0 {
		o.url = args[0]
	}
	if len(args) < 2 { //nolint:mnd // the port comes second
		return nil
	}
	port, err := strconv.Atoi(args[1])
	if err != nil || port <= 0 {
		return usagef("%q is not a port; write plait connect URL PORT", args[1])
	}
	if o.oauth.callbackPort != 0 && o.oauth.callbackPort != port {
		return usagef("--callback-port: the port %d is given as well; keep one of them", port)
	}
	o.oauth.callbackPort = port
	return nil
}

// readHeaders reads "Name: value" or "Name:value".
func readHeaders(lines []string) (map[string]string, error) {
	headers := map[string]string{}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return nil, usagef("--header: a header is written as 'Name: value'") // the text may hold a secret
		}
		if _, twice := headers[name]; twice {
			return nil, usagef("--header: %s is given twice; keep one of them", name)
		}
		headers[name] = strings.TrimSpace(value)
	}
	return headers, nil
}

// reference is a variable in a header.
var reference = regexp.MustCompile(`\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)\}`)

// lenient looks variables up so that one which only a header names may be unset: it is empty then, with a warning,
// as the programs do whose command line this is.
func (a *app) lenient(headers []string) func(string) (string, bool) {
	var named []string
	for _, line := range headers {
		for _, found := range reference.FindAllStringSubmatch(line, -1) {
			named = append(named, found[1])
		}
	}
	slices.Sort(named)
	for _, name := range slices.Compact(named) {
		if _, ok := a.env.LookupEnv(name); !ok {
			a.say("plait: --header: variable %s is not set and taken as empty; set it", name)
		}
	}
	return func(name string) (string, bool) {
		value, ok := a.env.LookupEnv(name)
		return value, ok || slices.Contains(named, name)
	}
}

// connectFlags are the flags that keys of the server come from.
var connectFlags = []keyFlag{
	{"url", "URL"},
	{"headers.", "--header "},
	{"transport", "--transport"},
	{"caFile", "--ca-file"},
	{"protocolVersion", "--protocol-version"},
	{"tools.deny", "--ignore-tool"},
	{"ping.interval", "--ping-interval-secs"},
	{"ping.timeout", "--ping-timeout-secs"},
	{"callTimeout", "--call-timeout"},

	{"auth.callback.host", "--callback-host"},
	{"auth.callback.port", "--callback-port"},
	{"auth.timeout", "--auth-timeout-secs"},
	{"serve.http.listen", "--listen"},
	{"credentials.path", "OAUTH2_TOKEN_CACHE_DIR"},
	{"resource", "--resource"},
	{"scopes", "--scope"},
	{"authorizeParams.", "--authorize-param "},
	{"clientMetadataUrl", "--client-metadata-url"},
	{"clientMetadata", "--static-oauth-client-metadata"},
	{"clientId", "client_id"},
	{"clientSecret", "client_secret"},
	{"auth.method", "token_endpoint_auth_method"},
	{"tokenEndpoint", "--token-endpoint"},
	{"authorizationEndpoint", "OAUTH2_AUTHORIZATION_URL"},
	{"redirectURI", "the redirect URI"},
	{"refreshSkew", "OAUTH2_REFRESH_SKEW_SECONDS"},
	{"tokenParams.", "OAUTH2_EXTRA_PARAMS "},
}
