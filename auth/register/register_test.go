package register_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/plait-mcp/plait/auth/authtest"
	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/auth/register"
	"github.com/plait-mcp/plait/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const callback = "http://127.0.0.1:33419/callback"

type doc = map[string]any

// registrar is the registration endpoint of an authorization server.
type registrar struct {
	*httptest.Server

	answer func(asked doc) (status int, answer any)

	mu     sync.Mutex
	asked  []doc
	tokens []string
}

func newRegistrar(tb testing.TB, answer func(asked doc) (int, any)) *registrar {
	tb.Helper()
	r := &registrar{answer: answer}
	r.Server = httptest.NewServer(r)
	tb.Cleanup(r.Close)
	return r
}

func (r *registrar) ServeHTTP(rw http.ResponseWriter, q *http.Request) {
	var asked doc
	if err := json.NewDecoder(q.Body).Decode(&asked); err != nil || q.Method != http.MethodPost || q.Header.Get("Content-Type") != "application/json" {
		rw.WriteHeader(http.StatusTeapot)
		return
	}
	r.mu.Lock()
	r.asked = append(r.asked, asked)
	r.tokens = append(r.tokens, q.Header.Get("Authorization"))
	r.mu.Unlock()
	status, answer := r.answer(asked)
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	if text, ok := answer.(string); ok {
		_, _ = rw.Write([]byte(text))
		return
	}
	_ = json.NewEncoder(rw).Encode(answer)
}

// accept takes any registration, and says the same and some more.
func accept(more doc) func(doc) (int, any) {
	return func(asked doc) (int, any) {
		answer := maps.Clone(asked)
		answer["client_id"] = "new"
		maps.Copy(answer, more)
		maps.DeleteFunc(answer, func(_ string, v any) bool { return v == nil })
		return http.StatusCreated, answer
	}
}

// refuse refuses for one reason as long as that is there.
func refuse(while func(doc) bool, status int, answer any) func(doc) (int, any) {
	return func(asked doc) (int, any) {
		if while(asked) {
			return status, answer
		}
		return accept(nil)(asked)
	}
}

func has(name string) func(doc) bool { return func(d doc) bool { _, ok := d[name]; return ok } }

func (r *registrar) request(change func(*register.Request)) register.Request {
	req := register.Request{
		HTTP: r.Client(), RedirectURI: callback, Scopes: []string{"a", "b"}, Identity: &config.Identity{ClientName: "plait", Grant: config.GrantAuthorizationCode},
		Found: &discovery.Metadata{Issuer: r.URL, RegistrationEndpoint: r.URL + "/register"},
	}
	if change != nil {
		change(&req)
	}
	return req
}

func wantError[E error](tb testing.TB, err error, words ...string) E {
	tb.Helper()
	e, ok := errors.AsType[E](err)
	if !ok {
		tb.Fatalf("error %T %v, want %T", err, err, e)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			tb.Errorf("error %q says nothing of %q", err, word)
		}
	}
	return e
}

