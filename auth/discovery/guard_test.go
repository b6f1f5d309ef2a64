package discovery_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"

	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/config"
)

func TestGuardAddresses(t *testing.T) {
	t.Parallel()
	const public, soft, hard = 0, 1, 2
	for ip, want := range map[string]int{
		"8.8.8.8": public, "2606:4700::1111": public, "192.0.2.1": public, "172.32.0.1": public, "64:ff9b::808:808": public,
		"127.0.0.1": soft, "127.8.8.8": soft, "::1": soft, "10.0.0.1": soft, "172.16.0.1": soft, "192.168.1.1": soft, "fd12::1": soft,
		"100.64.0.1": soft, "198.18.0.1": soft, "::ffff:10.0.0.1": soft, "64:ff9b::a00:1": soft, "2002:7f00:1::": soft,
		"169.254.169.254": hard, "fe80::1": hard, "fe80::1%eth0": hard, "::ffff:169.254.169.254": hard, "64:ff9b::a9fe:a9fe": hard,
		"fd00:ec2::254": hard, "168.63.129.16": hard, "100.100.100.200": hard, "192.0.0.192": hard, "0.0.0.0": hard, "::": hard,
		"224.0.0.1": hard, "ff02::1": hard, "255.255.255.255": hard, "240.0.0.1": hard, "0.1.2.3": hard,
	} {
		kind, isHard := discovery.KindOf(netip.MustParseAddr(ip))
		got := public
		if kind != "" {
			got = soft
		}
		if isHard {
			got = hard
		}
		if got != want {
			t.Errorf("%s is %q (%d), want %d", ip, kind, got, want)
		}
	}
}

// TestGuard is about a public server that points to this machine. Nothing public is needed for that: what is dialed is
// the loopback address.
func TestGuard(t *testing.T) {
	t.Parallel()
	hits := 0
	as := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ }))
	t.Cleanup(as.Close)
	proxyHits := 0
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { proxyHits++ }))
	t.Cleanup(proxy.Close)
	via, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	const publicServer = "https://93.184.216.34/mcp"
	for name, c := range map[string]struct {
		server   string
		identity config.Identity
		proxy    *url.URL
		to       string
		blocked  string // a word of the error; "" goes through
	}{
		"loopback":                       {publicServer, config.Identity{}, nil, as.URL, "loopback"},
		"allowed":                        {publicServer, config.Identity{AllowPrivateIssuer: true}, nil, as.URL, ""},
		"configured issuer":              {publicServer, config.Identity{Issuer: as.URL + "/x"}, nil, as.URL, ""},
		"configured endpoint":            {publicServer, config.Identity{TokenEndpoint: as.URL + "/token"}, nil, as.URL, ""},
		"configured identity provider":   {publicServer, config.Identity{IDP: &config.IdentityProvider{TokenEndpoint: as.URL}}, nil, as.URL, ""},
		"the server is local, too":       {"http://localhost:1/mcp", config.Identity{}, nil, as.URL, ""},
		"the server is private":          {"https://10.1.2.3/mcp", config.Identity{}, nil, as.URL, ""},
		"the server has no address":      {"https://mcp.invalid/mcp", config.Identity{}, nil, as.URL, "loopback"},
		"metadata service":               {"http://localhost:1/mcp", config.Identity{AllowPrivateIssuer: true}, nil, "http://169.254.169.254/x", "link-local"},
		"by a proxy":                     {publicServer, config.Identity{}, via, "http://as.invalid", ""},
		"by a proxy, a number":           {publicServer, config.Identity{}, via, as.URL, "loopback"},
		"by a proxy, this machine":       {publicServer, config.Identity{}, via, "http://localhost:8/", "loopback"},
		"by a proxy, metadata service":   {publicServer, config.Identity{AllowPrivateIssuer: true}, via, "http://[fd00:ec2::254]/", "cloud metadata"},
		"by a proxy, what is allowed":    {publicServer, config.Identity{AllowPrivateIssuer: true}, via, "http://10.0.0.1/", ""},
		"by a proxy, what is configured": {publicServer, config.Identity{Issuer: "http://10.0.0.1"}, via, "http://10.0.0.1/", ""},
	} {
		t.Run(name, func(t *testing.T) {
			base := &http.Transport{}
			if c.proxy != nil {
				base.Proxy = http.ProxyURL(c.proxy)
			}
			transport := discovery.Transport(base, c.server, &c.identity)
			defer transport.CloseIdleConnections()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.to, nil)
			if err != nil {
				t.Fatal(err)
			}
			hits, proxyHits = 0, 0
			response, err := (&http.Client{Transport: transport}).Do(request)
			if err == nil {
				response.Body.Close()
			}
			if c.blocked != "" {
				wantError[*discovery.BlockedError](t, err, c.blocked)
				if hits+proxyHits > 0 {
					t.Error("went there")
				}
				return
			}
			if err != nil || c.proxy == nil && hits != 1 || c.proxy != nil && proxyHits != 1 {
				t.Errorf("error %v, %d hits, %d by the proxy", err, hits, proxyHits)
			}
		})
	}
}

