package grant

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/plait-mcp/plait/config"
)

// The names that RFC 7523, RFC 8693 and the enterprise extension of MCP have for grants and tokens.
const (
	urnJWT      = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	urnExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	urnIdentity = "urn:ietf:params:oauth:token-type:id_token"
	urnIDJAG    = "urn:ietf:params:oauth:token-type:id-jag"
)

// refreshPause is how long Refresh waits before it asks again.
const refreshPause = 2 * time.Second

// Refresh gives a refresh token for a token (RFC 6749 section 6). The token has the old refresh token when the
// server gives no new one. scopes are those that were asked for, not those that were granted: Entra ID needs them
// and takes no others. None leaves `scope` out, and "" `resource`.
//
// When the network loses the answer, nobody knows whether the refresh token is spent: it is sent once more, after
// two seconds. Any other error is told at once.
func (e *Endpoint) Refresh(ctx context.Context, refreshToken string, scopes []string, resource string) (*Token, error) {
	ask := func() (*Token, error) {
		params := asked("refresh_token", scopes, resource)
		params.Set("refresh_token", refreshToken)
		return e.token(ctx, request{params: params, finish: true})
	}
	t, err := ask()
	var lost *Error
	if !errors.As(err, &lost) || !lost.MaybeSpent || lost.Status != 0 {
		return t, err
	}
	pause := time.NewTimer(refreshPause)
	defer pause.Stop()
	select {
	case <-pause.C:
		return ask()
	case <-ctx.Done():
		return nil, err
	}
}

// ClientCredentials gets a token for the client itself (RFC 6749 section 4.4).
func (e *Endpoint) ClientCredentials(ctx context.Context, scopes []string, resource string) (*Token, error) {
	params := asked("client_credentials", scopes, resource)
	set(params, "audience", e.Identity.Audience)
	return e.token(ctx, request{params: params})
}

// JWTBearer gives the identity's assertion for a token (RFC 7523 section 2.1). The client may have no id: the assertion
// says who it is.
func (e *Endpoint) JWTBearer(ctx context.Context, scopes []string, resource string) (*Token, error) {
	assertion, err := e.assert(ctx, "assertion", e.Identity.Assertion)
	if err != nil {
		return nil, err
	}
	params := asked(urnJWT, scopes, resource)
	params.Set("assertion", assertion)
	return e.token(ctx, request{params: params})
}

// TokenExchange gives the identity's subject token for another token (RFC 8693).
func (e *Endpoint) TokenExchange(ctx context.Context, scopes []string, resource string) (*Token, error) {
	subject, err := e.assert(ctx, "subject", e.Identity.Subject)
	if err != nil {
		return nil, err
	}
	params := asked(urnExchange, scopes, resource)
	params.Set("subject_token", subject)
	params.Set("subject_token_type", e.Identity.SubjectTokenType)
	set(params, "requested_token_type", e.Identity.RequestedTokenType)
	set(params, "audience", e.Identity.Audience)
	return e.token(ctx, request{params: params})
}

// Subject is the token that stands for a person at an identity provider.
type Subject struct {
	Token string // "" fetches the one that the identity names, idp.idToken
	Type  string // of RFC 8693 section 3; "" is that of the identity, else an ID token
}

// Enterprise gets a token at e for a person whom the identity provider idp knows: it exchanges the person's ID token for
// an assertion that the provider allows it (ID-JAG), and that for a token (the MCP extension
// io.modelcontextprotocol/enterprise-managed-authorization).
func (e *Endpoint) Enterprise(ctx context.Context, idp *Endpoint, who Subject, want Want) (*Token, error) {
	given := e.Identity.IDP
	if given == nil {
		return nil, &SetupError{Key: "idp", Err: errors.New("the grant enterprise needs one; set it")}
	}
	if who.Token == "" {
		token, err := idp.assert(ctx, "idp.idToken", given.IDToken)
		if err != nil {
			return nil, err
		}
		who.Token = token
	}
	params := asked(urnExchange, want.Scopes, want.Resource)
	params.Set("requested_token_type", urnIDJAG)
	params.Set("audience", e.Metadata.Issuer)
	params.Set("subject_token", who.Token)
	params.Set("subject_token_type", cmp.Or(who.Type, given.SubjectTokenType, urnIdentity))
	jag, err := idp.token(ctx, request{params: params})
	if err != nil {
		return nil, err
	}
	if jag.Issued != "" && jag.Issued != urnIDJAG {
		return nil, fmt.Errorf("the identity provider issued a token of another type than an ID-JAG: %q", clean(jag.Issued, nil))
	}
	params = asked(urnJWT, want.Scopes, "")
	params.Set("assertion", jag.Access)
	return e.token(ctx, request{params: params})
}

// Want is what a token is asked for.
type Want struct {
	Scopes   []string // none leaves `scope` out
	Resource string   // of RFC 8707; "" leaves it out
}

// asked returns the parameters of a token request.
func asked(grantType string, scopes []string, resource string) url.Values {
	params := url.Values{"grant_type": {grantType}}
	set(params, "scope", joinScopes(scopes))
	set(params, "resource", resource)
	return params
}

func joinScopes(scopes []string) string { return strings.Join(scopes, " ") }

// addTokenParams adds what the identity wants in every token request.
func (e *Endpoint) addTokenParams(params url.Values) error {
	for name, value := range e.Identity.TokenParams {
		if isOurs(name) {
			return &SetupError{Key: "tokenParams", Err: fmt.Errorf("%s is set by plait; remove it", name)}
		}
		params.Set(name, value.Reveal())
	}
	return nil
}

// assert gets an assertion of the identity, which is in the key of that name.
func (e *Endpoint) assert(ctx context.Context, key string, a config.Assertion) (string, error) {
	if a.From == "" {
		return "", &SetupError{Key: key, Err: errors.New("this grant needs one; set where it comes from")}
	}
	if a.Audience == "" {
		a.Audience = e.Metadata.Issuer
	}
	text, err := Assert(ctx, Source{Assertion: a, Dir: e.Identity.Dir, LookupEnv: e.LookupEnv, HTTP: e.HTTP})
	if err != nil {
		return "", sourceError(ctx, key, err)
	}
	e.learn(text)
	return text, nil
}

// sourceError says that nothing came from where the key says; what the network did on the way is told apart.
func sourceError(ctx context.Context, key string, err error) error {
	if _, ok := errors.AsType[*Error](err); ok || ctx.Err() != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return &SetupError{Key: key, Err: err}
}
