package discovery

import (
	"context"
	"errors"
	"net/http"
)

// legacy finds the authorization server of a server that names none: in MCP 2025-03-26 a server is its own, at its
// origin, with metadata, or at default endpoints.
func (r *run) legacy(ctx context.Context) (*Metadata, error) {
	issuer := origin(r.server)
	m, err := r.metadata(ctx, issuer)
	if err == nil {
		return r.use(m)
	}
	if missing, ok := errors.AsType[*MetadataError](err); !ok || missing.Issuer != issuer {
		return nil, err
	}
	there, err := r.hasDefaults(ctx, issuer)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, &NotOAuthError{Scheme: r.Challenge.Scheme}
	}
	r.keep.atMost(0)
	return r.use(&Metadata{
		Issuer:                issuer,
		AuthorizationEndpoint: issuer + "/authorize",
		TokenEndpoint:         issuer + "/token",
		RegistrationEndpoint:  issuer + "/register",
		CodeChallengeMethods:  []string{"S256"}, // that version demands it of all
	})
}

// hasDefaults tells whether a server has the default endpoints of MCP 2025-03-26, as far as one can tell: it wants
// bearer tokens or does not say what, it is certain that it has no metadata, and still something is at /authorize.
// What answers the same for any address, or guards all of them, has therefore none. Whether it is OAuth is seen at the
// registration. legacyDiscovery says that it has them.
func (r *run) hasDefaults(ctx context.Context, issuer string) (bool, error) {
	const name = "default endpoints"
	step := func(result, detail string) {
		r.step(Step{Name: name, URL: issuer, Result: result, Detail: detail, Key: "legacyDiscovery"})
	}
	switch {
	case r.Identity.LegacyDiscovery:
		step(Configured, "those of MCP 2025-03-26")
		return true, nil
	case r.Challenge.Scheme != "" && !r.Challenge.HasScheme("Bearer"):
		step(Missing, "the server asks for "+quoteShort(r.Challenge.Scheme))
		return false, nil
	case !isInteractive(r.Identity.Grant) || !r.absent:
		step(Missing, "not looked for: the server does not answer as one that has them")
		return false, nil
	}
	status, err := r.look(ctx, issuer+"/authorize")
	if err != nil {
		step(Unavailable, err.Error())
		return false, err
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone,
		http.StatusNotImplemented:
		step(Missing, "nothing is at /authorize")
		return false, nil
	}
	step(OK, "no metadata, but something is at /authorize: /authorize, /token and /register of MCP 2025-03-26")
	return true, nil
}

// look returns the status of a page that is not needed itself, nor where it leads.
func (r *run) look(ctx context.Context, address string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, WithoutURL(err)
	}
	client := *r.HTTP
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Jar = nil
	response, err := client.Do(request)
	if err != nil {
		return 0, unreachable(address, err)
	}
	defer response.Body.Close()
	if isTemporary(response.StatusCode) {
		return 0, &UnavailableError{URL: show(address), Status: response.StatusCode, RetryAfter: RetryAfter(response.Header)}
	}
	return response.StatusCode, nil
}