// A9, A11, A10, A4: who was registered by hand, then the document, then a registration, then a person.
func TestA9RegistrationOrder(t *testing.T) {
	t.Parallel()
	const document = "https://plait.example/client.json"
	for name, c := range map[string]struct {
		identity config.Identity
		server   discovery.Metadata
		kind     register.Kind // "" is nobody
		id       string
	}{
		"by hand":                         {config.Identity{ClientID: "mine", ClientMetadataURL: document}, discovery.Metadata{ClientIDMetadataDocument: true, RegistrationEndpoint: "/r"}, register.Static, "mine"},
		"document":                        {config.Identity{ClientMetadataURL: document}, discovery.Metadata{ClientIDMetadataDocument: true, RegistrationEndpoint: "/r"}, register.Document, document},
		"document, not read":              {config.Identity{ClientMetadataURL: document}, discovery.Metadata{RegistrationEndpoint: "/r"}, register.Dynamic, "new"},
		"document, said so":               {config.Identity{ClientMetadataURL: document, Registration: "cimd"}, discovery.Metadata{RegistrationEndpoint: "/r"}, register.Document, document},
		"no document":                     {config.Identity{}, discovery.Metadata{ClientIDMetadataDocument: true, RegistrationEndpoint: "/r"}, register.Dynamic, "new"},
		"dynamic, said so":                {config.Identity{ClientMetadataURL: document, Registration: "dynamic"}, discovery.Metadata{ClientIDMetadataDocument: true, RegistrationEndpoint: "/r"}, register.Dynamic, "new"},
		"by hand, said so, without one":   {config.Identity{Registration: "static"}, discovery.Metadata{RegistrationEndpoint: "/r"}, "", ""},
		"document, said so, without one":  {config.Identity{Registration: "cimd"}, discovery.Metadata{ClientIDMetadataDocument: true, RegistrationEndpoint: "/r"}, "", ""},
		"nothing":                         {config.Identity{}, discovery.Metadata{}, "", ""},
		"no person: never dynamic":        {config.Identity{Grant: config.GrantClientCredentials}, discovery.Metadata{RegistrationEndpoint: "/r"}, "", ""},
		"an assertion needs none":         {config.Identity{Grant: config.GrantJWTBearer}, discovery.Metadata{}, register.Static, ""},
		"enterprise: a document will do":  {config.Identity{Grant: config.GrantEnterprise, ClientMetadataURL: document}, discovery.Metadata{ClientIDMetadataDocument: true}, register.Document, document},
		"device: a registration, as well": {config.Identity{Grant: config.GrantDeviceCode}, discovery.Metadata{RegistrationEndpoint: "/r"}, register.Dynamic, "new"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRegistrar(t, accept(nil))
			client, err := register.Resolve(t.Context(), r.request(func(req *register.Request) {
				req.Identity, req.Found = &c.identity, &c.server
				req.Found.Issuer = r.URL
				if req.Found.RegistrationEndpoint != "" {
					req.Found.RegistrationEndpoint = r.URL
				}
			}))
			if c.kind == "" {
				wantError[*register.NoClientError](t, err, "set clientId", callback)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if client.Kind != c.kind || client.ID != c.id || client.Issuer != r.URL || client.RedirectURI != callback {
				t.Errorf("client %+v: kind %s, redirect URI %s", client, client.Kind, client.RedirectURI)
			}
			if asked := len(r.asked) > 0; asked != (c.kind == register.Dynamic) {
				t.Errorf("registered: %t", asked)
			}
		})
	}
}

func TestM8NoWayToRegister(t *testing.T) {
	t.Parallel()
	r := newRegistrar(t, func(doc) (int, any) { return http.StatusNotFound, "no" })
	_, err := register.Resolve(t.Context(), r.request(nil))
	wantError[*register.NoClientError](t, err, r.URL, callback, "set clientId")
	_, err = register.Resolve(t.Context(), r.request(func(req *register.Request) {
		req.Found = &discovery.Metadata{Issuer: "https://github.com/login/oauth"}
	}))
	wantError[*register.NoClientError](t, err, "github.com/settings/developers")
}

func TestA10ClientIDMetadataDocument(t *testing.T) {
	t.Parallel()
	for url, ok := range map[string]bool{
		"https://plait.example/client.json": true, "https://plait.example/a/b?c": true,
		"https://plait.example": false, "https://plait.example/": false, "http://plait.example/client.json": false,
		"https://plait.example/x#y": false, "https://u@plait.example/x": false, "plait": false,
	} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			client, err := register.Resolve(t.Context(), register.Request{
				Identity: &config.Identity{ClientMetadataURL: url}, Found: &discovery.Metadata{Issuer: "https://as.example", ClientIDMetadataDocument: true}, RedirectURI: callback,
			})
			if !ok {
				wantError[*register.DocumentError](t, err, "https:// with a path")
				return
			}
			if err != nil || client.ID != url || client.Method != "none" {
				t.Errorf("client %v, error %v", client, err)
			}
		})
	}
	client, err := register.Resolve(t.Context(), register.Request{
		Identity: &config.Identity{ClientMetadataURL: "https://plait.example/c", Auth: config.ClientAuth{Key: "pem"}},
		Found:    &discovery.Metadata{Issuer: "https://as.example", ClientIDMetadataDocument: true},
	})
	if err != nil || client.Method != "private_key_jwt" {
		t.Errorf("client %v, error %v", client, err)
	}
}

