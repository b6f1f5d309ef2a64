package aggregator

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/auth/flow"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

const (
	// linkPatience is how long a request waits for a link: the authorization server may have to be found first, and
	// plait to be registered there.
	linkPatience = 15 * time.Second
	// linkTime bounds that search, which goes on for the next request.
	linkTime = time.Minute
	// wakeTime bounds how long a server may take to come back after a sign-in until the client is told.
	wakeTime = 30 * time.Second
)

// link leads a person to sign in to one server. A client has one until that is done, or the link has expired.
type link struct {
	id    string        // the elicitationId
	ready chan struct{} // closed when flow is known, or will not be
	flow  *flow.Flow    // nil when there is none
	err   error         // of package auth: why there cannot be one, or that none is needed; readable after ready
	done  chan struct{} // closed when the person has signed in, or the link leads nowhere any more
	told  atomic.Bool   // the client was asked to show it
}

// superfluous reports whether somebody had signed in before there was a link.
func (l *link) superfluous() bool { return errors.Is(l.err, auth.ErrNotNeeded) }

// url returns the link: a page of plait.
func (l *link) url() string { return l.flow.Link() }

// errSignedIn ends the waiting for a sign-in.
var errSignedIn = errors.New("somebody has signed in")

// link returns the link to what is needed, nil when there is none soon. When there cannot be one, needed says why.
func (s *Session) link(ctx context.Context, needed *SignIn) *link {
	server := s.now.Load().byName[needed.Server]
	if s.agg.auth == nil || s.agg.alone || server == nil || needed.final || !s.follows() {
		return nil
	}
	l := s.linkTo(server, needed.scopes) //nolint:contextcheck // it outlives the request
	timer := time.NewTimer(linkPatience)
	defer timer.Stop()
	select {
	case <-l.ready:
		if l.flow != nil || l.superfluous() {
			return l
		}
		if id, _ := auth.Advice(l.err); id != "" {
			needed.ID, needed.reason, needed.final = id, l.err.Error(), true
		}
	case <-timer.C:
	case <-ctx.Done():
	case <-s.life().Done():
	}
	return nil
}

// follows reports whether a link leads anywhere where the client runs. Without auth.callback.publicUrl it leads to this
// machine: on another one nobody listens there, or somebody else.
func (s *Session) follows() bool {
	return !s.visitor.Remote || s.now.Load().cfg.Auth.Callback.PublicURL != ""
}

// linkTo returns the link to a server that the client has, or one that is being made.
func (s *Session) linkTo(server *upstream.Session, scopes []string) *link {
	key := server.Name() + " " + strings.Join(scopes, " ")
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.links[key]; have != nil {
		return have
	}
	l := &link{id: "plait-" + rand.Text(), ready: make(chan struct{}), done: make(chan struct{})}
	if s.closed {
		return l
	}
	s.links[key] = l
	s.work.Go(func() {
		defer close(l.done)
		s.lead(server, scopes, l)
		s.mu.Lock()
		delete(s.links, key)
		s.mu.Unlock()
	})
	return l
}

// lead makes a link, and tells a client that was asked to show it when the person has signed in, in any process.
func (s *Session) lead(server *upstream.Session, scopes []string, l *link) {
	ctx, cancel := context.WithCancelCause(s.life())
	defer cancel(nil)
	changed, tries := server.CredentialsChanged(), server.Tries()
	s.start(func() {
		select {
		case <-changed:
			cancel(errSignedIn)
		case <-ctx.Done():
		}
	})
	bounded, stop := context.WithTimeout(ctx, linkTime)
	started, err := s.agg.auth.Begin(bounded, server.Server(), auth.BeginOptions{Scopes: scopes})
	stop()
	if err != nil {
		if l.err = err; l.superfluous() {
			awaitReturn(s.life(), server, tries)
		} else {
			s.log.Warn("no link to sign in", "server", server.Name(), "err", err)
		}
		close(l.ready)
		return
	}
	l.flow = started
	close(l.ready)
	err = started.Wait(ctx)
	if err != nil && !errors.Is(context.Cause(ctx), errSignedIn) {
		return
	}
	awaitReturn(s.life(), server, tries) // the client will want to use it
	if l.told.Load() {
		s.out.send("", jsonrpc.NewNotification(protocol.ElicitComplete,
			jsonrpc.Set(jsonrpc.Raw("{}"), jsonrpc.Quote(l.id), "elicitationId")))
	}
}

// awaitReturn waits until a server that needed a sign-in has been tried with it, wakeTime at most. tries is from before.
func awaitReturn(ctx context.Context, server *upstream.Session, tries int) {
	if state := server.Status().State; state != upstream.SignIn && state != upstream.Connecting {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, wakeTime)
	defer cancel()
	_ = server.AwaitTried(ctx, tries) // too late is as good as down
}

// outlast waits for a person who is signing in, auth.callWait at most, and reports whether they are done: a request may
// be worth another try then, or they were done before there was a link. It waits for nobody who has only been shown a link.
func (l *link) outlast(ctx context.Context, patience time.Duration) bool {
	switch {
	case l == nil:
		return false
	case l.flow == nil:
		return true
	case patience <= 0 || !l.flow.Visited(ctx):
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-l.done:
		return true
	case <-ctx.Done():
		return false
	}
}
