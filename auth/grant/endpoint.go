package grant

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/auth/register"
	"github.com/plait-mcp/plait/config"
)

// limit is how long one request may take, once its caller can not stop it any more.
const limit = 30 * time.Second

// Endpoint is the token endpoint of one authorization server, as one client. Any goroutine may use it, as long as
// nobody changes its fields.
type Endpoint struct {
	// HTTP reaches the server. Its transport, which is never nil, trusts what the MCP server's does and goes through the same proxy, but
	// attaches no token. For tls_client_auth it is an *http.Transport, or has WithCertificate.
	HTTP     *http.Client
	Metadata *discovery.Metadata
	Client   *register.Client
	// Identity says how to go about it, with what is known of the provider of the server in it
	// (discovery.WithPreset).
	Identity *config.Identity
	// LookupEnv is where assertions look for variables; nil for none.
	LookupEnv func(string) (string, bool)
	// Learn hears of every secret before it is used or handed out, for whoever cleans logs; nil for nobody.
	Learn func(secret string)
}

// request is what one request to an authorization server says.
type request struct {
	op       string // for errors
	endpoint string
	params   url.Values
	finish   bool // sending it spends something: the caller's end does not stop it
}

// sender sends a request as x/oauth2 or net/http do. The client is in its context.
type sender func(ctx context.Context, p proof) error