func TestA11StaticClient(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		identity config.Identity
		offered  []string
		want     string
	}{
		"no secret":        {config.Identity{}, nil, "none"},
		"secret":           {config.Identity{ClientSecret: "s"}, nil, "client_secret_basic"},
		"both":             {config.Identity{ClientSecret: "s"}, []string{"client_secret_post", "client_secret_basic"}, "client_secret_basic"},
		"post only":        {config.Identity{ClientSecret: "s"}, []string{"none", "client_secret_post"}, "client_secret_post"},
		"said so":          {config.Identity{ClientSecret: "s", Auth: config.ClientAuth{Method: "client_secret_post"}}, []string{"client_secret_basic"}, "client_secret_post"},
		"key":              {config.Identity{ClientSecret: "s", Auth: config.ClientAuth{Key: "k"}}, nil, "private_key_jwt"},
		"certificate":      {config.Identity{Auth: config.ClientAuth{Cert: "c"}}, nil, "tls_client_auth"},
		"none, with a key": {config.Identity{Auth: config.ClientAuth{Method: "none", Key: "k"}}, nil, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.identity.ClientID = "mine"
			client, err := register.Resolve(t.Context(), register.Request{Identity: &c.identity, Found: &discovery.Metadata{Issuer: "https://as.example", AuthMethods: c.offered}})
			if err != nil || client.Method != c.want || client.ID != "mine" || client.Secret != c.identity.ClientSecret.Reveal() {
				t.Errorf("client %v with %s, error %v", client, client.Method, err)
			}
		})
	}
	t.Run("goes to no other server", func(t *testing.T) {
		t.Parallel()
		req := register.Request{
			Identity: &config.Identity{ClientID: "mine", ClientSecret: "s"}, Found: &discovery.Metadata{Issuer: "https://new.example"},
			Known: &register.Client{Kind: register.Static, ID: "mine", Issuer: "https://old.example"},
		}
		_, err := register.Resolve(t.Context(), req)
		wantError[*register.MovedError](t, err, "https://old.example", "https://new.example", "set issuer")
		req.Identity = &config.Identity{ClientID: "mine", Issuer: "https://new.example"}
		if _, err := register.Resolve(t.Context(), req); err != nil {
			t.Error(err)
		}
	})
}

// rfc7591 are the members that a registration may have (section 2), and that of OpenID Connect which MCP demands.
var rfc7591 = []string{
	"redirect_uris", "token_endpoint_auth_method", "grant_types", "response_types", "client_name", "client_uri", "logo_uri", "scope", "contacts",
	"tos_uri", "policy_uri", "jwks_uri", "jwks", "software_id", "software_version", "application_type",
}

