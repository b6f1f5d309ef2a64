package flow_test

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/auth/flow"
	"github.com/plait-mcp/plait/config"
)

// freePort returns a port that nobody had a moment ago on either loopback address, and that no system gives out by itself.
func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := 12_000 + rand.IntN(20_000)
		if l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

func occupy(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Skipf("cannot listen on %s: %v", address, err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// TestA18RedirectURIs makes redirect URIs: on this machine or https, in the form that the config asks for.
func TestA18RedirectURIs(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	text := strconv.Itoa(port)
	for _, row := range []struct {
		name     string
		callback config.Callback
		identity string // its redirectURI
		want     string
		err      string
	}{
		{name: "nothing said", want: "http://127.0.0.1:" + text + "/callback"},
		{name: "localhost", callback: config.Callback{Host: "localhost"}, want: "http://localhost:" + text + "/callback"},
		{name: "IPv6", callback: config.Callback{Host: "[::1]"}, want: "http://[::1]:" + text + "/callback"},
		{name: "public", callback: config.Callback{PublicURL: "https://name-33419.app.example.dev"}, want: "https://name-33419.app.example.dev/callback"},
		{name: "public with a path", callback: config.Callback{PublicURL: "https://dev.example/proxy/33419/"}, want: "https://dev.example/proxy/33419/callback"},
		{name: "of the identity", identity: "http://localhost:" + text + "/oauth/callback?x=1", want: "http://localhost:" + text + "/oauth/callback?x=1"},
		{name: "of the identity, any port", identity: "http://localhost", want: "http://localhost:" + text},
		{name: "of the identity, https", identity: "https://callback.example.com/plait", want: "https://callback.example.com/plait"},
		{name: "http elsewhere", identity: "http://callback.example.com/plait", err: "redirectURI has to be https"},
		{name: "a scheme of an app", identity: "cursor://anysphere/callback", err: "redirectURI has to be https"},
		{name: "with a user", identity: "https://a:b@example.com/", err: "redirectURI is not a URL"},
		{name: "with a fragment", identity: "https://example.com/#a", err: "redirectURI is not a URL"},
		{name: "public http elsewhere", callback: config.Callback{PublicURL: "http://dev.example"}, err: "auth.callback.publicUrl has to be https"},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.callback.Port = port
			r := newRig(t, row.callback)
			got, err := r.broker.RedirectURI(t.Context(), flow.Redirect{Identity: &config.Identity{RedirectURI: row.identity}})
			if row.err != "" {
				if err == nil || !strings.Contains(err.Error(), row.err) {
					t.Errorf("error %v, want %q", err, row.err)
				}
				return
			}
			if err != nil || got != row.want {
				t.Fatalf("%q, %v; want %q", got, err, row.want)
			}
			p := &flow.Pending{State: flow.NewState(), RedirectURI: got, AuthorizeURL: issuer, Identity: "work", Verifier: "v"}
			f := r.begin(p)
			// however the answer is named, it comes in at our port
			at := "http://127.0.0.1:" + text + p.Path + "?code=c&state=" + p.State
			host := strings.TrimPrefix(strings.TrimPrefix(got, "https://"), "http://")
			host, _, _ = strings.Cut(host, "/")
			if got := visit(t, at, func(req *http.Request) { req.Host = host }); got.status != http.StatusOK {
				t.Errorf("the answer: %d", got.status)
			}
			if err := wait(t, f); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestBothLoopbackAddresses has the answer come in by whatever "localhost" means to the browser.
func TestBothLoopbackAddresses(t *testing.T) {
	occupy(t, "[::1]:0").Close()
	r := newRig(t, config.Callback{Host: "localhost"})
	for _, host := range []string{"127.0.0.1", "[::1]", "localhost"} {
		p := r.pending("work")
		f := r.begin(p)
		at := "http://" + host + ":" + strconv.Itoa(p.Port) + "/callback?code=c&state=" + p.State
		if got := visit(t, at); got.status != http.StatusOK {
			t.Errorf("%s: %d", host, got.status)
		}
		if err := wait(t, f); err != nil {
			t.Error(err)
		}
	}
}

// TestM14PortHeldByStranger has a stranger on the port: a client whose redirect URI is fixed is told what to set,
// another one gets the next port.
func TestM14PortHeldByStranger(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		port := freePort(t)
		address := net.JoinHostPort(host, strconv.Itoa(port))
		stranger := occupy(t, address)
		r := newRig(t, config.Callback{Port: port})
		_, err := r.broker.RedirectURI(t.Context(), flow.Redirect{})
		taken, ok := errors.AsType[*flow.PortError](err)
		if !ok || taken.Port != port || !strings.Contains(err.Error(), "auth.callback.port") || !strings.Contains(err.Error(), strconv.Itoa(port)) {
			t.Errorf("with a stranger on %s: %v", address, err)
		}
		uri, err := r.broker.RedirectURI(t.Context(), flow.Redirect{AnyPort: true})
		if err != nil || strings.Contains(uri, ":"+strconv.Itoa(port)+"/") {
			t.Fatalf("any port with a stranger on %s: %s, %v", address, uri, err)
		}
		// a second process finds the same port, for the first one is a sibling
		other := newSibling(t, r.dir, config.Callback{Port: port})
		if got, err := other.broker.RedirectURI(t.Context(), flow.Redirect{AnyPort: true}); got != uri {
			t.Errorf("the second process got %s, %v; want %s", got, err, uri)
		}
		// the registration that was made with that port is kept even when the stranger has gone
		stranger.Close()
		if got, err := r.broker.RedirectURI(t.Context(), flow.Redirect{}); err != nil || got != "http://127.0.0.1:"+strconv.Itoa(port)+"/callback" {
			t.Errorf("without the stranger: %s, %v", got, err)
		}
	}
}

// TestKnownPort stays with the port of the registration that exists.
func TestKnownPort(t *testing.T) {
	port := freePort(t)
	known := "http://127.0.0.1:" + strconv.Itoa(port) + "/callback"
	for _, row := range []struct {
		name string
		want flow.Redirect
		same bool
	}{
		{"any port", flow.Redirect{AnyPort: true, Known: known}, true},
		{"another host", flow.Redirect{AnyPort: true, Known: strings.Replace(known, "127.0.0.1", "localhost", 1)}, false},
		{"another path", flow.Redirect{AnyPort: true, Known: known + "/x"}, false},
		{"no URL", flow.Redirect{AnyPort: true, Known: "%"}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t, config.Callback{})
			got, err := r.broker.RedirectURI(t.Context(), row.want)
			if err != nil || (got == known) != row.same {
				t.Errorf("%s, %v", got, err)
			}
		})
	}
}

// TestBindElsewhere listens where the config says, for a container that publishes the port.
func TestBindElsewhere(t *testing.T) {
	r := newRig(t, config.Callback{Bind: "0.0.0.0", PublicURL: "http://localhost:40000"})
	uri, err := r.broker.RedirectURI(t.Context(), flow.Redirect{})
	if err != nil || uri != "http://localhost:40000/callback" {
		t.Fatal(uri, err)
	}
	p := &flow.Pending{State: flow.NewState(), RedirectURI: uri, AuthorizeURL: issuer, Identity: "work", Verifier: "v"}
	f := r.begin(p)
	if want := "http://localhost:40000/connect/" + f.ID; f.Link() != want {
		t.Errorf("the link is %s, want %s", f.Link(), want)
	}
	at := "http://127.0.0.1:" + strconv.Itoa(p.Port) + "/callback?code=c&state=" + p.State
	if got := visit(t, at, func(req *http.Request) { req.Host = "localhost:40000" }); got.status != http.StatusOK {
		t.Errorf("the answer: %d", got.status)
	}
	if err := wait(t, f); err != nil {
		t.Error(err)
	}
}

// TestHostOfOtherProcess has the process that holds the port take an answer for the host that another one is configured
// to be reached by, and nothing else for it.
func TestHostOfOtherProcess(t *testing.T) {
	holder := newRig(t, config.Callback{})
	held := holder.pending("held")
	holder.begin(held)
	r := newSibling(t, holder.dir, config.Callback{Port: held.Port, PublicURL: "https://dev.example"})
	p := r.pending("work")
	f := r.begin(p)
	at := "http://127.0.0.1:" + strconv.Itoa(held.Port)
	as := func(host string) func(*http.Request) { return func(req *http.Request) { req.Host = host } }
	for _, row := range []struct {
		path, host string
		want       int
	}{
		{"/callback?code=c&state=" + held.State, "dev.example", http.StatusMisdirectedRequest},
		{"/callback?code=c&state=" + flow.NewState(), "dev.example", http.StatusMisdirectedRequest},
		{"/callback?code=c&state=" + p.State, "evil.example", http.StatusMisdirectedRequest},
		{"/connect/" + f.ID, "evil.example", http.StatusMisdirectedRequest},
		{"/connect/" + f.ID, "dev.example", http.StatusOK},
		{"/callback?code=c&state=" + p.State, "dev.example", http.StatusOK},
	} {
		if got := visit(t, at+row.path, as(row.host)); got.status != row.want {
			t.Errorf("%s for %s: %d, want %d", strings.SplitN(row.path, "?", 2)[0], row.host, got.status, row.want)
		}
	}
	if err := wait(t, f); err != nil {
		t.Error(err)
	}
}
