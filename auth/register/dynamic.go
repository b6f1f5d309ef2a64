package register

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/config"
)

// deviceGrant is the grant type of RFC 8628.
const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// members returns what a registration asks for: members of RFC 7591, and application_type, which MCP demands
// ("Application Type"); some servers refuse all others. Those of the configuration win.
func (r Request) members() map[string]any {
	id := r.Identity
	m := map[string]any{
		"client_name":                id.ClientName,
		"application_type":           "native",
		"grant_types":                []string{"authorization_code", "refresh_token"},
		"token_endpoint_auth_method": r.method(),
	}
	if id.Grant == config.GrantDeviceCode {
		m["grant_types"] = []string{deviceGrant, "refresh_token"}
		m["response_types"] = []string{}
	} else {
		m["response_types"] = []string{"code"}
	}
	if r.RedirectURI != "" {
		m["redirect_uris"] = []string{r.RedirectURI}
	}
	if len(r.Scopes) > 0 {
		m["scope"] = strings.Join(r.Scopes, " ")
	}
	maps.Copy(m, id.ClientMetadata)
	return m
}

// method is how the new client will prove who it is: not at all, as a program on the machine of a person, unless the
// server does not offer that.
func (r Request) method() string {
	offered := r.Found.AuthMethods
	if m := r.Identity.Auth.Method; m != "" {
		return m
	}
	if len(offered) == 0 || slices.Contains(offered, methodNone) ||
		!slices.Contains(offered, methodBasic) && !slices.Contains(offered, methodPost) {
		return methodNone
	}
	return secretMethod(offered)
}

// fingerprint is that of what the configuration has plait ask for. It leaves out what differs from time to time.
func (r Request) fingerprint() string {
	m := r.members()
	delete(m, "redirect_uris")
	delete(m, "scope")
	text, _ := json.Marshal(m) // of JSON, in the order of the keys
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// dynamic registers a client. What the server names as the reason of a refusal is changed, each thing once.
func (r Request) dynamic(ctx context.Context) (*Client, error) {
	members := r.members()
	fixes := r.fixes()
	for {
		client, err := r.register(ctx, members)
		refused, ok := errors.AsType[*RefusedError](err)
		if !ok {
			return client, err
		}
		i := slices.IndexFunc(fixes, func(f fix) bool { return f.helps(refused) && f.apply(members) })
		if i < 0 {
			return nil, err
		}
		fixes = slices.Delete(fixes, i, i+1)
	}
}

// fix is a change of a registration for what a server may not like about it.
type fix struct {
	helps func(*RefusedError) bool
	apply func(members map[string]any) bool // false: there is nothing to change
}

// fixes are those that take nothing from what a person asked for.
func (r Request) fixes() []fix {
	without := func(name string) func(map[string]any) bool {
		return func(m map[string]any) bool {
			_, there := m[name]
			_, wanted := r.Identity.ClientMetadata[name]
			if there && !wanted {
				delete(m, name)
			}
			return there && !wanted
		}
	}
	return []fix{
		{
			helps: func(e *RefusedError) bool { return e.names("application_type", "application type") },
			apply: without("application_type"),
		},
		{
			helps: func(e *RefusedError) bool {
				return e.Code == "invalid_redirect_uri" || e.names("redirect_uri", "redirect uri", "redirecturi")
			},
			apply: r.otherRedirect,
		},
		{
			// Keycloak refuses scopes that its policy does not allow to clients that nobody looked at.
			helps: func(e *RefusedError) bool { return e.Code == "invalid_scope" || e.names("scope") },
			apply: without("scope"),
		},
	}
}

// names tells whether a server's reason has one of some words in it.
func (e *RefusedError) names(words ...string) bool {
	text := strings.ToLower(e.Code + " " + e.Description)
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}

// otherRedirect takes the other name of the loopback interface, if the name was plait's choice.
func (r Request) otherRedirect(members map[string]any) bool {
	_, wanted := r.Identity.ClientMetadata["redirect_uris"]
	other := otherLoopback(r.RedirectURI)
	if wanted || r.Identity.RedirectURI != "" || other == "" {
		return false
	}
	members["redirect_uris"] = []string{other}
	return true
}

// otherLoopback returns a redirect URI of localhost for one of 127.0.0.1, and the other way round; "" for all others.
func otherLoopback(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" {
		return ""
	}
	other := map[string]string{"127.0.0.1": "localhost", "localhost": "127.0.0.1"}[u.Hostname()]
	if other == "" {
		return ""
	}
	if u.Port() != "" {
		other += ":" + u.Port()
	}
	u.Host = other
	return u.String()
}

