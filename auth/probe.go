package auth

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/plait-mcp/plait/auth/challenge"
)

// greeting is the request that a server is asked with for its challenge: the one that a session begins with.
const greeting = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},` +
	`"clientInfo":{"name":"plait","version":`

// probe asks the server without a token: its challenge tells where tokens are; nil when it gives none. It is open when
// the server answers everybody.
func (c *Client) probe(ctx context.Context) (bearer *challenge.Challenge, open bool) {
	ctx, cancel := context.WithTimeout(ctx, invitation)
	defer cancel()
	body := greeting + strconv.Quote(c.site.m.opts.Version) + `}}}`
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.site.server.URL, strings.NewReader(body))
	if err != nil {
		return nil, false
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	resp, err := c.static.RoundTrip(r)
	if err != nil {
		return nil, false
	}
	if resp.StatusCode/100 == 2 { //nolint:mnd // a success
		resp.Body.Close() // it may be a stream without an end
		c.goodbye(ctx, resp.Header.Get("Mcp-Session-Id"))
		return nil, true
	}
	defer discard(resp)
	if found, ok := challenge.Bearer(resp.Header); ok {
		return &found, false
	}
	return nil, false
}

// goodbye ends the session that a probe began.
func (c *Client) goodbye(ctx context.Context, session string) {
	if session == "" {
		return
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodDelete, c.site.server.URL, nil)
	if err != nil {
		return
	}
	r.Header.Set("Mcp-Session-Id", session)
	if resp, err := c.static.RoundTrip(r); err == nil {
		discard(resp)
	}
}