func TestB4ApplicationType(t *testing.T) {
	t.Parallel()
	r := newRegistrar(t, accept(nil))
	if _, err := register.Resolve(t.Context(), r.request(nil)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(doc{
		"client_name": "plait", "application_type": "native", "redirect_uris": []any{callback}, "scope": "a b",
		"grant_types": []any{"authorization_code", "refresh_token"}, "response_types": []any{"code"}, "token_endpoint_auth_method": "none",
	}, r.asked[0]); d != "" {
		t.Errorf("registration (-want +got):\n%s", d)
	}
	for name := range r.asked[0] {
		if !slices.Contains(rfc7591, name) {
			t.Errorf("member %s is not of RFC 7591", name)
		}
	}
	t.Run("device", func(t *testing.T) {
		t.Parallel()
		r := newRegistrar(t, accept(nil))
		if _, err := register.Resolve(t.Context(), r.request(func(req *register.Request) {
			req.Identity.Grant, req.RedirectURI, req.Scopes = config.GrantDeviceCode, "", nil
		})); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(doc{
			"client_name": "plait", "application_type": "native", "response_types": []any{}, "token_endpoint_auth_method": "none",
			"grant_types": []any{"urn:ietf:params:oauth:grant-type:device_code", "refresh_token"},
		}, r.asked[0]); d != "" {
			t.Errorf("registration (-want +got):\n%s", d)
		}
	})
	t.Run("what the configuration says wins", func(t *testing.T) {
		t.Parallel()
		r := newRegistrar(t, accept(nil))
		if _, err := register.Resolve(t.Context(), r.request(func(req *register.Request) {
			req.Identity.ClientMetadata = map[string]any{"client_name": "ours", "scope": "x", "software_id": "7"}
		})); err != nil {
			t.Fatal(err)
		}
		if a := r.asked[0]; a["client_name"] != "ours" || a["scope"] != "x" || a["software_id"] != "7" || a["application_type"] != "native" {
			t.Errorf("asked for %v", a)
		}
	})
}

// TestA4Registration is about what the server makes of it.
func TestA4Registration(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		offered []string
		more    doc
		asked   string // the method
		want    register.Client
	}{
		"public":                       {[]string{"none"}, nil, "none", register.Client{Method: "none"}},
		"silent":                       {nil, nil, "none", register.Client{Method: "none"}},
		"public and a secret":          {[]string{"none"}, doc{"client_secret": "s"}, "none", register.Client{Method: "none", Secret: "s"}},
		"none is not offered":          {[]string{"client_secret_basic"}, doc{"client_secret": "s"}, "client_secret_basic", register.Client{Method: "client_secret_basic", Secret: "s"}},
		"post is all that is offered":  {[]string{"client_secret_post"}, doc{"client_secret": "s"}, "client_secret_post", register.Client{Method: "client_secret_post", Secret: "s"}},
		"keys are all that is offered": {[]string{"private_key_jwt"}, nil, "none", register.Client{Method: "none"}},
		"the server decides":           {nil, doc{"client_secret": "s", "token_endpoint_auth_method": "client_secret_post"}, "none", register.Client{Method: "client_secret_post", Secret: "s"}},
		"a secret and no word of it":   {nil, doc{"client_secret": "s", "token_endpoint_auth_method": nil}, "none", register.Client{Method: "client_secret_basic", Secret: "s"}},
		"the same, but none is fine":   {[]string{"none"}, doc{"client_secret": "s", "token_endpoint_auth_method": nil}, "none", register.Client{Method: "none", Secret: "s"}},
		"no secret and no word of it":  {[]string{"client_secret_post"}, doc{"token_endpoint_auth_method": nil}, "client_secret_post", register.Client{Method: "none"}},
		"an end":                       {nil, doc{"client_secret": "s", "token_endpoint_auth_method": "client_secret_post", "client_secret_expires_at": 4102444800}, "none", register.Client{Method: "client_secret_post", Secret: "s", SecretExpires: time.Unix(4102444800, 0).UTC()}},
		"an end that is a text":        {nil, doc{"client_secret": "s", "client_secret_expires_at": "4102444800", "token_endpoint_auth_method": "client_secret_post"}, "none", register.Client{Method: "client_secret_post", Secret: "s", SecretExpires: time.Unix(4102444800, 0).UTC()}},
		"no end":                       {nil, doc{"client_secret": "s", "client_secret_expires_at": 0}, "none", register.Client{Method: "none", Secret: "s"}},
		"fewer scopes":                 {nil, doc{"scope": "a"}, "none", register.Client{Method: "none", Scope: "a"}},
		"management elsewhere":         {nil, doc{"registration_client_uri": "https://evil.example/x", "registration_access_token": "t"}, "none", register.Client{Method: "none"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRegistrar(t, accept(c.more))
			client, err := register.Resolve(t.Context(), r.request(func(req *register.Request) { req.Found.AuthMethods = c.offered }))
			if err != nil {
				t.Fatal(err)
			}
			if got := r.asked[0]["token_endpoint_auth_method"]; got != c.asked {
				t.Errorf("asked for %v", got)
			}
			c.want.Issuer, c.want.ID, c.want.Kind, c.want.RedirectURI, c.want.Asked = r.URL, "new", register.Dynamic, callback, client.Asked
			if c.want.Scope == "" {
				c.want.Scope = "a b"
			}
			if client.IssuedAt.IsZero() || client.Asked == "" {
				t.Error("nobody knows when, or what for")
			}
			client.IssuedAt = time.Time{}
			if *client != c.want {
				t.Errorf("client %#v, method %s, expires %s, scope %s", client, client.Method, client.SecretExpires, client.Scope)
			}
		})
	}
}

