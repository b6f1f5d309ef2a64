package auth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/plait-mcp/plait/config"
)

const (
	dialTimeout = 15 * time.Second
	tlsTimeout  = 15 * time.Second
	// idleTimeout is how long a connection waits for the next request. Many servers (Node.js, uvicorn) close one that
	// is idle for 5 s, and a POST that crosses this on the wire is lost: it may have been taken and is never repeated.
	idleTimeout = 4 * time.Second
	// idleConns is how many connections may wait for the next call. With fewer than there are calls at once
	// most calls would dial anew.
	idleConns = 128
)

// HTTP returns a client for a server with a URL that shows the static headers of the configuration and nothing
// else: [Manager.Client] comes as the server's identity, on top of this. Any goroutine may use it. It reads the files
// of server.CAFile and server.ClientCert, takes proxies from the environment variables, sets no limit to the time of
// a request, follows redirects only within the server's origin and those of POST never. The owner calls
// CloseIdleConnections when the server is not needed any more.
func HTTP(server *config.Server) (*http.Client, error) {
	transport, to, err := newTransport(server)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: transport, CheckRedirect: stayHome}
	if len(server.Headers) > 0 {
		client.Transport = newCredentials(transport, to, server.Headers)
	}
	return client, nil
}

// newTransport returns what requests to a server go through, and its URL.
func newTransport(server *config.Server) (*http.Transport, *url.URL, error) {
	to, err := url.Parse(server.URL)
	if err != nil {
		return nil, nil, errors.New("the URL cannot be read") // the error of Parse would show it, and what is secret in it
	}
	secure, err := tlsConfig(server)
	if err != nil {
		return nil, nil, err
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSClientConfig:     secure,
		TLSHandshakeTimeout: tlsTimeout,
		ForceAttemptHTTP2:   true,
		DisableCompression:  true, // it delays the events of a stream
		MaxIdleConnsPerHost: idleConns,
		IdleConnTimeout:     idleTimeout,
	}, to, nil
}

// tlsConfig returns whom to trust beside the system's authorities, and the certificate to show.
func tlsConfig(server *config.Server) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if server.CAFile != "" {
		pem, err := os.ReadFile(server.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read caFile: %w", err)
		}
		if c.RootCAs, err = x509.SystemCertPool(); err != nil {
			c.RootCAs = x509.NewCertPool()
		}
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read caFile: %s holds no certificate in PEM form", server.CAFile)
		}
	}
	if server.ClientCert.Cert != "" {
		pair, err := tls.LoadX509KeyPair(server.ClientCert.Cert, server.ClientCert.Key)
		if err != nil {
			return nil, fmt.Errorf("read clientCert: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

const maxRedirects = 5

// stayHome refuses redirects that would send a message to where the configuration did not say.
func stayHome(next *http.Request, via []*http.Request) error {
	first := via[0]
	switch to := next.URL.Scheme + "://" + next.URL.Host + next.URL.Path; {
	case first.Method != http.MethodGet:
		return fmt.Errorf("the server redirects %s to %s; if that is right, use it as url", first.Method, to)
	case !SameOrigin(next.URL, first.URL):
		return fmt.Errorf("the server redirects to another origin, %s; if that is right, use it as url", to)
	case len(via) > maxRedirects:
		return errors.New("the server redirects in circles")
	}
	return nil
}

// SameOrigin reports whether two URLs have one scheme, host and port.
func SameOrigin(a, b *url.URL) bool {
	if a.Scheme == b.Scheme && a.Host == b.Host {
		return true
	}
	return strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

// port returns the port of a URL, which may be the one of its scheme.
func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case strings.EqualFold(u.Scheme, "https"):
		return "443"
	}
	return "80"
}

// credentials attaches static headers to the requests to one origin.
type credentials struct {
	next    *http.Transport
	origin  *url.URL
	headers http.Header
	host    string // the header Host, which net/http keeps apart
}

func newCredentials(next *http.Transport, origin *url.URL, headers map[string]config.Secret) *credentials {
	c := &credentials{next: next, origin: origin, headers: make(http.Header, len(headers))}
	for name, value := range headers {
		if strings.EqualFold(name, "Host") {
			c.host = value.Reveal()
			continue
		}
		c.headers.Set(name, value.Reveal())
	}
	return c
}

// RoundTrip implements http.RoundTripper. A header that the request has already stays: it is one of the wire's.
func (c *credentials) RoundTrip(r *http.Request) (*http.Response, error) {
	if len(c.headers) == 0 && c.host == "" || !SameOrigin(r.URL, c.origin) {
		return c.next.RoundTrip(r)
	}
	headers := maps.Clone(r.Header)
	if headers == nil {
		headers = make(http.Header, len(c.headers))
	}
	for name, value := range c.headers {
		if _, ours := headers[name]; !ours {
			headers[name] = value
		}
	}
	r = r.WithContext(r.Context())
	r.Header = headers
	if c.host != "" {
		r.Host = c.host
	}
	return c.next.RoundTrip(r)
}

// CloseIdleConnections lets http.Client reach the connections.
func (c *credentials) CloseIdleConnections() { c.next.CloseIdleConnections() }
