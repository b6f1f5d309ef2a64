package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/register"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/auth/wallet"
)

// needError says that a person has to sign in.
type needError struct{ id, reason string }

func (e *needError) Error() string { return e.reason }

// blame makes of an error one that somebody outside decides on, and remembers that requests do not reach the server.
// seen is when the grant was signed in to that the request was made with.
func (c *Client) blame(ctx context.Context, err error, seen time.Time) error {
	if ctx.Err() != nil {
		return err
	}
	if alone, ok := errors.AsType[*wallet.AloneError](err); ok {
		c.part(ctx)
		err = &needError{IDRequest, "its authorization server wants a sign-in for this server alone (" + text(alone.Err) + ")"}
	}
	if moved, ok := errors.AsType[*movedError](err); ok {
		c.changeBond(ctx, func(b *bond) { b.Moved = moved.to })
	}
	out := c.site.typed(err)
	c.mu.Lock()
	c.blocked, c.seen = out, seen
	c.mu.Unlock()
	c.site.m.attend()
	c.follow(ctx) // somebody may have signed in while this was found out
	return out
}

// typed returns the error of this package that stands for err.
func (s *site) typed(err error) error {
	server, identity := s.server.Name, s.identity.Name
	unavailable := func(reason string, wait time.Duration) error {
		return &UnavailableError{Server: server, Identity: identity, ID: IDUnavailable, Reason: reason, RetryAfter: wait}
	}
	refused := func(id, reason, advice string) error {
		return &RefusedError{Server: server, Identity: identity, ID: id, Reason: reason, Advice: advice}
	}
	wait := time.Duration(0)
	if paused, ok := errors.AsType[*wallet.PausedError](err); ok {
		wait = paused.Wait
	}
	if reason, advice, ok := storeTrouble(err); ok {
		return &UnavailableError{Server: server, Identity: identity, ID: IDUnavailable, Reason: reason, Advice: advice, RetryAfter: wait}
	}
	if need, ok := errors.AsType[*needError](err); ok {
		return &LoginRequiredError{Server: server, Identity: identity, ID: need.id, Reason: need.reason}
	}
	if over, ok := errors.AsType[*wallet.ExpiredError](err); ok {
		return &LoginRequiredError{Server: server, Identity: identity, ID: IDExpired, Reason: over.Reason}
	}
	if moved, ok := errors.AsType[*movedError](err); ok {
		return s.movedTo(moved)
	}
	if n, ok := errors.AsType[*narrowError](err); ok {
		return &StepUpRequiredError{Server: server, Identity: identity, ID: IDStepUp, Missing: n.missing, Scopes: n.all, Again: n.again}
	}
	if setup, ok := errors.AsType[*grant.SetupError](err); ok {
		return refused(IDSource, setup.Error(), "set "+setup.Key+" of identity "+identity)
	}
	if e, ok := errors.AsType[*grant.Error](err); ok {
		if e.Temporary {
			return unavailable(reasonOf(e), wait)
		}
		return s.refusal(e)
	}
	if out := s.typedDiscovery(err); out != nil {
		return out
	}
	switch {
	case errors.Is(err, errRejected), errors.Is(err, wallet.ErrVain):
		return refused(IDTokenRefused, err.Error()+" (audience or scope?)", "run plait auth explain "+server)
	case errors.Is(err, wallet.ErrNoGrant):
		return &LoginRequiredError{Server: server, Identity: identity, ID: IDSignIn, Reason: err.Error()}
	case isTyped(err):
		return err
	}
	return unavailable(err.Error(), wait)
}

// isTyped reports whether an error is one of those outside decide on already.
func isTyped(err error) bool {
	id, _ := Advice(err)
	return id != ""
}

// movedTo is the error of a server that has another authorization server now. A client that somebody registered by hand
// does not exist there (MCP 2026-07-28, AS Binding).
func (s *site) movedTo(e *movedError) error {
	if s.identity.ClientID != "" {
		return &RefusedError{
			Server: s.server.Name, Identity: s.identity.Name, ID: IDMoved, Reason: e.Error(),
			Advice: "register a client there and set clientId, then run plait auth reset " + s.identity.Name,
		}
	}
	return &LoginRequiredError{Server: s.server.Name, Identity: s.identity.Name, ID: IDMoved, Reason: e.Error()}
}