// TestGuardResolve: a document that names a private authorization server does not get plait there.
func TestGuardResolve(t *testing.T) {
	t.Parallel()
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("went inside") }))
	t.Cleanup(inside.Close)
	public := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/.well-known/oauth-protected-resource" {
			_ = json.NewEncoder(rw).Encode(resource("", inside.URL))
			return
		}
		http.NotFound(rw, r)
	}))
	t.Cleanup(public.Close)
	id := config.Identity{AllowHTTP: true}
	transport := discovery.Transport(&http.Transport{}, "https://93.184.216.34/", &id)
	t.Cleanup(transport.CloseIdleConnections)
	// The server's own address is always dialed. Here it is another one than the guard was told.
	own := discovery.Transport(&http.Transport{}, public.URL, &id)
	t.Cleanup(own.CloseIdleConnections)
	var steps []discovery.Step
	_, err := discovery.Resolve(t.Context(), discovery.Request{
		HTTP: &http.Client{Transport: byHost{public.Listener.Addr(): own, inside.Listener.Addr(): transport}}, URL: public.URL, Identity: &id,
		Trail: func(s discovery.Step) { steps = append(steps, s) },
	})
	wantError[*discovery.BlockedError](t, err, "loopback", "allowPrivateIssuer: true")
	if !hasStep(steps, "server metadata", discovery.Refused, "loopback") {
		t.Errorf("no step tells it: %+v", steps)
	}
}

// TestGuardRebinding: a server that was reached by a proxy is public, though its name leads to this machine by now.
func TestGuardRebinding(t *testing.T) {
	t.Parallel()
	as := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(as.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(proxy.Close)
	const server = "http://localhost:1/mcp"
	base := &http.Transport{Proxy: func(r *http.Request) (*url.URL, error) {
		if r.URL.Host == "localhost:1" {
			return url.Parse(proxy.URL)
		}
		return nil, nil
	}}
	transport := discovery.Transport(base, server, &config.Identity{})
	t.Cleanup(transport.CloseIdleConnections)
	get := func(to string) error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := (&http.Client{Transport: transport}).Do(request)
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	if err := get(as.URL); err != nil {
		t.Error(err)
	}
	transport.CloseIdleConnections()
	if err := get(server); err != nil {
		t.Error(err)
	}
	wantError[*discovery.BlockedError](t, get(as.URL), "loopback")
}

type byHost map[net.Addr]*http.Transport

func (b byHost) RoundTrip(r *http.Request) (*http.Response, error) {
	for at, transport := range b {
		if at.String() == r.URL.Host {
			return transport.RoundTrip(r)
		}
	}
	return nil, net.ErrClosed
}

// TestM39OneClient: discovery trusts whom the server's own client trusts, and names a certificate that nobody does.
func TestM39OneClient(t *testing.T) {
	t.Parallel()
	var s *httptest.Server
	s = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/oauth-protected-resource":
			_ = json.NewEncoder(rw).Encode(resource(s.URL, s.URL))
		case oauthDoc:
			_ = json.NewEncoder(rw).Encode(server(s.URL, nil))
		default:
			http.NotFound(rw, r)
		}
	}))
	t.Cleanup(s.Close)
	trusting, ok := s.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("no transport")
	}
	for name, c := range map[string]struct {
		base *http.Transport
		ok   bool
	}{"with its authority": {trusting, true}, "without": {&http.Transport{}, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := &config.Identity{}
			transport := discovery.Transport(c.base, s.URL, id)
			t.Cleanup(transport.CloseIdleConnections)
			found, err := discovery.Resolve(t.Context(), discovery.Request{HTTP: &http.Client{Transport: transport}, URL: s.URL, Identity: id})
			if c.ok {
				if err != nil || found.Server.Issuer != s.URL {
					t.Errorf("found %+v, error %v", found, err)
				}
				return
			}
			wantError[*discovery.UnavailableError](t, err, "certificate", "Acme Co", "caFile")
		})
	}
}
