package aggregator

import (
	"context"
	"sync/atomic"
)

// link leads a person to sign in to one server.
type link struct {
	id   string      // the elicitationId
	url  string      // a page of plait
	told atomic.Bool // the client was asked to show it
}

// link returns the link to what is needed, nil when there is none soon.
func (s *Session) link(context.Context, SignIn) *link { return nil }
