package upstream

import (
	"net/http"
	"sync"
	"time"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/config"
)

// server is one configured server, as long as what decides the connection stays the same.
type server struct {
	fingerprint string
	common      *common // of its sessions
	since       time.Time

	mu        sync.Mutex
	cfg       *config.Server
	http      *http.Client
	changed   func() <-chan struct{} // the channel is closed when the credentials may be others; nil: they never are
	again     func()                 // forgets why requests were not sent for want of credentials; nil: they always are
	end       func()                 // lets go of http and the identity
	err       error
	shared    *Session
	sessions  map[*Session]struct{} // that may use http
	abandoned bool                  // no session comes any more
}

func newServer(cfg *config.Server) *server {
	return &server{
		fingerprint: cfg.Fingerprint(), common: newCommon(&tally{}), since: time.Now(), cfg: cfg, sessions: map[*Session]struct{}{},
	}
}

// settings returns the configuration of the server as it is now.
func (s *server) settings() *config.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg
}

// prepare makes what a server with a URL is reached by, once: as its identity, or with its static headers alone when
// there is no manager. The server is locked.
func (s *server) prepare(manager *auth.Manager) {
	switch {
	case s.http != nil || s.err != nil || s.cfg.URL == "":
	case manager == nil:
		if s.http, s.err = auth.HTTP(s.cfg); s.err == nil {
			s.end = s.http.CloseIdleConnections
		}
	default:
		var client *auth.Client
		if client, s.err = manager.Client(s.cfg); s.err == nil {
			s.http, s.changed, s.again, s.end = client.HTTP, client.Changed, client.Retry, client.Close
		}
	}
}

// retry has a server tried now, whatever forbade that.
func (s *server) retry() {
	s.mu.Lock()
	again := s.again
	s.mu.Unlock()
	if again != nil {
		again()
	}
	s.common.health.renew()
}

// take gives a server other settings if they decide the same connection.
func (s *server) take(other *server) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fingerprint != other.fingerprint || len(s.cfg.Problems) > 0 || len(other.cfg.Problems) > 0 {
		return false
	}
	s.cfg = other.cfg
	if s.shared != nil {
		s.shared.settings.Store(s.cfg)
	}
	return true
}

// left notes that a session has ended.
func (s *server) left(session *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, session)
	s.letGo()
}

// abandon says that no session comes any more.
func (s *server) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abandoned = true
	s.letGo()
}

// letGo lets go of what only sessions need when none is left. The server is locked.
func (s *server) letGo() {
	if s.abandoned && len(s.sessions) == 0 && s.end != nil {
		s.end()
		s.end = nil
	}
}
