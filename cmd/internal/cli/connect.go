package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

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

	authTimeout int  // seconds; of a sign-in, which only a person waits for
	enableProxy bool // proxies of the environment are honoured anyhow
	debug       bool // mcp-remote's word for --log-level debug
}

func newConnect(a *app) *cobra.Command {
	var o connectOptions
	c := &cobra.Command{
		Use:   "connect [URL]",
		Short: "Serve one remote server unchanged, without a configuration file",
		Long: `Serve the one server at URL on standard input and output, without a configuration file.

Names, URIs, capabilities and instructions pass unchanged. The command line is that of mcp-remote,
hyper-mcp-remote and mikluko/mcp-proxy. What no flag says is taken from the environment variables of
mcp-oauth2-proxy (UPSTREAM_URL, UPSTREAM_TIMEOUT_MS, UPSTREAM_PROTOCOL_VERSION, UPSTREAM_OPEN_SERVER_STREAM,
ALLOW_INSECURE_HTTP, LOG_LEVEL), and then from the file of mcp-oauth2-proxy that MCP_PROXY_CONFIG names.`,
		Example: `  plait connect https://mcp.example.com/mcp --header 'Authorization: Bearer ${TOKEN}'`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.url = args[0]
			}
			return runConnect(c.Context(), a, o, c.Flags().Changed)
		},
	}
	f := c.Flags()
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
	f.IntVar(&o.authTimeout, "auth-timeout-secs", 300, "wait so long for a person to sign in")
	f.IntVar(&o.authTimeout, "auth-timeout", 300, "the same")
	f.BoolVar(&o.enableProxy, "enable-proxy", false, "accepted: HTTP_PROXY, HTTPS_PROXY and NO_PROXY are always honoured")
	f.BoolVar(&o.debug, "debug", false, "the same as --log-level debug")
	_ = f.MarkHidden("auth-timeout")
	_ = f.MarkHidden("debug")
	a.logFlags(c)
	return c
}

func runConnect(ctx context.Context, a *app, o connectOptions, given func(flag string) bool) error {
	log := config.Log{Level: "info", Format: "text"}
	if err := a.complement(&o, &log, given); err != nil {
		return err
	}
	if o.debug && a.logLevel == "" {
		a.logLevel = "debug"
	}
	cfg, err := a.connectConfig(ctx, o)
	if err != nil {
		return err
	}
	cfg.Log = log
	return a.serve(ctx, cfg, "")
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
	if o.authTimeout <= 0 {
		return nil, usagef("--auth-timeout-secs is not more than 0; write a number of seconds")
	}
	name := "server"
	if u, err := url.Parse(o.url); err == nil {
		name = cmp.Or(u.Host, name)
	}
	server := map[string]any{
		"url": o.url, "headers": headers, "transport": o.transport, "allowHttp": o.allowHTTP, "caFile": o.caFile,
		"prefix": "", "serverStream": o.serverStream, "callTimeout": o.callTimeout.String(),
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
	text, err := json.Marshal(map[string]any{
		"mcpServers": map[string]any{name: server},
		"startup":    map[string]any{"wait": "10s"}, // the client gets the server's own answer to initialize, if it can
	})
	if err != nil {
		return nil, fmt.Errorf("make the configuration: %w", err)
	}
	cfg, err := config.Parse(ctx, "plait.json", text, config.Options{LookupEnv: a.lenient(o.headers), Keyring: a.secrets()})
	if err != nil {
		return nil, asFlags(err, name)
	}
	if problems := cfg.Problems(); len(problems) > 0 {
		return nil, asFlags(problems, name)
	}
	a.redact.learn(cfg)
	return cfg, nil
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
var connectFlags = []struct{ key, flag string }{
	{"url", "URL"},
	{"headers.", "--header "},
	{"transport", "--transport"},
	{"caFile", "--ca-file"},
	{"protocolVersion", "--protocol-version"},
	{"tools.deny", "--ignore-tool"},
	{"ping.interval", "--ping-interval-secs"},
	{"ping.timeout", "--ping-timeout-secs"},
	{"callTimeout", "--call-timeout"},
}

// asFlags says problems of the configuration in terms of the command line.
func asFlags(err error, server string) error {
	problems, ok := err.(config.Problems) //nolint:errorlint // as Parse returns it
	if !ok {
		return err
	}
	var said []string
	for _, p := range problems {
		path := strings.TrimPrefix(p.Path, "mcpServers."+server+".")
		for _, f := range connectFlags {
			if rest, ok := strings.CutPrefix(path, f.key); ok {
				path = strings.TrimRight(f.flag+rest, "[]0123456789")
				break
			}
		}
		p.Pos, p.Path = config.Pos{}, path
		p.Hint = strings.ReplaceAll(p.Hint, "allowHttp: true", "--allow-http")
		said = append(said, p.Error())
	}
	return usagef("%s", strings.Join(said, "\n"))
}