// refusal is the error of an authorization server that says no for good.
func (s *site) refusal(e *grant.Error) error {
	out := &RefusedError{Server: s.server.Name, Identity: s.identity.Name}
	name := s.identity.Name
	switch {
	case e.ClientRefused():
		out.ID, out.Reason = IDClientRefused, "the authorization server refused the client"+lastOf(s.identity.ClientID)+" ("+text(e)+")"
		out.Advice = "check clientId, clientSecret and auth of identity " + name
	case e.ScopeRefused():
		out.ID, out.Reason = IDRequest, "the authorization server refused the scopes ("+text(e)+")"
		out.Advice = "set scopes of identity " + name
	case e.ResourceRefused():
		out.ID, out.Reason = IDRequest, "the authorization server refused the resource ("+text(e)+")"
		out.Advice = "set resource: omit, or the right one, for identity " + name
	case e.GrantRefused():
		out.ID, out.Reason = IDClientRefused, "the authorization server refused what was shown ("+text(e)+")"
		out.Advice = "check assertion, subject or the given tokens of identity " + name
	default:
		out.ID, out.Reason = IDRequest, e.Error()
		out.Advice = "run plait auth explain " + s.server.Name
	}
	return out
}

// lastOf tells a client id apart without showing all of it.
func lastOf(id string) string {
	const shown = 4
	if len(id) <= shown {
		return ""
	}
	return " …" + id[len(id)-shown:]
}

// reasonOf says in short why a token request did not work for now.
func reasonOf(e *grant.Error) string {
	if e.Cause != nil {
		return e.Cause.Error()
	}
	return fmt.Sprintf("its authorization server answers %d", e.Status)
}

// typedDiscovery is typed for what was found out about the authorization server; nil for other errors.
func (s *site) typedDiscovery(err error) error {
	explain := "run plait auth explain " + s.server.Name
	out := &RefusedError{Server: s.server.Name, Identity: s.identity.Name, ID: IDMetadata, Reason: err.Error(), Advice: explain}
	if _, ok := errors.AsType[*discovery.UnavailableError](err); ok {
		return &UnavailableError{Server: s.server.Name, Identity: s.identity.Name, ID: IDUnavailable, Reason: err.Error()}
	}
	if _, ok := errors.AsType[*discovery.NotOAuthError](err); ok {
		out.ID, out.Reason = IDNotOAuth, "the server wants authentication but offers no OAuth metadata"
		out.Advice = "set headers of the server, or an identity of grant: header or basic"
		return out
	}
	if _, ok := errors.AsType[*discovery.BlockedError](err); ok {
		out.Advice = "set allowPrivateIssuer: true for identity " + s.identity.Name + " if that is right"
		return out
	}
	if _, ok := errors.AsType[*discovery.PKCEError](err); ok {
		out.Advice = "set assumePKCE: true for identity " + s.identity.Name + " if that is right"
		return out
	}
	if isMetadata(err) {
		return out
	}
	if moved, ok := errors.AsType[*register.MovedError](err); ok {
		return s.movedTo(&movedError{from: moved.From, to: moved.To})
	}
	if isRegistration(err) {
		out.ID = IDRegistration
		return out
	}
	return nil
}

// isRegistration reports whether plait cannot become a client of an authorization server.
func isRegistration(err error) bool {
	_, none := errors.AsType[*register.NoClientError](err)
	_, token := errors.AsType[*register.TokenRequiredError](err)
	_, refused := errors.AsType[*register.RefusedError](err)
	_, redirect := errors.AsType[*register.RedirectError](err)
	_, document := errors.AsType[*register.DocumentError](err)
	return none || token || refused || redirect || document
}

// isMetadata reports whether what a server or an authorization server says of itself cannot be used.
func isMetadata(err error) bool {
	_, issuer := errors.AsType[*discovery.IssuerError](err)
	_, resource := errors.AsType[*discovery.ResourceError](err)
	_, other := errors.AsType[*discovery.MetadataError](err)
	return issuer || resource || other
}

// isMissing reports whether a record is not there.
func isMissing(err error) bool { return errors.Is(err, store.ErrNotFound) }

// storeTrouble tells of an error that what is saved cannot be read or written, and what to do, which stands behind a
// semicolon in its text. It is false for other errors.
func storeTrouble(err error) (reason, advice string, ok bool) {
	var text string
	if key, is := errors.AsType[*store.KeyError](err); is {
		text = key.Error()
	} else if unsafe, is := errors.AsType[*store.UnsafeError](err); is {
		text = unsafe.Error()
	} else if write, is := errors.AsType[*store.WriteError](err); is {
		text = write.Error() + "; make room, or make the folder of credentials.path writable"
	}
	reason, advice, _ = strings.Cut(text, "; ")
	return reason, advice, text != ""
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
