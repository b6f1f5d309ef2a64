package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"syscall"
	"time"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/config"
)

const (
	stepLimit = 10 * time.Second // of all that goes over the network before the handshake
	maxSkew   = time.Minute      // of the clocks; more breaks signatures and tokens
)

// reach examines the way to a server with a URL: one request tells about all steps before the handshake,
// because it goes the way that all requests go.
func (d *doctor) reach(ctx context.Context, s *config.Server, e *examination) {
	plain, err := auth.HTTP(s)
	if err != nil {
		e.fail(stepProxy, err.Error(), "correct caFile or clientCert")
		return
	}
	defer plain.CloseIdleConnections()
	to, proxy, ok := route(s, e)
	if !ok {
		return
	}
	t := &trip{}
	sent := time.Now()
	resp, err := t.head(ctx, plain, to)
	took := time.Since(sent)
	if !t.report(e, to, proxy, err) {
		return
	}
	if err != nil { // the handshake will tell
		e.skip("no answer to HEAD: "+bare(err).Error(), stepClock)
	} else {
		resp.Body.Close()
		reportClock(e, resp.Header.Get("Date"), sent.Add(took/2))
	}
	client, err := d.accounts.Client(s)
	if err != nil {
		e.fail(stepSignIn, err.Error(), "correct caFile or clientCert")
		return
	}
	defer client.Close()
	done := d.greet(ctx, s, client.HTTP)
	if d.accounts.report(ctx, s, done.err, e) {
		done.report(e, s)
	}
}

// route tells which proxy applies.
func route(s *config.Server, e *examination) (to, proxy *url.URL, ok bool) {
	to, err := url.Parse(s.URL)
	if err != nil {
		e.fail(stepProxy, "the url cannot be read", "correct it")
		return nil, nil, false
	}
	proxy, err = http.ProxyFromEnvironment(&http.Request{URL: to})
	switch {
	case err != nil:
		e.fail(stepProxy, "the variable of the proxy cannot be read: "+err.Error(), "correct HTTPS_PROXY or HTTP_PROXY, such as http://proxy.example.com:3128")
		return nil, nil, false
	case proxy == nil:
		e.pass(stepProxy, "none: direct")
	default:
		e.pass(stepProxy, "by "+proxy.Redacted()+"; NO_PROXY names hosts that go direct")
	}
	return to, proxy, true
}

// trip is what happened on the way of a request.
type trip struct {
	mu        sync.Mutex
	dns       *httptrace.DNSDoneInfo
	connected string // the address
	refused   error  // of the last attempt to connect
	secured   *tls.ConnectionState
	insecure  error
}

// head sends a request that changes nothing. Whatever the answer is, it tells that there is a way.
func (t *trip) head(ctx context.Context, client *http.Client, to *url.URL) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, t.trace()), http.MethodHead, to.String(), nil)
	if err != nil {
		return nil, err
	}
	return client.Transport.RoundTrip(req)
}

func (t *trip) trace() *httptrace.ClientTrace {
	note := func(f func()) {
		t.mu.Lock()
		defer t.mu.Unlock()
		f()
	}
	return &httptrace.ClientTrace{
		DNSDone: func(i httptrace.DNSDoneInfo) { note(func() { t.dns = &i }) },
		ConnectDone: func(_, addr string, err error) {
			note(func() {
				if err == nil {
					t.connected = addr
				} else {
					t.refused = err
				}
			})
		},
		TLSHandshakeDone: func(s tls.ConnectionState, err error) {
			note(func() { t.secured, t.insecure = &s, err })
		},
	}
}

// report tells of the steps and returns whether a request can be sent.
func (t *trip) report(e *examination, to, proxy *url.URL, err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	hop := to
	if proxy != nil {
		hop = proxy
	}
	return t.reportDNS(e, hop, err) && t.reportTCP(e, hop, err) && t.reportTLS(e, to, err)
}

