package grant

import (
	"context"
	"errors"
	"net/url"
)

// ErrNoRevocation is what Revoke returns when the server has no way to revoke tokens.
var ErrNoRevocation = errors.New("the authorization server cannot revoke tokens")

// Revoke has the server forget a token (RFC 7009). hint is refresh_token, access_token or "". A token that the
// server does not know is revoked already.
func (e *Endpoint) Revoke(ctx context.Context, token, hint string) error {
	to := e.endpoint("revocation_endpoint", e.Identity.RevocationEndpoint, e.Metadata.RevocationEndpoint)
	if to == "" {
		return ErrNoRevocation
	}
	params := url.Values{"token": {token}}
	set(params, "token_type_hint", hint)
	_, err := e.post(ctx, request{op: opRevoke, endpoint: to, params: params})
	return err
}
