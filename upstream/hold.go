package upstream

import (
	"errors"
	"net/http"
	"time"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/upstream/transport"
)

// hold says why a server is not tried although it may be there.
type hold uint8

const (
	free   hold = iota
	parked      // the server, or who gives out credentials for it, refused what the configuration says
	signIn      // a person has to sign in, or to allow more
)

// learn notes why an attempt failed, or a session ended, and what that tells of the credentials. What another session
// found wrong with them meanwhile stays so. h is locked.
func (h *health) learn(err error, kind hold, woken <-chan struct{}) {
	if kind < h.held {
		return
	}
	h.err, h.held, h.woken = err, kind, nil
	if kind != free || concernsCredentials(err) {
		h.woken = woken
	}
}

// rouse forgets all that went wrong when it was about credentials that are others now. h is locked.
func (h *health) rouse() {
	select {
	case <-h.woken:
		h.clear()
	default:
	}
}

// refusal says what an error that ended a handshake tells of the credentials.
func refusal(err error) hold {
	switch status := statusOf(err); {
	case wantsPerson(err):
		return signIn
	case transport.Denied(err), status != nil && (status.Code == http.StatusUnauthorized || status.Code == http.StatusForbidden):
		return parked
	}
	return free
}

// voids reports whether an error says that the credentials do not do any more, whatever they are for: 403, and a
// wish for more scopes, are about one request.
func voids(err error) bool { return transport.Denied(err) || unauthorized(err) }

// wantsPerson reports whether a person can put an error right by signing in, or by allowing more.
func wantsPerson(err error) bool {
	_, login := errors.AsType[*auth.LoginRequiredError](err)
	_, more := errors.AsType[*auth.StepUpRequiredError](err)
	return login || more
}

// concernsCredentials reports whether an error is one of package auth.
func concernsCredentials(err error) bool {
	id, _ := auth.Advice(err)
	return id != ""
}

// denied makes the error of a call that did not reach the server for want of credentials, or whose credentials do not
// allow it. Either way the server did nothing.
func (s *Session) denied(err error) error {
	id, next := auth.Advice(err)
	if !voids(err) {
		return &CallError{Server: s.Name(), State: Ready.String(), Next: next, ID: id, Err: err}
	}
	state := Parked
	if wantsPerson(err) {
		state = SignIn
	}
	return &DownError{Status{Server: s.Name(), State: state, Since: time.Now(), ID: id, Err: err, Next: next}}
}

// CredentialsChanged returns a channel that is closed when the credentials for the server may be others than now,
// because somebody signed in, in any process; nil when they never are.
func (s *Session) CredentialsChanged() <-chan struct{} {
	if s.changed == nil {
		return nil
	}
	return s.changed()
}

// flag tells the clients when the session begins or ceases to need a sign-in. Only the supervisor calls it.
func (s *Session) flag(needed bool) {
	if s.flagged != needed {
		s.flagged = needed
		s.each(func(c Client) { c.SignInChanged(s) })
	}
}