func (t *trip) reportDNS(e *examination, hop *url.URL, err error) bool {
	switch {
	case t.dns == nil && net.ParseIP(hop.Hostname()) != nil:
		e.pass(stepDNS, hop.Hostname()+" is an address")
	case t.dns == nil && t.connected == "" && t.refused == nil:
		e.fail(stepDNS, fmt.Sprintf("no answer for %s: %v", hop.Hostname(), bare(err)), "check the network and its name servers")
		return false
	case t.dns != nil && t.dns.Err != nil:
		e.fail(stepDNS, t.dns.Err.Error(), "check the host in url; a private name may need a VPN")
		return false
	case t.dns == nil:
		e.pass(stepDNS, hop.Hostname())
	default:
		e.pass(stepDNS, fmt.Sprintf("%s has %s", hop.Hostname(), count(len(t.dns.Addrs), "address")))
	}
	return true
}

func (t *trip) reportTCP(e *examination, hop *url.URL, err error) bool {
	if t.connected != "" {
		e.pass(stepTCP, t.connected)
		return true
	}
	if t.refused == nil {
		t.refused = err
	}
	next := "check that it runs and that its port is right; a firewall may need a proxy (HTTPS_PROXY)"
	if errors.Is(t.refused, syscall.ECONNREFUSED) {
		next = "nobody listens there: start the server, or correct the port in url"
	}
	e.fail(stepTCP, fmt.Sprintf("%s: %v", hop.Host, bare(t.refused)), next)
	return false
}

func (t *trip) reportTLS(e *examination, to *url.URL, err error) bool {
	switch {
	case to.Scheme != "https":
		e.skip("http: nothing is encrypted", stepTLS)
	case t.insecure != nil:
		detail, next := explainTLS(t.insecure, to.Hostname())
		e.fail(stepTLS, detail, next)
		return false
	case t.secured == nil:
		e.fail(stepTLS, fmt.Sprintf("the connection ended before it: %v", bare(err)), "the proxy may refuse the host or ask for a password: http://user:password@proxy")
		return false
	default:
		detail := tls.VersionName(t.secured.Version)
		if certs := t.secured.PeerCertificates; len(certs) > 0 {
			detail += fmt.Sprintf(", certificate of %s by %s, expires in %s", certs[0].Subject.CommonName, certs[0].Issuer.CommonName, brief(time.Until(certs[0].NotAfter)))
		}
		e.pass(stepTLS, detail)
	}
	return true
}

// explainTLS says what is wrong with a certificate and what to do.
func explainTLS(err error, host string) (detail, next string) {
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var plain tls.RecordHeaderError
	switch {
	case errors.As(err, &name):
		return fmt.Sprintf("the certificate is not for %s but for %v", host, append(name.Certificate.DNSNames, addresses(name.Certificate)...)),
			"use a host of the certificate in url"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && time.Now().Before(invalid.Cert.NotBefore):
		return "the certificate is valid from " + invalid.Cert.NotBefore.Format(time.RFC3339), "check the clock of this machine"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate expired " + invalid.Cert.NotAfter.Format(time.RFC3339), "renew it at the server; if it should be valid, check the clock of this machine"
	case errors.As(err, &unknown):
		return "the certificate is signed by nobody this machine knows: " + unknown.Cert.Issuer.String(),
			"set caFile to the authority's certificate; a proxy of the company may have its own"
	case errors.As(err, &plain):
		return "the server does not speak TLS", "use http:// in url, or the right port"
	}
	return bare(err).Error(), "check the server's TLS settings, and clientCert if it asks for one"
}

func addresses(c *x509.Certificate) []string {
	var all []string
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	return all
}

// bare returns the error without the URL and the address, which the reader knows; the URL may hold a secret.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("nothing happened for %s", stepLimit)
	}
	return err
}

// reportClock compares the server's clock with ours at the time.
func reportClock(e *examination, date string, at time.Time) {
	theirs, err := http.ParseTime(date)
	if err != nil {
		e.skip("the server does not tell its time", stepClock)
		return
	}
	skew := theirs.Sub(at)
	if skew.Abs() > maxSkew {
		side := "ahead of"
		if skew < 0 {
			side = "behind"
		}
		e.fail(stepClock, fmt.Sprintf("the server is %s %s this machine", brief(skew.Abs()), side),
			"set the clock of this machine or of the server: tokens and certificates depend on it")
		return
	}
	e.pass(stepClock, "the clocks agree")
}
