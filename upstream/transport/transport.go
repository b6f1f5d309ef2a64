package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// Conn is one session with one server over one wire. Any goroutine may call its methods.
type Conn interface {
	// Call sends the request whose id is id and waits for its answer. It returns ctx.Err() at once when ctx
	// ends; it tells the server nothing then. An error response is an answer, not an error. Errors that
	// somebody decides on: *StatusError, *SessionLostError, *ExitError, *TooLongError, ErrClosed, ErrNoAnswer.
	Call(ctx context.Context, id jsonrpc.ID, request jsonrpc.Text) (*jsonrpc.Message, error)
	// Send sends a notification or an answer and returns when the server has taken it.
	Send(ctx context.Context, m jsonrpc.Text) error
	// Listen is called once, after notifications/initialized, with the negotiated version. It opens the
	// stream for what the server says of its own accord, in the background; other wires have it already.
	Listen(version string)
	// Done is closed when the wire is lost for good or closed.
	Done() <-chan struct{}
	// Err says why Done is closed, nil before.
	Err() error
	// Close ends the session, fails what is pending with ErrClosed and waits for every goroutine of the
	// Conn. It takes a few seconds at most, and no longer than ctx.
	Close(ctx context.Context) error
}

// Handler takes what a server sends of its own accord.
type Handler interface {
	// Request serves a request of the server on its own goroutine and returns the answer to send, nil for
	// none. cause is the id of the call on whose stream the request arrived, "" when the wire cannot tell.
	// ctx ends when the Conn is lost or closed; the wire sets no other limit.
	Request(ctx context.Context, cause jsonrpc.ID, m *jsonrpc.Message) jsonrpc.Text
	// Notification takes a notification. The reader of the stream calls it in the order of arrival, and
	// before Call returns an answer that came later on the same stream: it must not block.
	Notification(cause jsonrpc.ID, m *jsonrpc.Message)
}

// Options are what a wire needs to know.
type Options struct {
	Server  *config.Server
	Client  *http.Client // for servers with a URL; must neither limit the time of a request nor follow redirects of POST
	Handler Handler
	Limit   int64        // bytes of one message
	Log     hclog.Logger // nil means no log
	Stderr  hclog.Level  // at which the log says what a child writes to its stderr; 0 means debug

	Guardian *Guardian // ends the child of a stdio server when plait is killed; nil means nobody does
	Local    Local     // the server, when it is one inside this process; else nil
}

// Open connects to the server, sends initialize, whose id is id, and returns the answer, which may be an
// error response. ctx bounds the opening and has no hold on the Conn afterwards. Unless there is an error the
// caller closes the Conn.
//
// With two wires to try (config.HTTPFirst, config.SSEFirst) the second is tried when the server refuses the
// first as one does who does not know it: by 400, 404 or 405 (MCP, transports, backwards compatibility).
func Open(ctx context.Context, o Options, id jsonrpc.ID, initialize jsonrpc.Text) (Conn, *jsonrpc.Message, error) {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	first, second := wires(o)
	conn, answer, err := first.open(ctx, o, id, initialize)
	said := said(err)
	switch {
	case err == nil:
		return conn, answer, nil
	case second != nil && unknownWire(err):
	case said != nil:
		return conn, said, nil
	default:
		return nil, nil, err
	}
	o.Log.Debug("trying the other wire", "server", o.Server.Name, "wire", second.name, "err", err)
	other, answer, otherErr := second.open(ctx, o, id, initialize)
	switch {
	case said != nil && otherErr != nil: // an answer is more than an error
		abandon(ctx, other)
		return conn, said, nil //nolint:nilerr // what the first said is the answer
	case otherErr == nil:
		abandon(ctx, conn)
		return other, answer, nil
	case unknownWire(otherErr): // neither is known: what the preferred one said counts
		return nil, nil, fmt.Errorf("%s: %w (%s: %v)", first.name, err, second.name, otherErr) //nolint:errorlint // one decides
	}
	return nil, nil, fmt.Errorf("%s: %w (%s: %v)", second.name, otherErr, first.name, err) //nolint:errorlint // one decides
}

// wire is a way to reach a server.
type wire struct {
	name    string
	connect func(ctx context.Context, o Options) (Conn, error)
}

// wires returns the wire to try first and, when there is one, the wire to try next.
func wires(o Options) (first, second *wire) {
	switch {
	case o.Local != nil:
		return &wire{"local", openLocal}, nil
	case o.Server.Type == config.Stdio:
		return &wire{"stdio", openStdio}, nil
	}
	streamable, legacy := &wire{"streamable http", openHTTP}, &wire{"http+sse", openSSE}
	switch o.Server.Transport {
	case config.HTTPOnly:
		return streamable, nil
	case config.SSEOnly:
		return legacy, nil
	case config.SSEFirst:
		return legacy, streamable
	default:
		return streamable, legacy
	}
}

// greeter is a Conn that learns from the answer to initialize.
type greeter interface {
	greeted(answer *jsonrpc.Message)
}

// open connects and sends initialize. There is a Conn when there is no error, or when the error said something.
func (w *wire) open(ctx context.Context, o Options, id jsonrpc.ID, initialize jsonrpc.Text) (Conn, *jsonrpc.Message, error) {
	conn, err := w.connect(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	answer, err := conn.Call(ctx, id, initialize)
	switch {
	case err == nil:
		if g, ok := conn.(greeter); ok {
			g.greeted(answer)
		}
		return conn, answer, nil
	case said(err) != nil:
		return conn, nil, err
	}
	if lost := conn.Err(); lost != nil && ctx.Err() == nil {
		err = lost // why the call failed
	}
	abandon(ctx, conn)
	return nil, nil, err
}

// abandon closes a Conn that nobody needs; nil is none.
func abandon(ctx context.Context, conn Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = conn.Close(ctx)
}

// said returns what a server that refused a request said in JSON-RPC, without saying to whom; nil when it did
// not.
func said(err error) *jsonrpc.Message {
	if status, ok := errors.AsType[*StatusError](err); ok {
		return status.answer
	}
	return nil
}

// closeTimeout bounds how long a server may take to hear that its session ends.
const closeTimeout = 5 * time.Second

// unknownWire reports whether err is how a server answers that does not know the wire.
func unknownWire(err error) bool {
	if status, ok := errors.AsType[*StatusError](err); ok {
		return refusesWire(status.Code)
	}
	return errors.Is(err, errOtherWire)
}

// refusesWire reports whether a status is one of those with which servers refuse a wire.
func refusesWire(status int) bool {
	return status == http.StatusBadRequest || status == http.StatusNotFound || status == http.StatusMethodNotAllowed
}
