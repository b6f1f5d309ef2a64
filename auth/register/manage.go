package register

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"github.com/plait-mcp/plait/auth/discovery"
)

// ErrUnknown says that there is no way to ask whether a client is still registered.
var ErrUnknown = errors.New("the authorization server cannot be asked whether the client is still registered")

// manageable tells whether the address of a registration is one to send its token to: https, or like the endpoint
// where it was made, and on that host.
func manageable(uri, endpoint string) bool {
	u, err := url.Parse(uri)
	if err != nil {
		return false
	}
	e, err := url.Parse(endpoint)
	return err == nil && u.Host != "" && u.Host == e.Host && (u.Scheme == "https" || u.Scheme == e.Scheme) && u.User == nil
}

// Alive asks the server whether it still knows a client (RFC 7592, section 2.1). An error means that nobody knows:
// ErrUnknown if it cannot be asked, else a discovery.UnavailableError and such. A server may give the registration a
// new token with its answer: then c is changed, and the caller saves it.
func Alive(ctx context.Context, hc *http.Client, c *Client) (bool, error) {
	if c.ManageURI == "" || c.ManageToken == "" {
		return false, ErrUnknown
	}
	ctx, cancel := context.WithTimeout(ctx, discovery.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.ManageURI, nil)
	if err != nil {
		return false, ErrUnknown
	}
	request.Header.Set("Authorization", "Bearer "+c.ManageToken)
	request.Header.Set("Accept", "application/json")
	status, body, err := send(hc, request)
	if err != nil {
		return false, err
	}
	switch status {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		return false, nil
	default:
		return false, &discovery.UnavailableError{URL: show(c.ManageURI), Status: status}
	}
	var a answer
	if json.Unmarshal(body, &a) == nil && a.ID == c.ID {
		if a.ManageToken != "" {
			c.ManageToken = a.ManageToken
		}
		if a.Secret != "" {
			c.Secret = a.Secret
		}
	}
	return true, nil
}

// checkDocument tells what is wrong with the address of a Client ID Metadata Document (MCP, "Client ID Metadata
// Documents"): it is https and has a path.
func checkDocument(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path == "" || u.Path == "/" || u.Fragment != "" || u.User != nil {
		return &DocumentError{URL: show(text)}
	}
	return nil
}

// DocumentError says that an address cannot be that of a Client ID Metadata Document.
type DocumentError struct{ URL string }

// Error implements error.
func (e *DocumentError) Error() string {
	return "clientMetadataUrl " + e.URL + " cannot be a client id: write a URL of https:// with a path"
}
