package auth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/store"
)

// needError says that a person has to sign in.
type needError struct{ id, reason string }

func (e *needError) Error() string { return e.reason }

// pausedError says that nothing is tried for a while, after err.
type pausedError struct {
	err  error
	wait time.Duration
}

func (e *pausedError) Error() string { return e.err.Error() }

func (e *pausedError) Unwrap() error { return e.err }

// errClosed says that the Manager was closed.
var errClosed = errors.New("plait ends")

// refusedAloneError says that one sign-in does not serve this resource.
type refusedAloneError struct{ err error }

func (e *refusedAloneError) Error() string { return e.err.Error() }

func (e *refusedAloneError) Unwrap() error { return e.err }

// renew returns a token: the one of the store when that is usable, for another process may have renewed it, else a new
// one. replace is a token that is still usable and that a new one shall take the place of, "" for none. The lock of the
// grant is held from the reading to the writing, so that one process of all asks the authorization server, and never
// twice with the same refresh token.
func (h *holder) renew(ctx context.Context, at stop, replace string) (*grant.Token, bool, error) {
	resource := at.resource
	stored := func() (*grant.Token, error) {
		if err := h.reload(ctx); err != nil {
			return nil, &grant.Error{Op: "reading the saved sign-in", Temporary: true, Cause: err}
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if t := h.usable(resource, time.Now()); t != nil && t.Access != replace {
			return t, nil
		}
		return nil, nil //nolint:nilnil // there is none
	}
	if t, err := stored(); t != nil || err != nil {
		return t, false, err
	}
	unlock, err := h.lock(ctx)
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	if t, err := stored(); t != nil || err != nil {
		return t, false, err
	}
	t, err := h.request(ctx, at)
	h.note(at.site, err)
	return t, err == nil, err
}

func (h *holder) lockName() string { return "grant-" + h.key }

// hold keeps all other processes from changing the record, and reads it.
func (h *holder) hold(ctx context.Context) (unlock func(), err error) {
	unlock, err = h.m.opts.Store.Lock(ctx, h.lockName())
	if err != nil {
		return nil, err
	}
	if err := h.reload(ctx); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// lock waits for its turn to ask the authorization server. Who has the lock needs two minutes at most, unless it was
// stopped.
func (h *holder) lock(ctx context.Context) (unlock func(), err error) {
	limited, cancel := context.WithTimeoutCause(ctx, lockLimit, errHeld)
	defer cancel()
	unlock, err = h.m.opts.Store.Lock(limited, h.lockName())
	if err != nil && limited.Err() != nil {
		err = context.Cause(limited)
	}
	if err != nil {
		return nil, &grant.Error{Op: "waiting for another process of plait", Temporary: true, Cause: err}
	}
	return unlock, nil
}

// errHeld says that another process has the lock of a grant for longer than it may need it.
var errHeld = errors.New("another process of plait began to renew it and does not end")

// request asks the authorization server for a token and saves it. The lock of the grant is held.
func (h *holder) request(ctx context.Context, at stop) (*grant.Token, error) {
	s, resource := at.site, at.resource
	rec := h.current()
	if rec == nil {
		return nil, &needError{IDSignIn, "nobody is signed in"}
	}
	if rec.State != valid {
		return nil, rec.need()
	}
	asked := resource
	if rec.NoResource {
		asked = ""
	}
	began := time.Now()
	if s.isEnterprise() {
		var err error
		if rec, err = h.subject(ctx, s, rec); err != nil {
			return nil, err
		}
	}
	t, err := s.token(ctx, rec, at.bond, asked)
	next := rec.clone()
	if refused, ok := errors.AsType[*grant.Error](err); ok && refused.ResourceRefused() && asked != "" {
		if len(rec.Resources) > 1 || !s.endpoint(rec.Metadata, rec.Client).MayOmitResource() {
			return nil, &refusedAloneError{err}
		}
		next.NoResource = true
		t, err = s.token(ctx, rec, at.bond, "")
	}
	h.m.count(s.identity.Name, err)
	if err != nil {
		return nil, h.failed(ctx, rec, err)
	}
	if s.isMachine() {
		t.Refresh = "" // RFC 6749 section 4.4.3: of no use, and it would be used
	}
	next.take(resource, t)
	if t.Scope != "" {
		next.Granted = strings.Fields(t.Scope)
	}
	h.keep(ctx, s, next)
	h.m.log.Debug("token granted", "identity", rec.Identity, "issuer", hostOf(rec.Issuer), "expires", t.Expires, "dur", time.Since(began))
	return next.Tokens[resource], nil
}

// need returns why somebody has to sign in.
func (r *record) need() *needError {
	switch r.State {
	case declined:
		return &needError{IDDeclined, reasonDeclined}
	case expired:
		reason := r.Reason
		if reason == "" {
			reason = reasonExpired
		}
		return &needError{IDExpired, reason}
	case valid:
	}
	return &needError{IDSignIn, "nobody is signed in"}
}

const (
	reasonDeclined = "access was declined"
	reasonExpired  = "the sign-in expired or was revoked"
)

// failed decides what an error at the token endpoint means for the grant. The lock of the grant is held.
func (h *holder) failed(ctx context.Context, rec *record, err error) error {
	refused, ok := errors.AsType[*grant.Error](err)
	switch {
	case !ok || refused.Temporary:
		return err
	case refused.GrantRefused() && rec.Refresh != "" && (rec.ID == "" || isOf(refused, rec.Metadata)):
		return h.tombstone(ctx, rec, reasonExpired)
	case refused.ClientRefused() && isDynamic(rec.Client) && rec.Refresh != "":
		key := clientKey(rec.Who, rec.Issuer)
		if err := h.m.opts.Store.Remove(ctx, store.Clients, key); err != nil && !errors.Is(err, store.ErrNotFound) {
			h.m.log.Warn("could not forget a client registration", "identity", rec.Identity, "err", err)
		}
		return h.tombstone(ctx, rec, "the authorization server has forgotten plait's registration, which the next sign-in makes anew")
	}
	return err
}

// isOf reports whether an error is of the token endpoint of an authorization server.
func isOf(err *grant.Error, server *discovery.Metadata) bool {
	return err.Endpoint == hostOf(server.TokenEndpoint)
}

// tombstone marks a grant as one that a person has to make anew. Nothing of it is deleted.
func (h *holder) tombstone(ctx context.Context, rec *record, reason string) error {
	next := rec.clone()
	next.State, next.Reason, next.Refresh = expired, reason, ""
	h.keep(ctx, nil, next)
	h.m.log.Warn("sign-in needed", "identity", rec.Identity, "issuer", hostOf(rec.Issuer), "reason", reason, "next", "plait auth login "+rec.Identity)
	return next.need()
}

// keep saves a record and uses it from now on. When it cannot be saved it is used all the same, and saved later: the
// refresh token in it is the only one that still works. The lock of the grant is held.
func (h *holder) keep(ctx context.Context, s *site, rec *record) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokenLimit)
	defer cancel()
	h.mu.Lock()
	generation, had := h.generation, h.unsaved
	h.mu.Unlock()
	kept := rec
	if s != nil && !s.identity.CacheAccessToken {
		kept = rec.clone()
		kept.Tokens = nil
	}
	saved, err := h.m.opts.Store.Save(ctx, store.Grants, h.key, generation, kept)
	if errors.Is(err, store.ErrConflict) {
		var now record
		if generation, err = h.m.opts.Store.Load(ctx, store.Grants, h.key, &now); err == nil {
			saved, err = h.m.opts.Store.Save(ctx, store.Grants, h.key, generation, kept)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.adoptOwn(rec, saved)
		return
	}
	h.adoptOwn(rec, h.generation)
	h.unsaved = true
	if !had {
		h.m.log.Error("could not save the renewed sign-in: it will be lost when plait ends",
			"identity", rec.Identity, "err", err, "id", IDNotKept, "next", "make room, or make the folder of credentials.path writable")
	}
}

// adoptOwn makes a record that this process made what is known here. h is locked.
func (h *holder) adoptOwn(rec *record, generation uint64) {
	h.unsaved = false
	h.adopt(rec, generation)
}

// note keeps the result of a token request: after an error there is none for a while.
func (h *holder) note(s *site, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.waits.Reset()
		h.until, h.err = time.Time{}, nil
		return
	}
	if _, ok := errors.AsType[*needError](err); ok {
		return
	}
	if _, ok := errors.AsType[*refusedAloneError](err); ok {
		return
	}
	wait := h.waits.NextBackOff()
	if refused, ok := errors.AsType[*grant.Error](err); ok {
		wait = max(wait, min(refused.RetryAfter, mostAsked))
	}
	h.until, h.err = time.Now().Add(wait), err
	h.m.log.Warn("no token was granted", "identity", s.identity.Name, "err", err, "retry", wait.Round(time.Millisecond))
}

// save writes what could not be written before.
func (h *holder) save(ctx context.Context) {
	unlock, err := h.hold(ctx) // somebody may have signed in meanwhile, which is newer
	if err != nil {
		return
	}
	defer unlock()
	h.mu.Lock()
	rec, unsaved := h.rec, h.unsaved
	var s *site
	for _, at := range h.stops {
		s = at.site // they are of one identity
	}
	h.mu.Unlock()
	if unsaved {
		h.keep(ctx, s, rec)
	}
}

// hostOf returns of an address what may be logged.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host + u.Path
}

// text returns an error for people: as a clause, without what only a program wants.
func text(err error) string {
	if refused, ok := errors.AsType[*grant.Error](err); ok && refused.Code != "" {
		if refused.Description != "" {
			return fmt.Sprintf("%s: %q", refused.Code, refused.Description)
		}
		return refused.Code
	}
	return err.Error()
}
