package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

const (
	acceptStream = "text/event-stream"
	acceptBoth   = "application/json, text/event-stream"

	// leftover is how much of a body that nobody needs is read, for the connection to be used again.
	leftover = 64 << 10
)

// header returns the map for a few header fields, in the spelling of net/http.
func header(fields ...string) http.Header {
	h := make(http.Header, len(fields)/2)
	for i := 0; i < len(fields); i += 2 {
		if fields[i+1] != "" {
			h.Set(fields[i], fields[i+1])
		}
	}
	return h
}

// do sends one request. t is its body, nil for none. Nobody changes h while the request runs.
//
// net/http sends a POST a second time only when it wrote nothing of the first, or when the server said in
// HTTP/2 that it did not process it: a tool is never executed twice.
func do(ctx context.Context, client *http.Client, r *http.Request, t jsonrpc.Text) (*http.Response, error) {
	r = r.WithContext(ctx)
	if t != nil {
		b := t.Bytes()
		r.ContentLength = int64(len(b))
		r.Body = io.NopCloser(bytes.NewReader(b))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
	}
	resp, err := client.Do(r)
	if err != nil {
		if outer, ok := errors.AsType[*url.Error](err); ok { // it names the URL, which may hold a secret
			err = outer.Err
		}
		switch {
		case ctx.Err() != nil:
			err = ctx.Err()
		case errors.Is(err, context.Canceled):
			err = errCut
		}
		return nil, err
	}
	return resp, nil
}

// errCut is the error of a request that got a connection whose last request was cancelled just then: net/http takes the
// connection away although it has given it on already.
var errCut = fmt.Errorf("the connection was cut: %w", io.ErrUnexpectedEOF)

// request returns what do sends, without a body. It is a template: nobody changes it.
func request(method string, to *url.URL, h http.Header) *http.Request {
	return &http.Request{
		Method: method, URL: to, Host: to.Host, Header: h,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
}

// discard reads what little is left of a body and closes it.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, leftover)
	_ = resp.Body.Close()
}

// media reports whether the response has the media type, parameters aside.
func media(resp *http.Response, want string) bool {
	have := resp.Header.Get("Content-Type")
	if i := strings.IndexByte(have, ';'); i >= 0 {
		have = have[:i]
	}
	return strings.EqualFold(strings.TrimSpace(have), want)
}

// unexpected describes a successful response that is neither JSON nor events.
func unexpected(resp *http.Response) error {
	return fmt.Errorf("unexpected content type %q: %s", resp.Header.Get("Content-Type"), excerpt(head(resp)))
}

// head reads the beginning of a body.
func head(resp *http.Response) []byte {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, leftover))
	return b
}
