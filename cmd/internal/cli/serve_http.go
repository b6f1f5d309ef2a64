package cli

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/plait-mcp/plait/aggregator/downstream"
	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// doors says where clients come in: what the flags say, over what the file says.
type doors struct {
	listen   string // host:port, "" for what the file says
	stdio    func() (wanted, given bool)
	insecure bool
}

func (d *doors) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&d.listen, "http", "", "serve clients over HTTP at this `address`, too: host:port, or :port for this machine alone")
	f.StringVar(&d.listen, "listen", "", "the same as --http")
	stdio := f.Bool("stdio", true, "with --http, serve standard input and output, too (default only if standard input is a pipe)")
	d.stdio = func() (bool, bool) { return *stdio, f.Changed("stdio") }
	f.BoolVar(&d.insecure, "insecure", false, "serve other machines without asking them for a token")
}

// check refuses doors that do not go together, or that are open to everybody.
func (d *doors) check(cfg *config.Config) (config.ServeHTTP, error) {
	s := cfg.Serve.HTTP
	if d.listen != "" {
		if _, _, err := net.SplitHostPort(d.listen); err != nil {
			return s, usagef("--http: %q is not an address; write host:port, such as 127.0.0.1:8080", d.listen)
		}
		s.Listen = config.LoopbackAddress(d.listen)
	}
	if wanted, given := d.stdio(); s.Listen == "" && given && !wanted {
		return s, usagef("--stdio=false leaves no way in; add --http 127.0.0.1:8080, or serve.http.listen to the file")
	}
	if s.Listen != "" && !s.Loopback() && s.Auth.Bearer == "" && !d.insecure {
		return s, usagef("%s can be reached by other machines, and whoever reaches it could use all servers with your sign-ins; "+
			"listen at 127.0.0.1 instead, set serve.http.auth.bearer to a token that clients must send, or add --insecure if something else keeps strangers out", s.Listen)
	}
	return s, nil
}

// usesStdio reports whether a client is served on standard input and output. Beside an endpoint that is one that
// started plait, and so has a pipe to it: a service has none.
func (d *doors) usesStdio(a *app, s config.ServeHTTP) bool {
	if wanted, given := d.stdio(); given || s.Listen == "" {
		return wanted
	}
	f, ok := a.env.In.(*os.File)
	if !ok {
		return true
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
}

// welcome serves clients in the group, each way that there is. end is called when nobody is left to serve.
func (a *app) welcome(ctx context.Context, group *errgroup.Group, g *gateway, d *door, end func()) error {
	log := g.log.Named("downstream")
	if d.http.Listen != "" {
		l, err := d.bind(ctx, g)
		if err != nil {
			return err
		}
		front := downstream.NewHTTP(ctx, downstream.HTTPOptions{
			Open: g.enter, HasProfile: g.HasProfile, Limit: d.limit, Log: log,
			Path: d.http.Path, SSE: d.http.SSE, Bearer: d.http.Auth.Bearer,
			AllowedHosts: d.http.AllowedHosts, AllowedOrigins: d.http.AllowedOrigins,
			Sessions: d.http.Limits.Sessions, Full: d.full, Idle: d.http.Limits.Idle, Lifetime: d.http.Limits.Lifetime, Replay: d.http.Limits.Replay,
			Connections: d.http.Limits.Connections, Memory: d.http.Limits.Memory,
		})
		group.Go(func() error {
			defer end()
			return front.Serve(ctx, l)
		})
	}
	if d.stdio {
		group.Go(func() error {
			defer end()
			return downstream.ServeStdio(ctx, a.env.In, a.env.Out, downstream.Options{
				Open:  func(out jsonrpc.Sender) jsonrpc.Handler { return g.Open(out) }, //nolint:contextcheck // sessions live in the context of the Aggregator
				Limit: d.limit, Log: log,
			})
		})
	}
	return nil
}

// door is how clients come in.
type door struct {
	http  config.ServeHTTP // Listen is "" when nothing listens
	stdio bool
	limit int64  // bytes of a message
	full  string // what a client is told that finds no room, "" for the usual
}

// bind opens the endpoint and says where it is.
func (d *door) bind(ctx context.Context, g *gateway) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", d.http.Listen)
	if err != nil {
		return nil, usagef("cannot listen at %s: %w; choose another address", d.http.Listen, err)
	}
	scheme := "http"
	if d.http.TLS.Cert != "" {
		scheme = "https"
		c := &certificate{ServeTLS: d.http.TLS, warn: func(err error) {
			g.log.Warn("the new certificate cannot be used; the old one stays", "err", err)
		}}
		if err := c.load(); err != nil {
			_ = l.Close()
			return nil, usagef("serve.http.tls: %w; check both files", err)
		}
		l = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get})
	}
	g.log.Info("listening", "url", scheme+"://"+l.Addr().String()+d.http.Path)
	if scheme == "http" && !d.http.Loopback() {
		g.log.Warn("what clients send, and the token, can be read on the way; set serve.http.tls, or put a proxy with TLS in front")
	}
	return l, nil
}

// certificate is one that is read again when its files change.
type certificate struct {
	config.ServeTLS

	warn func(error)

	mu      sync.Mutex
	current *tls.Certificate
	read    [2]time.Time // when the files that were tried last were written
	looked  time.Time
}

// often bounds how often the files are looked at.
const often = time.Second

// get implements tls.Config.GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) > often {
		if err := c.load(); err != nil {
			c.warn(err)
		}
	}
	return c.current, nil
}

// load reads the files if they are not those that were tried last.
func (c *certificate) load() error {
	c.looked = time.Now()
	var written [2]time.Time
	for i, name := range []string{c.Cert, c.Key} {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		written[i] = info.ModTime()
	}
	if written == c.read {
		return nil
	}
	c.read = written
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return err
	}
	c.current = &pair
	return nil
}
