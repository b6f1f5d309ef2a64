package auth

import (
	"net/http"
	"sync"

	"github.com/plait-mcp/plait/config"
)

// Client is how plait talks to one server as its identity. Any goroutine may use it.
type Client struct {
	// HTTP sends the requests of the server. An error of it may have one of the types of this package in its chain:
	// *LoginRequiredError, *StepUpRequiredError, *RefusedError or *UnavailableError. It never waits for a person.
	HTTP *http.Client

	mu      sync.Mutex
	changed chan struct{} // closed, and made anew, when it is worth trying again
}

// Client returns the client of a server with a URL. It reads the files that the server names and asks nobody. The
// owner calls Close when it needs it no more.
func (m *Manager) Client(server *config.Server) (*Client, error) {
	plain, err := HTTP(server)
	if err != nil {
		return nil, err
	}
	return &Client{HTTP: plain, changed: make(chan struct{})}, nil
}

// Changed returns a channel that is closed when it is worth trying the server again after an error of this package:
// somebody signed in, in whatever process, or other credentials came.
func (c *Client) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Close lets go of the connections and of the identity.
func (c *Client) Close() { c.HTTP.CloseIdleConnections() }
