package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/upstream/transport"
)

var (
	// errSilent is an attempt that took longer than connectTimeout.
	errSilent = errors.New("no answer to initialize")
	// errGreeting is an answer to initialize that plait cannot go on from.
	errGreeting = errors.New("initialize")
)

// id returns the stable id of why the session is not ready. The state is locked.
func (s *Session) id() string {
	var status *transport.StatusError
	var exit *transport.ExitError
	var op *net.OpError
	var cert *tls.CertificateVerificationError
	switch {
	case concernsCredentials(s.err):
		id, _ := auth.Advice(s.err)
		return id
	case s.state == Misconfigured:
		return idMisconfigured
	case s.err == nil && s.state != Connecting && s.state != Closed:
		return ""
	case s.err == nil:
		return idNotYet
	case errors.As(s.err, &status):
		return idOfStatus(status)
	case errors.Is(s.err, errSilent), errors.Is(s.err, context.DeadlineExceeded):
		return idSilent
	case errors.As(s.err, &exit) || s.Server().Command != "" && !errors.Is(s.err, errGreeting):
		return idExited
	case errors.As(s.err, &cert):
		return idTLS
	case errors.As(s.err, &op), errors.Is(s.err, io.EOF), errors.Is(s.err, io.ErrUnexpectedEOF):
		return idUnreachable
	}
	return idHandshake
}

// adviseCall returns the id of an HTTP error that answered a call, and what a person can do.
func adviseCall(e *transport.StatusError) (id, next string) {
	switch id = idOfStatus(e); {
	case id == idRateLimited && e.RetryAfter > 0:
		return id, fmt.Sprintf("the server asks to wait %s, then try again", e.RetryAfter.Round(time.Second))
	case id == idRateLimited:
		return id, "wait a while, then try again"
	case e.Code == http.StatusUnauthorized:
		return id, "the server is parked: give it credentials in headers, then plait reload"
	case e.Code == http.StatusForbidden:
		return id, "its credentials do not allow this call: give it others in headers, or call something else"
	}
	return idCallFailed, "try again, or see what the server says"
}

func idOfStatus(e *transport.StatusError) string {
	switch {
	case unauthorized(e) || e.Code == http.StatusForbidden:
		return idUnauthorized
	case e.Code == http.StatusTooManyRequests || e.Code == http.StatusServiceUnavailable && e.RetryAfter > 0:
		return idRateLimited
	}
	return idRefused
}

// unauthorized reports whether a server refused the credentials, whatever they are for.
func unauthorized(err error) bool {
	status, ok := errors.AsType[*transport.StatusError](err)
	return ok && status.Code == http.StatusUnauthorized
}

// next says what a person can do about the state. The state is locked.
func (s *Session) next() string {
	if _, next := auth.Advice(s.err); next != "" {
		return next
	}
	id, doctor := s.id(), "plait doctor "+s.Name()
	if s.noFile {
		return nextOfFlags(id, s.Server().Command != "")
	}
	switch id {
	case "":
		return ""
	case idMisconfigured:
		return "correct the configuration: plait validate"
	case idNotYet:
		return "wait, or see plait status"
	case idUnauthorized:
		return "give it credentials in headers, then plait reload"
	case idRateLimited:
		return "wait: the server asked for it"
	case idRefused:
		return "check its url, or what the server logs: " + doctor
	case idExited:
		return "try its command in a terminal, or " + doctor
	case idTLS:
		return "set caFile to the authority of its certificate: " + doctor
	default:
		return "check that it runs and that its url is right: " + doctor
	}
}

// nextOfFlags is next for a server that a command line says.
func nextOfFlags(id string, child bool) string {
	switch {
	case id == "":
		return ""
	case id == idNotYet:
		return "wait, or see plait status"
	case child:
		return "try its command in a terminal"
	case id == idUnauthorized:
		return "give it credentials by --header"
	case id == idRateLimited:
		return "wait: the server asked for it"
	case id == idTLS:
		return "name the authority of its certificate by --ca-file"
	}
	return "check that it runs and that the URL is right"
}
