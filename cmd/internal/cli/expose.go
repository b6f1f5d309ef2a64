package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/plait-mcp/plait/config"
)

// exposeOptions are what the command line says of the one server and its endpoint.
type exposeOptions struct {
	command []string // with its arguments

	host     string
	port     uint16
	endpoint string

	children       int
	idle           time.Duration
	lifetime       time.Duration
	connectTimeout time.Duration
	callTimeout    time.Duration

	gate gate
}

func newExpose(a *app) *cobra.Command {
	var o exposeOptions
	c := &cobra.Command{
		Use:   "expose [flags] -- COMMAND [ARG...]",
		Short: "Serve a server that speaks on standard input and output over HTTP",
		Long: `Serve a server that speaks on standard input and output over HTTP, without a configuration file: Streamable HTTP at
/mcp, and HTTP with SSE at /sse.

Each client has a child process of its own, with plait's environment, which ends with the session of the client: by DELETE,
when nobody has used it for the time of --idle, at the age of --lifetime, and when plait ends. What the client sees is what
the child says: its name, capabilities, instructions, lists and errors, and its notifications and requests, also those that
MCP does not know.

When a child ends by itself, the calls that it had taken fail with how it ended and its last words. The session goes on
with another child, which plait starts, and which gets the log level and the subscriptions of the client again.

The command line is that of hyper-mcp-proxy.`,
		Example: `  plait expose -- npx -y @modelcontextprotocol/server-everything
  plait expose -H 0.0.0.0 -p 9000 --auth '${TOKEN}' --tls-cert cert.pem --tls-key key.pem -- uvx mcp-server-time`,
		RunE: func(c *cobra.Command, args []string) error {
			o.command = args
			return runExpose(c.Context(), a, o)
		},
	}
	o.flags(c.Flags())
	a.logFlags(c)
	return c
}

func (o *exposeOptions) flags(f *pflag.FlagSet) {
	f.SetInterspersed(false) // what follows the command is its own
	f.StringVarP(&o.host, "host", "H", "127.0.0.1", "listen at this `address`")
	f.Uint16VarP(&o.port, "port", "p", 8080, "listen at this port, 0 for one that is free; the log says which")
	f.StringVarP(&o.endpoint, "endpoint", "e", "/mcp", "the `path` of Streamable HTTP")
	f.IntVar(&o.children, "max-children", 100, "refuse more clients than this at a time")
	f.DurationVar(&o.idle, "idle", 30*time.Minute, "end a session, and its child, that nobody uses for this time")
	f.DurationVar(&o.lifetime, "lifetime", 24*time.Hour, "end a session, and its child, at this age")
	f.DurationVar(&o.connectTimeout, "connect-timeout", 30*time.Second, "give a child up that does not answer initialize in this time")
	f.DurationVar(&o.callTimeout, "call-timeout", 10*time.Minute, "give a call up after this time without progress")
	o.gate.flags(f)
}

func runExpose(ctx context.Context, a *app, o exposeOptions) error {
	cfg, err := a.exposeConfig(ctx, o)
	if err != nil {
		return err
	}
	a.bridge = true
	never := func() (wanted, given bool) { return false, true }
	return a.serve(ctx, cfg, serving{
		doors: doors{gate: o.gate, stdio: never},
		full:  fmt.Sprintf("all %d children that plait expose may start are in use; end a session, try again later, or raise --max-children", o.children),
	})
}

// exposeConfig makes the configuration of the one server and checks it as if it stood in a file.
func (a *app) exposeConfig(ctx context.Context, o exposeOptions) (*config.Config, error) {
	if len(o.command) == 0 || o.command[0] == "" {
		return nil, usagef("expose needs the command of a server, as in plait expose -- npx -y @modelcontextprotocol/server-everything; see plait expose --help")
	}
	if _, err := exec.LookPath(o.command[0]); err != nil && !errors.Is(err, exec.ErrDot) {
		if strings.Contains(o.command[0], " ") {
			return nil, usagef("command %q: %w; write its arguments without quotes around them all", o.command[0], errors.Unwrap(err))
		}
		return nil, usagef("command %q: %w; correct it or install the program", o.command[0], errors.Unwrap(err))
	}
	args := make([]string, len(o.command))
	for i, arg := range o.command {
		args[i] = exact(arg)
	}
	name := o.name()
	http := map[string]any{
		"listen": exact(net.JoinHostPort(o.host, strconv.Itoa(int(o.port)))), "path": exact("/" + strings.TrimPrefix(o.endpoint, "/")),
		"limits": map[string]any{"sessions": o.children, "idle": o.idle.String(), "lifetime": o.lifetime.String()},
	}
	return a.parse(ctx, map[string]any{
		"mcpServers": map[string]any{name: map[string]any{
			"command": args[0], "args": args[1:], "inheritEnv": []string{"*"}, "prefix": "",
			"connectTimeout": o.connectTimeout.String(), "callTimeout": o.callTimeout.String(),
		}},
		"serve":   map[string]any{"http": http},
		"startup": map[string]any{"wait": o.connectTimeout.String(), "snapshot": false}, // the client gets the child's own answer to initialize
	}, a.env.LookupEnv, &terms{name, exposeFlags})
}

// exposeFlags are the flags that keys come from.
var exposeFlags = []keyFlag{
	{"serve.http.listen", "--host"},
	{"serve.http.path", "--endpoint"},
	{"serve.http.limits.sessions", "--max-children"},
	{"serve.http.limits.idle", "--idle"},
	{"serve.http.limits.lifetime", "--lifetime"},
	{"connectTimeout", "--connect-timeout"},
	{"callTimeout", "--call-timeout"},
	{"startup.wait", "--connect-timeout"},
	{"command", "COMMAND"},
}

// launchers run a program that their first argument names which is no flag.
var launchers = []string{"npx", "bunx", "uvx", "node", "python", "python3"}

// name returns what people know the server by: its program, without folder, scope and version.
func (o *exposeOptions) name() string {
	command := o.command
	if at := slices.IndexFunc(command[1:], func(arg string) bool { return !strings.HasPrefix(arg, "-") }); at >= 0 &&
		slices.Contains(launchers, program(command[0])) {
		command = command[1+at:]
	}
	return program(command[0])
}

func program(path string) string {
	base := filepath.Base(path)
	if name, _, _ := strings.Cut(base, "@"); name != "" {
		base = name
	}
	for _, end := range []string{".exe", ".cmd", ".js", ".mjs", ".py"} {
		base = strings.TrimSuffix(base, end)
	}
	return base
}