func TestM11RegistrationRefused(t *testing.T) {
	t.Parallel()
	isNumber := func(d doc) bool { return strings.Contains(fmt.Sprint(d["redirect_uris"]), "127.0.0.1") }
	for name, c := range map[string]struct {
		answer   func(doc) (int, any)
		identity func(*config.Identity)
		want     string // of the redirect URI; "" is refused
		asked    int
	}{
		"redirect URI":        {refuse(isNumber, 400, doc{"error": "invalid_redirect_uri", "error_description": "no numbers"}), nil, "http://localhost:33419/callback", 2},
		"redirect URI, named": {refuse(isNumber, 400, doc{"error": "invalid_client_metadata", "error_description": "redirect_uris must be localhost"}), nil, "http://localhost:33419/callback", 2},
		"application type":    {refuse(has("application_type"), 400, doc{"error": "invalid_client_metadata", "error_description": `Unrecognized field "application_type"`}), nil, callback, 2},
		"scope":               {refuse(has("scope"), 400, doc{"error": "invalid_client_metadata", "error_description": "Not permitted to use specified clientScope"}), nil, callback, 2},
		"all three": {func(d doc) (int, any) {
			switch {
			case has("scope")(d):
				return 400, doc{"error": "invalid_scope"}
			case has("application_type")(d):
				return 422, doc{"message": "unknown member application_type"}
			}
			return refuse(isNumber, 400, doc{"error": "invalid_redirect_uri"})(d)
		}, nil, "http://localhost:33419/callback", 4},
		"for ever": {func(doc) (int, any) {
			return 400, doc{"error": "invalid_redirect_uri", "error_description": "redirect_uri scope application_type"}
		}, nil, "", 4},
		"something else": {func(doc) (int, any) {
			return 400, doc{"error": "invalid_client_metadata", "error_description": "bad moon"}
		}, nil, "", 1},
		"a page": {func(doc) (int, any) { return 400, "<!doctype html>" }, nil, "", 1},
		"the configured redirect URI": {
			refuse(isNumber, 400, doc{"error": "invalid_redirect_uri"}), func(id *config.Identity) { id.RedirectURI = callback }, "", 1,
		},
		"the configured scope": {
			refuse(has("scope"), 400, doc{"error": "invalid_scope"}), func(id *config.Identity) { id.ClientMetadata = map[string]any{"scope": "x"} }, "", 1,
		},
		"no client id": {func(doc) (int, any) { return 201, doc{"ok": true} }, nil, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRegistrar(t, c.answer)
			client, err := register.Resolve(t.Context(), r.request(func(req *register.Request) {
				if c.identity != nil {
					c.identity(req.Identity)
				}
			}))
			if len(r.asked) != c.asked {
				t.Errorf("asked %d times, want %d", len(r.asked), c.asked)
			}
			if c.want == "" {
				wantError[*register.RefusedError](t, err, "refuses the registration", "set clientId")
				return
			}
			if err != nil || client.RedirectURI != c.want {
				t.Errorf("client %v with %v, error %v", client, client, err)
			}
		})
	}
	t.Run("the description is shown, and nothing else of it", func(t *testing.T) {
		t.Parallel()
		r := newRegistrar(t, func(doc) (int, any) {
			return 400, doc{"error": "invalid_client_metadata", "error_description": "bad\x1b[31m moon\n" + strings.Repeat("x", 500)}
		})
		_, err := register.Resolve(t.Context(), r.request(nil))
		wantError[*register.RefusedError](t, err, `"bad[31m moonxxx`)
		if len(err.Error()) > 500 || strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("error %q", err)
		}
	})
}

func TestM12InitialAccessToken(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403} {
		r := newRegistrar(t, func(doc) (int, any) { return status, doc{"error": "invalid_token"} })
		_, err := register.Resolve(t.Context(), r.request(nil))
		wantError[*register.TokenRequiredError](t, err, "set registrationToken")
		_, err = register.Resolve(t.Context(), r.request(func(req *register.Request) { req.Identity.RegistrationToken = "CANARY" }))
		wantError[*register.TokenRequiredError](t, err, "correct registrationToken")
		if strings.Contains(err.Error(), "CANARY") {
			t.Error(err)
		}
		if d := cmp.Diff([]string{"", "Bearer CANARY"}, r.tokens); d != "" {
			t.Errorf("tokens (-want +got):\n%s", d)
		}
	}
	t.Run("oidc-provider", func(t *testing.T) {
		t.Parallel()
		s := authtest.Start(t, "AS_DCR_TOKEN=initial")
		id := &config.Identity{ClientName: "plait", Registration: "dynamic"}
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		req := register.Request{HTTP: &http.Client{Transport: transport}, Found: found(t, s, id), Identity: id, RedirectURI: callback}
		_, err := register.Resolve(t.Context(), req)
		wantError[*register.TokenRequiredError](t, err, "registrationToken")
		id.RegistrationToken = "initial"
		if _, err := register.Resolve(t.Context(), req); err != nil {
			t.Error(err)
		}
	})
}

func TestM45RegistrationRedirect(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the registration went elsewhere") }))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/x?q=CANARY", status))
		t.Cleanup(s.Close)
		_, err := register.Resolve(t.Context(), register.Request{
			HTTP: s.Client(), Identity: &config.Identity{RegistrationToken: "t"}, RedirectURI: callback,
			Found: &discovery.Metadata{Issuer: s.URL, RegistrationEndpoint: s.URL + "/register"},
		})
		wantError[*register.RedirectError](t, err, s.URL+"/register", "redirects to "+elsewhere.URL+"/x:", "registrationEndpoint")
		if strings.Contains(err.Error(), "CANARY") {
			t.Error(err)
		}
	}
}

// TestRegistrationUnavailable: trouble is no refusal.
func TestRegistrationUnavailable(t *testing.T) {
	t.Parallel()
	for _, status := range []int{429, 500, 502, 503} {
		r := newRegistrar(t, func(doc) (int, any) { return status, "oops" })
		_, err := register.Resolve(t.Context(), r.request(nil))
		wantError[*discovery.UnavailableError](t, err, strconv.Itoa(status))
	}
	r := newRegistrar(t, accept(nil))
	r.Close()
	_, err := register.Resolve(t.Context(), r.request(nil))
	wantError[*discovery.UnavailableError](t, err, "cannot be reached")
}
