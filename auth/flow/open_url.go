package flow

import (
	"errors"
	"net"
	"net/url"
	"strings"
)

// inURL are the characters that RFC 3986 allows in a URL, less those that mean something to a shell. Only the
// ampersand cannot be done without; no shell sees the URL, but programs that open browsers are scripts themselves.
const inURL = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/?#[]@&=+,%"

// maxURL is how long a URL may be that is given to a browser.
const maxURL = 16 << 10

// CheckURL says why a URL of an authorization server must not be shown to a browser. It may only be https, or http
// on the loopback interface, with an ordinary host, no user, and nothing in it that a shell would act on (MCP
// security best practices, "OAuth Authorization URL Validation"; CVE-2025-6514). The error does not repeat the URL.
func CheckURL(raw string) error {
	if len(raw) > maxURL {
		return errors.New("refused to open a URL that is too long")
	}
	if i := strings.IndexFunc(raw, func(r rune) bool { return !strings.ContainsRune(inURL, r) }); i >= 0 {
		return errors.New("refused to open a URL with characters that do not belong into one")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("refused to open a URL that cannot be read")
	}
	switch {
	case u.Opaque != "" || u.Hostname() == "":
		return errors.New("refused to open a URL without a host")
	case u.User != nil:
		return errors.New("refused to open a URL with a user in it")
	case u.Scheme == "https":
	case u.Scheme != "http":
		return errors.New("refused to open a URL that is neither https nor http")
	case !isLoopback(u.Hostname()):
		return errors.New("refused to open an http URL that is not on this machine")
	}
	return nil
}

// isLoopback reports whether host means this machine.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