// register sends one registration.
func (r Request) register(ctx context.Context, members map[string]any) (*Client, error) {
	body, err := json.Marshal(members)
	if err != nil {
		return nil, fmt.Errorf("write clientMetadata: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, discovery.Timeout)
	defer cancel()
	endpoint := r.Found.RegistrationEndpoint
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, &discovery.UnavailableError{URL: show(endpoint), Err: discovery.WithoutURL(err)}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	if token := r.Identity.RegistrationToken; token != "" {
		request.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	status, answer, err := send(r.HTTP, request)
	if err != nil {
		return nil, err
	}
	if status != http.StatusCreated && status != http.StatusOK {
		return nil, r.refused(status, answer)
	}
	return r.client(members, answer)
}

// send makes a request of this package and reads its answer. It follows no redirects.
func send(hc *http.Client, request *http.Request) (int, []byte, error) {
	client := *hc
	client.Jar = nil
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	at := show(request.URL.String())
	response, err := client.Do(request)
	if err != nil {
		if blocked, ok := errors.AsType[*discovery.BlockedError](err); ok {
			return 0, nil, blocked
		}
		return 0, nil, &discovery.UnavailableError{URL: at, Err: discovery.WithoutURL(err)}
	}
	defer response.Body.Close()
	switch s := response.StatusCode; {
	case s >= 300 && s < 400:
		to, err := response.Location()
		if err != nil {
			return 0, nil, &RedirectError{From: at, To: "nowhere"}
		}
		return 0, nil, &RedirectError{From: at, To: show(to.String())}
	case s == http.StatusTooManyRequests || s >= 500:
		return 0, nil, &discovery.UnavailableError{URL: at, Status: s, RetryAfter: discovery.RetryAfter(response.Header)}
	}
	body, err := discovery.ReadBody(response)
	if err != nil {
		return 0, nil, &discovery.UnavailableError{URL: at, Err: discovery.WithoutURL(err)}
	}
	return response.StatusCode, body, nil
}

// refused reads a refusal (RFC 7591, section 3.2.2), in this form or in those that are common instead.
func (r Request) refused(status int, answer []byte) error {
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		return &TokenRequiredError{Issuer: r.Found.Issuer, Status: status, Given: r.Identity.RegistrationToken != ""}
	}
	var e struct {
		Error       json.RawMessage `json:"error"`
		Description string          `json:"error_description"`
		Message     string          `json:"message"`
	}
	_ = json.Unmarshal(answer, &e) // what cannot be read has no reason in it
	refused := &RefusedError{Issuer: r.Found.Issuer, Status: status, Description: printable(e.Description)}
	if refused.Description == "" {
		refused.Description = printable(e.Message)
	}
	var code string
	if json.Unmarshal(e.Error, &code) == nil {
		refused.Code = printable(code)
	}
	if status == http.StatusNotFound || status == http.StatusMethodNotAllowed {
		return r.noClient()
	}
	return refused
}

// answer is what a server says of a new client (RFC 7591, section 3.2.1).
type answer struct {
	ID            string      `json:"client_id"`
	Secret        string      `json:"client_secret"`
	Method        string      `json:"token_endpoint_auth_method"`
	Scope         string      `json:"scope"`
	RedirectURIs  []string    `json:"redirect_uris"`
	SecretExpires json.Number `json:"client_secret_expires_at"`
	ManageURI     string      `json:"registration_client_uri"`
	ManageToken   string      `json:"registration_access_token"`
}

// client makes a client of the answer. What the server registered counts, not what it was asked.
func (r Request) client(members map[string]any, text []byte) (*Client, error) {
	var a answer
	if err := json.Unmarshal(text, &a); err != nil || a.ID == "" {
		return nil, &RefusedError{Issuer: r.Found.Issuer, Status: http.StatusOK, Description: "the answer has no client_id"}
	}
	asked, _ := members["token_endpoint_auth_method"].(string)
	c := &Client{
		Issuer: r.Found.Issuer, ID: a.ID, Secret: a.Secret, Kind: Dynamic, Method: methodAs(a, asked, r.Found.AuthMethods),
		Scope: a.Scope, Asked: r.fingerprint(), RedirectURI: redirectAs(members, r.RedirectURI), IssuedAt: time.Now().UTC().Truncate(time.Second),
	}
	if c.Scope == "" {
		c.Scope, _ = members["scope"].(string)
	}
	if seconds, err := a.SecretExpires.Float64(); err == nil && seconds > 0 && c.Secret != "" {
		c.SecretExpires = time.Unix(int64(seconds), 0).UTC()
	}
	if manageable(a.ManageURI, r.Found.RegistrationEndpoint) && a.ManageToken != "" {
		c.ManageURI, c.ManageToken = a.ManageURI, a.ManageToken
	}
	return c, nil
}

// methodAs returns how the client proves who it is. A server that does not say but gives a secret wants to see it.
func methodAs(a answer, asked string, offered []string) string {
	switch {
	case a.Method != "":
		return a.Method
	case a.Secret == "" && (asked == methodBasic || asked == methodPost):
		return methodNone
	case a.Secret == "" || asked == methodBasic || asked == methodPost:
		return asked
	case slices.Contains(offered, methodNone):
		return methodNone
	}
	return secretMethod(offered)
}

// redirectAs returns the redirect URI that the client was registered with and that plait listens on.
func redirectAs(members map[string]any, asked string) string {
	if uris, ok := members["redirect_uris"].([]string); ok && len(uris) > 0 {
		return uris[0]
	}
	return asked
}
