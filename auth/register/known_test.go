package register_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/plait-mcp/plait/auth/authtest"
	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/auth/register"
	"github.com/plait-mcp/plait/config"
)

// found discovers a real authorization server.
func found(tb testing.TB, s *authtest.Server, id *config.Identity) *discovery.Metadata {
	tb.Helper()
	transport := discovery.Transport(&http.Transport{}, s.Resource, id)
	tb.Cleanup(transport.CloseIdleConnections)
	f, err := discovery.Resolve(tb.Context(), discovery.Request{HTTP: &http.Client{Transport: transport}, URL: s.Resource, Identity: id})
	if err != nil {
		tb.Fatal(err)
	}
	return f.Server
}

// TestB3Registration registers at a real server, which then knows the client.
func TestB3Registration(t *testing.T) {
	t.Parallel()
	s := authtest.Start(t)
	id := &config.Identity{ClientName: "plait"}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	req := register.Request{HTTP: &http.Client{Transport: transport}, Found: found(t, s, id), Identity: id, RedirectURI: callback, Scopes: []string{"mcp:read"}}
	client, err := register.Resolve(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if client.Method != "none" || client.ManageURI == "" || s.Stats(t).Register != 1 {
		t.Errorf("client %v with %s, to be managed at %q", client, client.Method, client.ManageURI)
	}
	if alive, err := register.Alive(t.Context(), req.HTTP, client); !alive || err != nil {
		t.Errorf("alive: %t, error %v", alive, err)
	}
	req.Known = client
	if again, err := register.Resolve(t.Context(), req); err != nil || again != client || s.Stats(t).Register != 1 {
		t.Errorf("client %v, error %v", again, err)
	}
	s.Forget(t, client.ID)
	if alive, err := register.Alive(t.Context(), req.HTTP, client); alive || err != nil {
		t.Errorf("alive after it was forgotten: %t, error %v", alive, err)
	}
}

func TestKnownClient(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(known *register.Client, req *register.Request)
		again  bool // it registers again
	}{
		"the same":               {func(*register.Client, *register.Request) {}, false},
		"another issuer":         {func(k *register.Client, _ *register.Request) { k.Issuer = "https://old.example" }, true},
		"another redirect URI":   {func(_ *register.Client, r *register.Request) { r.RedirectURI = "http://127.0.0.1:1/callback" }, true},
		"the name for loopback":  {func(k *register.Client, _ *register.Request) { k.RedirectURI = "http://localhost:33419/callback" }, false},
		"no redirect URI needed": {func(_ *register.Client, r *register.Request) { r.RedirectURI = "" }, false},
		"another name for plait": {func(_ *register.Client, r *register.Request) { r.Identity.ClientName = "p" }, true},
		"more metadata": {func(_ *register.Client, r *register.Request) {
			r.Identity.ClientMetadata = map[string]any{"software_id": "x"}
		}, true},
		"more scopes":           {func(_ *register.Client, r *register.Request) { r.Scopes = append(r.Scopes, "c") }, false},
		"an old secret":         {func(k *register.Client, _ *register.Request) { k.SecretExpires = time.Now().Add(time.Second) }, true},
		"a secret for a while":  {func(k *register.Client, _ *register.Request) { k.SecretExpires = time.Now().Add(time.Hour) }, false},
		"not by registration":   {func(k *register.Client, _ *register.Request) { k.Kind = register.Document }, true},
		"of an earlier version": {func(k *register.Client, _ *register.Request) { k.Asked = "" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRegistrar(t, accept(nil))
			req := r.request(nil)
			known, err := register.Resolve(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			req.Known = known
			c.change(known, &req)
			client, err := register.Resolve(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if again := len(r.asked) == 2; again != c.again || again == (client == known) {
				t.Errorf("registered again: %t, want %t", again, c.again)
			}
		})
	}
}

func TestAlive(t *testing.T) {
	t.Parallel()
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer first" {
			rw.WriteHeader(http.StatusTeapot)
			return
		}
		rw.WriteHeader(status)
		_ = json.NewEncoder(rw).Encode(doc{"client_id": "x", "registration_access_token": "second", "client_secret": "new"})
	}))
	t.Cleanup(s.Close)
	for _, c := range []struct {
		status  int
		alive   bool
		unknown bool
	}{{200, true, false}, {401, false, false}, {403, false, false}, {404, false, false}, {400, false, true}, {500, false, true}, {503, false, true}} {
		status = c.status
		client := &register.Client{ID: "x", ManageURI: s.URL + "/x", ManageToken: "first"}
		alive, err := register.Alive(t.Context(), s.Client(), client)
		if alive != c.alive || (err != nil) != c.unknown {
			t.Errorf("%d: %t, error %v", c.status, alive, err)
		}
		if alive && (client.ManageToken != "second" || client.Secret != "new") {
			t.Error("what the server gave was not taken")
		}
	}
	if _, err := register.Alive(t.Context(), s.Client(), &register.Client{ID: "x"}); !errors.Is(err, register.ErrUnknown) {
		t.Errorf("error %v", err)
	}
}

func TestClientHidesItsSecrets(t *testing.T) {
	t.Parallel()
	c := register.Client{ID: "x", Secret: "CANARY", ManageToken: "CANARY"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(verb+verb+verb, c, &c, []register.Client{c}); strings.Contains(text, "CANARY") || !strings.Contains(text, "x") {
			t.Errorf("%s: %s", verb, text)
		}
	}
}
