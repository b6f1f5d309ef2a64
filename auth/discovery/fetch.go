package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// Timeout is how long one request to an authorization server may take.
	Timeout = 10 * time.Second
	// MaxBody is how large an answer may be.
	MaxBody      = 1 << 20
	maxRedirects = 3
)

// document is what was at an address.
type document struct {
	url    string
	status int
	body   []byte
	maxAge time.Duration // how long it may be kept; negative if it does not say
}

// errNoObject says that an answer is no JSON object: often a page that is shown for any address.
var errNoObject = errors.New("is no JSON object")

// fetch gets a document. An answer that says nothing of the document itself (no connection, 429, 502 to 504) is an
// UnavailableError; any other is a document, whatever its status.
func (r *run) fetch(ctx context.Context, address string) (*document, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, &UnavailableError{URL: show(address), Err: WithoutURL(err)}
	}
	request.Header.Set("Accept", "application/json")
	client := *r.HTTP
	client.CheckRedirect = Redirect
	client.Jar = nil
	response, err := client.Do(request)
	if err != nil {
		return nil, unreachable(address, err)
	}
	defer response.Body.Close()
	if isTemporary(response.StatusCode) {
		return nil, &UnavailableError{URL: show(address), Status: response.StatusCode, RetryAfter: RetryAfter(response.Header)}
	}
	body, err := ReadBody(response)
	if err != nil {
		return nil, unreachable(address, err)
	}
	return &document{url: address, status: response.StatusCode, body: body, maxAge: maxAge(response.Header)}, nil
}

// unreachable makes an error of net/http one that shows no query. What the guard refused stays what it is.
func unreachable(address string, err error) error {
	if blocked, ok := errors.AsType[*BlockedError](err); ok {
		return blocked
	}
	return &UnavailableError{URL: show(address), Err: WithoutURL(err)}
}

// ReadBody reads an answer that may not be larger than MaxBody. It does not close it.
func ReadBody(response *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxBody+1))
	if err == nil && len(body) > MaxBody {
		err = fmt.Errorf("the answer is larger than %d MiB", MaxBody>>20)
	}
	return body, err
}

// Redirect is a CheckRedirect: it follows a few, to the same host only, and never from https to http. One of a POST is
// not followed but returned, since what it carries is for nobody else.
func Redirect(next *http.Request, via []*http.Request) error {
	first := via[0]
	if first.Method != http.MethodGet && first.Method != http.MethodHead {
		return http.ErrUseLastResponse
	}
	upgraded := first.URL.Scheme == "http" && next.URL.Scheme == "https" && first.URL.Hostname() == next.URL.Hostname()
	if !upgraded && (next.URL.Scheme != first.URL.Scheme || !strings.EqualFold(next.URL.Host, first.URL.Host)) {
		return fmt.Errorf("it redirects to %s://%s", next.URL.Scheme, next.URL.Host)
	}
	if len(via) > maxRedirects {
		return errors.New("it redirects in circles")
	}
	return nil
}

// isTemporary tells whether a status says nothing of what is at an address, only that it is not to be had now.
func isTemporary(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// isAbsent tells whether a status says that there is nothing at an address.
func (d *document) isAbsent() bool {
	switch d.status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone:
		return true
	}
	return false
}

// decode reads the JSON object that a document is.
func (d *document) decode(into any) error {
	if d.status != http.StatusOK {
		return fmt.Errorf("answers %d", d.status)
	}
	if trimmed := strings.TrimLeft(string(d.body), " \t\r\n\ufeff"); !strings.HasPrefix(trimmed, "{") {
		return errNoObject
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(string(d.body), "\ufeff")), into); err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	return nil
}

// RetryAfter reads the header Retry-After, in seconds or as a date (RFC 9110, section 10.2.3).
func RetryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil && seconds > 0 {
		return time.Duration(min(seconds, int(time.Hour/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, min(time.Until(at), time.Hour))
	}
	return 0
}

// maxAge reads how long an answer may be kept (RFC 9111): 0 for not at all, negative if it does not say.
func maxAge(h http.Header) time.Duration {
	age := time.Duration(-1)
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			if seconds, err := strconv.Atoi(strings.Trim(value, `"`)); err == nil && seconds >= 0 {
				age = time.Duration(min(seconds, int(cacheLongest/time.Second))) * time.Second
			}
		}
	}
	return age
}

// parseURL reads an absolute URL of http or https with a host and without what has no place in one of metadata.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("cannot be read")
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return nil, errors.New("is not a URL of https://")
	case u.User != nil:
		return nil, errors.New("has a user in it")
	case u.Fragment != "" || strings.HasSuffix(text, "#"):
		return nil, errors.New("has a fragment")
	}
	return u, nil
}

// origin returns the scheme and the authority of a URL, in the spelling of its text.
func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// sameOrigin tells whether two URLs have one scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}
