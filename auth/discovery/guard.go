package discovery

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/plait-mcp/plait/config"
)

const dialTimeout = 15 * time.Second

// Transport returns a transport for all that is asked of authorization servers on behalf of the server at a URL: with
// the certificates and proxies of base, but it does not connect to where a server may not send plait (server-side
// request forgery). Addresses are looked at when they are dialed, after all names are resolved:
//
//   - those of the link, of the metadata services of clouds, and those of no single host, are always refused;
//   - loopback and private ones are refused when the server is at a public address, unless the identity allows them;
//   - the server's own address, and those that the identity names, are where the configuration says: never refused.
//
// Of a request that goes through a proxy only an address written as a number is looked at: the rest is known to the
// proxy alone. Redirects are dialed, and looked at, like all others. The owner calls CloseIdleConnections.
func Transport(base *http.Transport, server string, id *config.Identity) *http.Transport {
	g := &guard{allowPrivate: id.AllowPrivateIssuer, resolver: net.DefaultResolver, trusted: map[string]bool{}}
	own := []string{
		server, id.Issuer, id.AuthorizationEndpoint, id.TokenEndpoint, id.DeviceAuthorizationEndpoint,
		id.RegistrationEndpoint, id.RevocationEndpoint,
	}
	if id.IDP != nil {
		own = append(own, id.IDP.Issuer, id.IDP.TokenEndpoint, id.IDP.AuthorizationEndpoint)
	}
	for i, text := range own {
		if u, err := url.Parse(text); err == nil && u.Host != "" {
			g.trusted[address(u)] = true
			if i == 0 {
				g.server, g.serverAddr = strings.ToLower(u.Hostname()), address(u)
			}
		}
	}
	t := base.Clone()
	t.DialContext = g.dial
	t.DialTLSContext = nil
	if base.Proxy != nil {
		t.Proxy = func(r *http.Request) (*url.URL, error) { return g.proxy(base.Proxy, r) }
	}
	return t
}

// guard decides which addresses may be dialed.
type guard struct {
	allowPrivate bool
	server       string          // its host
	serverAddr   string          // and its port
	public       atomic.Bool     // it was reached at a public address, or by a proxy: that stays, whatever its name resolves to later
	trusted      map[string]bool // addresses as the configuration has them, with ports
	resolver     *net.Resolver
	proxies      sync.Map // addresses of those that were used
}

// proxy returns the proxy for a request, and looks at what it would hide from dial.
func (g *guard) proxy(of func(*http.Request) (*url.URL, error), r *http.Request) (*url.URL, error) {
	via, err := of(r)
	if err != nil || via == nil {
		return via, err
	}
	g.proxies.Store(address(via), true)
	target := address(r.URL)
	if target == g.serverAddr {
		g.public.Store(true)
	}
	if g.trusted[target] {
		return via, nil
	}
	host := strings.ToLower(strings.TrimSuffix(r.URL.Hostname(), "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		host = "127.0.0.1"
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return via, g.allow(r.Context(), r.URL.Hostname(), ip)
	}
	return via, nil
}

// dial connects to an address if it may.
func (g *guard) dial(ctx context.Context, network, to string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: dialTimeout}
	_, viaProxy := g.proxies.Load(strings.ToLower(to))
	if !viaProxy && !g.trusted[strings.ToLower(to)] {
		host, _, err := net.SplitHostPort(to)
		if err != nil {
			return nil, err
		}
		dialer.ControlContext = func(ctx context.Context, _, resolved string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(resolved)
			if err != nil {
				return fmt.Errorf("dial an address that cannot be read: %w", err)
			}
			return g.allow(ctx, host, at.Addr())
		}
	}
	conn, err := dialer.DialContext(ctx, network, to)
	if err == nil && !viaProxy && strings.EqualFold(to, g.serverAddr) {
		if at, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
			if kind, _ := kindOf(at.Addr()); kind == "" {
				g.public.Store(true)
			}
		}
	}
	return conn, err
}

// allow says whether to go to an address that a host has.
func (g *guard) allow(ctx context.Context, host string, ip netip.Addr) error {
	kind, hard := kindOf(ip)
	if kind == "" || !hard && (g.allowPrivate || g.serverIsPrivate(ctx)) {
		return nil
	}
	return &BlockedError{Host: host, Addr: ip.WithZone("").String(), Kind: kind, Hard: hard}
}

// serverIsPrivate tells whether the server itself has no public address. One that was reached at one stays public,
// since who owns its name can have it resolve to anything. So does one that was reached by a proxy, or whose name cannot
// be resolved here.
func (g *guard) serverIsPrivate(ctx context.Context) bool {
	if ip, err := netip.ParseAddr(g.server); err == nil {
		kind, _ := kindOf(ip)
		return kind != ""
	}
	if g.public.Load() {
		return false
	}
	found, err := g.resolver.LookupNetIP(ctx, "ip", g.server)
	if err != nil || len(found) == 0 {
		return false
	}
	for _, ip := range found {
		if kind, _ := kindOf(ip); kind == "" {
			return false
		}
	}
	return true
}

// The well-known prefixes and addresses that package netip does not name.
const (
	carrier   = "100.64.0.0/10"      // RFC 6598
	thisHost  = "0.0.0.0/8"          // RFC 1122
	benchmark = "198.18.0.0/15"      // RFC 2544
	reserved  = "240.0.0.0/4"        // RFC 1112
	nat64     = "64:ff9b::/96"       // RFC 6052: an IPv4 address is in its end
	sixToFour = "2002::/16"          // RFC 3056: an IPv4 address is behind its first two bytes
	cloudsOwn = "fd00:ec2::/32"      // EC2
	azure     = "168.63.129.16/32"   // the platform of Azure
	alibaba   = "100.100.100.200/32" // the metadata service of Alibaba Cloud
	oracle    = "192.0.0.192/32"     // that of Oracle Cloud
)

// kindOf names what is not public about an address, and tells whether no setting allows it. It is "" for others.
func kindOf(ip netip.Addr) (kind string, hard bool) {
	ip = embedded(ip.WithZone("").Unmap())
	in := func(prefixes ...string) bool {
		for _, p := range prefixes {
			if netip.MustParsePrefix(p).Contains(ip) {
				return true
			}
		}
		return false
	}
	switch {
	case in(cloudsOwn, azure, alibaba, oracle):
		return "cloud metadata", true
	case ip.IsLinkLocalUnicast():
		return "link-local", true
	case ip.IsUnspecified(), ip.IsMulticast(), in(thisHost, reserved):
		return "special", true
	case ip.IsLoopback():
		return "loopback", false
	case ip.IsPrivate(), in(carrier, benchmark):
		return "private", false
	}
	return "", false
}

// embedded returns the IPv4 address that some IPv6 addresses stand for.
func embedded(ip netip.Addr) netip.Addr {
	raw := ip.As16()
	switch {
	case netip.MustParsePrefix(nat64).Contains(ip):
		return netip.AddrFrom4([4]byte(raw[12:16]))
	case netip.MustParsePrefix(sixToFour).Contains(ip):
		return netip.AddrFrom4([4]byte(raw[2:6]))
	}
	return ip
}

// address returns host and port of a URL as they are dialed.
func address(u *url.URL) string {
	p := port(u)
	if u.Port() == "" && strings.HasPrefix(u.Scheme, "socks5") {
		p = "1080"
	}
	return strings.ToLower(net.JoinHostPort(u.Hostname(), p))
}