// token sends a request to the token endpoint and returns what it gives.
func (e *Endpoint) token(ctx context.Context, r request) (*Token, error) {
	r.op = "token request"
	r.endpoint = e.endpoint("token_endpoint", e.Identity.TokenEndpoint, e.Metadata.TokenEndpoint)
	if err := e.addTokenParams(r.params); err != nil {
		return nil, err
	}
	var got *oauth2.Token
	answer, err := e.send(ctx, r, func(ctx context.Context, p proof) error {
		c := clientcredentials.Config{TokenURL: r.endpoint, EndpointParams: r.params, AuthStyle: oauth2.AuthStyleInParams}
		if p.basic {
			c.AuthStyle, c.ClientID, c.ClientSecret = oauth2.AuthStyleInHeader, p.id, p.secret
		}
		var err error
		got, err = c.Token(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	t, err := newToken(got, answer, e.Identity.Bearer)
	if err == nil {
		e.learn(t.Access, t.Refresh, t.ID)
	}
	return t, err
}

// post sends a request that x/oauth2 has no way for, and returns the answer.
func (e *Endpoint) post(ctx context.Context, r request) (*wire, error) {
	return e.send(ctx, r, func(ctx context.Context, p proof) error {
		q, err := http.NewRequestWithContext(ctx, http.MethodPost, r.endpoint, strings.NewReader(r.params.Encode()))
		if err != nil {
			return err
		}
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if p.basic {
			q.SetBasicAuth(url.QueryEscape(p.id), url.QueryEscape(p.secret)) // RFC 6749 section 2.3.1
		}
		client, _ := ctx.Value(oauth2.HTTPClient).(*http.Client)
		answer, err := client.Do(q)
		if err == nil {
			answer.Body.Close()
		}
		return err
	})
}

// send sends a request as the client that e is, and returns the answer, or an *Error or *SetupError.
func (e *Endpoint) send(ctx context.Context, r request, do sender) (*wire, error) {
	if err := e.checkURL(r.op, r.endpoint); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, (&wire{}).unanswered(r, err)
	}
	p, err := e.prove(r.params)
	if err != nil {
		return nil, err
	}
	secrets := secretsIn(r.params, p)
	e.learn(secrets...)
	next, done, err := e.transport(p)
	if err != nil {
		return nil, err
	}
	defer done()
	w := &wire{next: next, path: e.Identity.TokenPath, finish: r.finish}
	sending, stop := w.context(ctx)
	defer stop()
	err = do(context.WithValue(sending, oauth2.HTTPClient, w.client()), p)
	if w.status == 0 && err != nil {
		return nil, w.unanswered(r, cmp.Or(ctx.Err(), err))
	}
	if failed := w.refused(r, err, secrets); failed != nil {
		return nil, failed
	}
	return w, nil
}

// context returns the context of a request that its caller may stop until there is a connection to send it on, and
// that then takes half a minute at most.
func (w *wire) context(ctx context.Context) (context.Context, context.CancelFunc) {
	if !w.finish {
		return context.WithTimeout(ctx, limit)
	}
	free, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	stop := context.AfterFunc(ctx, func() {
		if !w.connected.Load() {
			cancel()
		}
	})
	return free, func() { stop(); cancel() }
}

// client returns a client that sends through w and goes where it is told only: Go sends a body with secrets again, to
// where a 307 or 308 points.
func (w *wire) client() *http.Client {
	return &http.Client{Transport: w, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// unanswered returns the error of a request that the network lost.
func (w *wire) unanswered(r request, err error) *Error {
	return &Error{Op: r.op, Endpoint: hostAndPath(r.endpoint), Temporary: true, MaybeSpent: w.sent.Load(), Skew: w.skew, Cause: bare(err)}
}

// refused returns the error of an answer that is none of success; nil when it is one. err is what x/oauth2 made of it.
func (w *wire) refused(r request, err error, secrets []string) error {
	e := &Error{
		Op: r.op, Endpoint: hostAndPath(r.endpoint), Status: w.status, Skew: w.skew,
		RetryAfter: discovery.RetryAfter(w.header),
	}
	code, _ := w.fields["error"].(string)
	success := w.status/100 == 2
	switch {
	case w.status/100 == 3:
		e.Cause = fmt.Errorf("it redirects to %s; nothing is sent there: refusing", clean(hostAndPath(w.header.Get("Location")), secrets))
		return e
	case success && code == "" && err == nil:
		return nil
	case success && code == "":
		e.Temporary, e.MaybeSpent = true, true
		e.Cause = fmt.Errorf("its answer (%d) has no token", w.status)
		if w.page {
			e.Cause = fmt.Errorf("it answers %d with a page instead of a token", w.status)
		}
		return e
	case w.page:
		e.Temporary, e.MaybeSpent = true, w.status >= http.StatusInternalServerError
		e.Cause = fmt.Errorf("it answers %d with a page instead of a token", w.status)
		return e
	}
	said, _ := w.fields["error_description"].(string)
	e.Description = clean(said, secrets)
	if isCode(code) && clean(code, secrets) == code {
		e.Code = code
	}
	w.classify(e)
	return e
}

// classify says what is only for now. Whatever a server that is in trouble calls it, nothing is decided by it.
func (w *wire) classify(e *Error) {
	switch {
	case w.status >= http.StatusInternalServerError:
		e.Code, e.Temporary, e.MaybeSpent = "", true, true
	case w.status == http.StatusTooManyRequests, w.status == http.StatusRequestTimeout:
		e.Code, e.Temporary = "", true
	case e.Code == "temporarily_unavailable" || e.Code == "server_error":
		e.Temporary = true
	}
}

// bare returns an error of net/http without the address, which may have a query.
func bare(err error) error {
	var of *url.Error
	for errors.As(err, &of) {
		err = of.Err
	}
	return err
}

// hostAndPath returns of an address what may be shown.
func hostAndPath(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "an address that cannot be read"
	}
	return u.Host + u.Path
}

// checkURL refuses an address that would send secrets in clear: http beyond this computer.
func (e *Endpoint) checkURL(op, address string) error {
	if address == "" {
		return &SetupError{Key: keyOf(op), Err: errors.New("the authorization server names none, so the " + op + " has nowhere to go; set it")}
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "":
		return &SetupError{Key: keyOf(op), Err: errors.New("it is no URL")}
	case u.Scheme == "https", u.Scheme == "http" && (e.Identity.AllowHTTP || isLoopback(u.Hostname())):
		return nil
	}
	return &SetupError{Key: keyOf(op), Err: fmt.Errorf("%s is not https; secrets are sent in clear only with allowHttp", hostAndPath(address))}
}

// keyOf returns the key of an identity that names the endpoint of an operation.
func keyOf(op string) string {
	switch op {
	case opAuthorize:
		return "authorizationEndpoint"
	case opDevice:
		return "deviceAuthorizationEndpoint"
	case opRevoke:
		return "revocationEndpoint"
	}
	return "tokenEndpoint"
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (e *Endpoint) learn(secrets ...string) {
	for _, s := range secrets {
		if e.Learn != nil && s != "" {
			e.Learn(s)
		}
	}
}
