package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// httpConn is a Conn over Streamable HTTP (MCP 2025-03-26 to 2025-11-25).
type httpConn struct {
	inbox

	o       Options
	url     *url.URL
	buffers sync.Pool // of *[]byte, to read streams into

	head atomic.Pointer[session] // replaced as the session becomes known, never changed

	mu        sync.Mutex
	flights   map[*flight]struct{}   // exchanges that Close has to end
	waiting   map[jsonrpc.ID]*flight // those whose answer is awaited
	listening listening
}

// session is what every request says about the session.
type session struct {
	open    bool // initialize was answered
	id      string
	version string
	post    *http.Request // templates
	get     *http.Request
	del     *http.Request
}

type listening uint8

const (
	notListening listening = iota
	isListening
	cannotListen
)

// cutTries is how often a goodbye is said whose connection is cut each time.
const cutTries = 3

// openHTTP makes a Conn; the first request is initialize.
func openHTTP(ctx context.Context, o Options) (Conn, error) {
	to, err := url.Parse(o.Server.URL)
	if err != nil {
		return nil, fmt.Errorf("read the URL: %w", err)
	}
	h := &httpConn{
		inbox: inbox{life: newLife(ctx), handler: o.Handler, limit: o.Limit, log: o.Log.With("server", o.Server.Name)},
		o:     o, url: to,
		flights: map[*flight]struct{}{}, waiting: map[jsonrpc.ID]*flight{},
	}
	h.inbox.deliver, h.fail, h.send = h.deliver, h.failOne, h.Send
	h.identify("", "", false)
	return h, nil
}

// identify sets what requests say about the session from now on.
func (h *httpConn) identify(id, version string, open bool) {
	const sessionID, protocolVersion = "Mcp-Session-Id", "Mcp-Protocol-Version"
	h.head.Store(&session{
		open: open, id: id, version: version,
		post: request(http.MethodPost, h.url, header("Accept", acceptBoth, "Content-Type", "application/json",
			sessionID, id, protocolVersion, version)),
		get: request(http.MethodGet, h.url, header("Accept", acceptStream, sessionID, id, protocolVersion, version)),
		del: request(http.MethodDelete, h.url, header(sessionID, id, protocolVersion, version)),
	})
}

// greeted learns the version, which notifications/initialized already has to name.
func (h *httpConn) greeted(answer *jsonrpc.Message) {
	version, _ := jsonrpc.GetString(answer.Result(), "protocolVersion")
	h.identify(h.head.Load().id, version, true)
}

// Listen implements Conn.
func (h *httpConn) Listen(version string) {
	if version != h.head.Load().version && version != "" {
		h.identify(h.head.Load().id, version, true)
	}
	if !h.o.Server.ServerStream {
		h.endWaiting(func(f *flight) bool { return f.accepted }, ErrNoAnswer)
		return
	}
	h.mu.Lock()
	h.listening = isListening
	h.mu.Unlock()
	h.run(func(ctx context.Context) {
		why := h.listen(ctx)
		h.endWaiting(func(f *flight) bool { return f.accepted }, fmt.Errorf("%w: %w", ErrNoAnswer, why))
	})
}

// endWaiting says that nothing will come on the listening stream any more, and ends the exchanges that which
// selects.
func (h *httpConn) endWaiting(which func(f *flight) bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listening = cannotListen
	for f := range h.flights {
		if which(f) && f.err == nil {
			f.err = err
			f.cancel()
		}
	}
}

// lose ends the Conn because the server does not know the session. Calls whose streams still run go on.
func (h *httpConn) lose(reason string) {
	if h.end(&SessionLostError{Accepted: true, Reason: reason}) {
		h.endWaiting(func(f *flight) bool { return f.accepted }, h.Err())
	}
}

// Close implements Conn.
func (h *httpConn) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	lived := h.end(ErrClosed)
	h.endWaiting(func(*flight) bool { return true }, ErrClosed)
	if head := h.head.Load(); lived && head.id != "" {
		h.sayGoodbye(ctx, head)
	}
	return h.wait(ctx)
}

// sayGoodbye ends the session; a server need not have a way to (405).
func (h *httpConn) sayGoodbye(ctx context.Context, head *session) {
	var err error
	for range cutTries {
		var resp *http.Response
		if resp, err = do(ctx, h.o.Client, head.del, nil); err == nil {
			discard(resp)
			return
		}
		if !errors.Is(err, errCut) {
			break
		}
	}
	h.log.Debug("could not end the session", "err", err)
}
