package flow

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"

	"github.com/plait-mcp/plait/config"
)

// DefaultPort is the port where no other is configured.
const DefaultPort = 33419

// callbackPath is the path of the redirect URI where no other is configured.
const callbackPath = "/callback"

// nextPorts is how many ports after the configured one are tried before any that is free.
const nextPorts = 10

// Redirect says for whom a redirect URI is wanted.
type Redirect struct {
	// Identity may name the URI; nil is none.
	Identity *config.Identity
	// AnyPort allows another port than the configured one when a stranger has that: the authorization server ignores
	// the port of a loopback address (RFC 8252 section 7.3), or registers the client with the one it gets.
	AnyPort bool
	// Known is the redirect URI of the registration that exists, "" for none. Its port is tried first with AnyPort.
	Known string
}

// target is where a process listens for the answers to one redirect URI.
type target struct {
	uri  string
	port int
	path string
}

// RedirectURI returns the URI that an authorization server may send its answer to, and sees to it that somebody
// listens there, this process or another one of plait, for long enough to register and to call Begin. It fails with
// a *PortError when a stranger has the port.
func (b *Broker) RedirectURI(ctx context.Context, want Redirect) (string, error) {
	form, ports, err := b.candidates(want)
	if err != nil {
		return "", err
	}
	var first error
	for _, port := range ports {
		got, err := b.listen(ctx, port)
		if err != nil {
			if first == nil {
				first = err
			}
			if ctx.Err() != nil || !isPortError(err) {
				return "", err
			}
			continue
		}
		t := form(got)
		b.mu.Lock()
		b.targets[t.uri] = t
		b.mu.Unlock()
		return t.uri, nil
	}
	return "", first
}

func isPortError(err error) bool {
	_, ok := errors.AsType[*PortError](err)
	return ok
}

// candidates returns the form of the redirect URI and the ports to try.
func (b *Broker) candidates(want Redirect) (func(port int) target, []int, error) {
	port := b.callback.Port
	switch {
	case want.Identity != nil && want.Identity.RedirectURI != "":
		return ownURI(want.Identity.RedirectURI, port)
	case b.callback.PublicURL != "":
		public, err := parseRedirect("auth.callback.publicUrl", b.callback.PublicURL)
		if err != nil {
			return nil, nil, err
		}
		uri := public.JoinPath(callbackPath).String()
		return func(p int) target { return target{uri: uri, port: p, path: callbackPath} }, []int{port}, nil
	}
	ports := []int{port}
	if want.AnyPort && port != 0 {
		ports = append(ports, b.others()...)
	}
	if known := b.knownPort(want.Known); known != 0 && want.AnyPort && (port == 0 || port == DefaultPort) {
		ports = append([]int{known}, ports...)
	}
	return func(p int) target {
		return target{uri: "http://" + hostPort(b.host(), p) + callbackPath, port: p, path: callbackPath}
	}, ports, nil
}

// others returns the ports after the configured one, and 0 for any at the end.
func (b *Broker) others() []int {
	var ports []int
	for i := 1; i <= nextPorts && b.callback.Port+i < 1<<16; i++ {
		ports = append(ports, b.callback.Port+i)
	}
	return append(ports, 0)
}

// knownPort returns the port of a redirect URI of the form that would be made now, 0 for none.
func (b *Broker) knownPort(uri string) int {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" || u.Path != callbackPath || u.Port() == "" {
		return 0
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil || u.Host != hostPort(b.host(), port) {
		return 0
	}
	return port
}

// ownURI is for a redirect URI that is configured: used as it is, but for the port of a loopback address without one.
func ownURI(uri string, port int) (func(port int) target, []int, error) {
	u, err := parseRedirect("redirectURI", uri)
	if err != nil {
		return nil, nil, err
	}
	path := u.Path
	if path == "" {
		path = "/"
	}
	switch {
	case !isLoopback(u.Hostname()):
		return func(p int) target { return target{uri: uri, port: p, path: path} }, []int{port}, nil
	case u.Port() == "":
		return func(p int) target {
			with := *u
			with.Host = hostPort(u.Hostname(), p)
			return target{uri: with.String(), port: p, path: path}
		}, []int{port, 0}, nil
	}
	own, err := strconv.Atoi(u.Port())
	if err != nil {
		return nil, nil, fmt.Errorf("redirectURI: %w", err)
	}
	return func(p int) target { return target{uri: uri, port: p, path: path} }, []int{own}, nil
}

// parseRedirect reads a redirect URI of the config: it is https, or on this machine (MCP authorization, "Communication
// Security"), for the answer goes there in clear otherwise.
func parseRedirect(key, uri string) (*url.URL, error) {
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return nil, fmt.Errorf("%s is not a URL that a browser can be sent to", key)
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return nil, fmt.Errorf("%s has to be https, or http on this machine such as http://127.0.0.1:%d/callback", key, DefaultPort)
	}
	return u, nil
}

// host returns the configured host without brackets.
func (b *Broker) host() string {
	switch b.callback.Host {
	case "":
		return "127.0.0.1"
	case "[::1]":
		return "::1"
	}
	return b.callback.Host
}

// target returns where to listen for the answers to uri.
func (b *Broker) target(uri string) (target, error) {
	b.mu.Lock()
	t, ok := b.targets[uri]
	b.mu.Unlock()
	if ok {
		return t, nil
	}
	u, err := url.Parse(uri)
	if err != nil {
		return target{}, fmt.Errorf("redirect URI: %w", err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil || !isLoopback(u.Hostname()) {
		port = b.callback.Port
	}
	return target{uri: uri, port: port, path: u.Path}, nil
}

func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
