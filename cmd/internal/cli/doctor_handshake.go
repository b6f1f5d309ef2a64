package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
	"github.com/plait-mcp/plait/upstream/transport"
)

// start examines a server that is a child process.
func (d *doctor) start(ctx context.Context, s *config.Server, e *examination) {
	path := s.Command
	if !filepath.IsAbs(path) {
		found, err := exec.LookPath(path)
		if err != nil {
			e.fail(stepCommand, fmt.Sprintf("%s is not in the search path", path),
				"install it, or write its whole path, and its arguments into args; a client may start plait with another PATH than your terminal")
			return
		}
		path = found
	} else if _, err := exec.LookPath(path); err != nil {
		e.fail(stepCommand, err.Error(), "check the path, and that it may be executed")
		return
	}
	e.pass(stepCommand, path)
	d.greet(ctx, s, nil).report(e, s)
}

// greeting is a session that was opened with a server, and ended.
type greeting struct {
	by      string // the server, as it calls itself
	version string // of the protocol
	took    time.Duration
	err     error // why there was none
}

// greet opens a session with the server and ends it.
func (d *doctor) greet(ctx context.Context, s *config.Server, client *http.Client) greeting {
	limit := s.ConnectTimeout
	if s.Type != config.Stdio {
		limit = min(limit, stepLimit)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	id := jsonrpc.Int(1)
	hello := fmt.Appendf(nil, `{"protocolVersion":%q,"capabilities":{},"clientInfo":{"name":"plait","version":%s}}`,
		protocol.Latest, jsonrpc.Quote(readVersion().Version))
	if s.ProtocolVersion != "" {
		hello = jsonrpc.Set(hello, jsonrpc.Quote(s.ProtocolVersion), "protocolVersion")
	}
	began := time.Now()
	conn, answer, err := transport.Open(ctx, transport.Options{
		Server: s, Client: client, Handler: refuser{}, Limit: d.limit, Guardian: d.guardian,
	}, id, jsonrpc.NewRequest(id, protocol.Initialize, hello))
	took := time.Since(began)
	if conn != nil {
		defer conn.Close(context.WithoutCancel(ctx))
	}
	if err == nil {
		err = greeted(ctx, conn, answer)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("no answer to initialize within %s", limit)
		}
		return greeting{err: err}
	}
	version, _ := jsonrpc.GetString(answer.Result(), "protocolVersion")
	name, _ := jsonrpc.GetString(answer.Result(), "serverInfo", "name")
	return greeting{by: name, version: version, took: took}
}

// report tells how the greeting went.
func (g greeting) report(e *examination, s *config.Server) {
	if g.err != nil {
		reportHandshake(e, s, g.err)
		return
	}
	if s.Type == config.Stdio {
		e.pass(stepStart, "it runs")
	}
	e.pass(stepHandshake, fmt.Sprintf("%s speaks %s, answered in %s", g.by, g.version, brief(g.took)))
}

// greeted checks the answer to initialize and thanks for it.
func greeted(ctx context.Context, conn transport.Conn, answer *jsonrpc.Message) error {
	if e := answer.Error(); e != nil {
		return fmt.Errorf("the server refuses: %w", e)
	}
	if version, _ := jsonrpc.GetString(answer.Result(), "protocolVersion"); !protocol.Known(version) {
		return fmt.Errorf("the server speaks protocol version %q, which plait does not", version)
	}
	return conn.Send(ctx, jsonrpc.NewNotification(protocol.Initialized, nil))
}

// reportHandshake says why there was none and what to do.
func reportHandshake(e *examination, s *config.Server, err error) {
	var exit *transport.ExitError
	var status *transport.StatusError
	var start *exec.Error
	isHTTP := errors.As(err, &status)
	switch {
	case errors.As(err, &exit), errors.As(err, &start):
		e.fail(stepStart, err.Error(), "try its command in a terminal; env and envFile give it variables, inheritEnv those of plait")
		return
	case s.Type == config.Stdio:
		e.pass(stepStart, "it runs")
		e.fail(stepHandshake, err.Error(), "try its command in a terminal: it must speak MCP on standard output, and nothing else; a slow one needs connectTimeout")
	case isHTTP && status.Code == http.StatusUnauthorized, isHTTP && status.Code == http.StatusForbidden:
		e.fail(stepHandshake, err.Error(), "give it credentials in headers, or check those that are there")
	case isHTTP && (status.Code == http.StatusNotFound || status.Code == http.StatusMethodNotAllowed):
		e.fail(stepHandshake, err.Error(), "check the path in url: many servers are at /mcp or /sse")
	case isHTTP:
		e.fail(stepHandshake, err.Error(), "ask who runs the server")
	default:
		e.fail(stepHandshake, bare(err).Error(), "check that url is that of an MCP server")
	}
}

// refuser takes nothing from a server.
type refuser struct{}

// Request implements transport.Handler.
func (refuser) Request(_ context.Context, _ jsonrpc.ID, m *jsonrpc.Message) jsonrpc.Text {
	if m.Method() == protocol.Ping {
		return jsonrpc.Result(m.ID(), jsonrpc.Raw("{}"))
	}
	return jsonrpc.Failure(m.ID(), &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "not supported by the command line"})
}

// Notification implements transport.Handler.
func (refuser) Notification(jsonrpc.ID, *jsonrpc.Message) {}
