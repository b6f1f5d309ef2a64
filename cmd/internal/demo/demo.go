package demo

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Servers are the two servers that listen on loopback.
type Servers struct {
	LibraryURL string // Streamable HTTP
	NotesURL   string // HTTP+SSE

	running []*http.Server
	done    chan error // what each of running ended with
}

// Listen starts the servers on free ports. The caller closes them.
func Listen(ctx context.Context) (*Servers, error) {
	s := &Servers{done: make(chan error, 2)}
	one := func(server *mcp.Server) func(*http.Request) *mcp.Server {
		return func(*http.Request) *mcp.Server { return server }
	}
	var err error
	if s.LibraryURL, err = s.listen(ctx, "/mcp", mcp.NewStreamableHTTPHandler(one(library()), nil)); err == nil {
		s.NotesURL, err = s.listen(ctx, "/sse", mcp.NewSSEHandler(one(notes()), nil))
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Servers) listen(ctx context.Context, path string, h http.Handler) (url string, err error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	mux := http.NewServeMux()
	mux.Handle(path, h)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	s.running = append(s.running, server)
	go func() { s.done <- server.Serve(l) }()
	return "http://" + l.Addr().String() + path, nil
}

// Close ends the servers and their connections, and waits until nobody listens any more.
func (s *Servers) Close() error {
	var all []error
	for _, server := range s.running {
		all = append(all, server.Close())
	}
	for range s.running {
		if err := <-s.done; !errors.Is(err, http.ErrServerClosed) {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// ServeStdio is the third server, on the standard input and output of this process. It returns when its
// input ends.
func ServeStdio(ctx context.Context) error {
	return desk().Run(ctx, &mcp.StdioTransport{})
}
