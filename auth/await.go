package auth

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/plait-mcp/plait/auth/flow"
	"github.com/plait-mcp/plait/auth/register"
	"github.com/plait-mcp/plait/auth/store"
)

// Codes of errors of an authorization server that plait has another way for.
const (
	codeTarget = "invalid_target" // RFC 8707
	codeScope  = "invalid_scope"
)

// codesClient are how an authorization server says that it does not know the client.
var codesClient = []string{"invalid_client", "unauthorized_client"}

// await waits for the end of a sign-in that this process began, and remembers what it tells for the next one.
func (m *Manager) await(ctx context.Context, b *begun) {
	err := b.flow.Wait(ctx)
	if ctx.Err() == nil {
		m.learn(ctx, b, err)
	}
}

// learn remembers how a sign-in ended for the next one, and returns whether that one may go better.
func (m *Manager) learn(ctx context.Context, b *begun, err error) (better bool) {
	if err == nil || b.joined {
		return false
	}
	p, s, client := b.plan, b.plan.site, b.client
	change := func(f func(*bond)) bool {
		changed := false
		_, failed := s.putBond(ctx, func(b *bond) {
			if b.Found == nil {
				b.Found = p.bond.Found
			}
			before := *b
			f(b)
			changed = before.Alone != b.Alone || before.NoResource != b.NoResource || before.NoOffline != b.NoOffline
		})
		return changed && failed == nil
	}
	code := codeOf(err)
	_, denied := errors.AsType[*flow.DeniedError](err)
	switch {
	case denied:
		change(func(b *bond) { b.State = declined })
	case code == codeTarget && len(p.resources()) > 1:
		return s.identity.OneLogin != "always" && change(func(b *bond) { b.Alone = true })
	case code == codeTarget && s.endpoint(p.bond.Found.Server, client).MayOmitResource():
		return change(func(b *bond) { b.NoResource = true })
	case code == codeScope:
		if _, ok := s.endpoint(p.bond.Found.Server, client).Narrower(p.scopes); ok {
			return change(func(b *bond) { b.NoOffline = true })
		}
	case slices.Contains(codesClient, code) && isDynamic(client), errors.Is(err, flow.ErrExpired) && isOld(client):
		return s.forgetClient(ctx, client) && code != ""
	}
	return false
}

// codeOf returns the code of the error that a sign-in ended with, "" for none.
func codeOf(err error) string {
	if answered, ok := errors.AsType[*flow.ResponseError](err); ok {
		return answered.Code
	}
	if failed, ok := errors.AsType[*flow.FailedError](err); ok {
		return failed.Code
	}
	return ""
}

// isOld reports whether a client was not registered for the sign-in that it was used in: its authorization server may
// have forgotten it, and shows that to the person only (row M9 of the failures).
func isOld(c *register.Client) bool {
	const sameSignIn = time.Hour
	return isDynamic(c) && time.Since(c.IssuedAt) > sameSignIn
}

// forgetClient has the next sign-in register anew, unless another client is registered already.
func (s *site) forgetClient(ctx context.Context, client *register.Client) bool {
	key := clientKey(s.who, client.Issuer)
	unlock, err := s.m.opts.Store.Lock(ctx, "client-"+key)
	if err != nil {
		return false
	}
	defer unlock()
	known := &register.Client{}
	if _, err := s.m.opts.Store.Load(ctx, store.Clients, key, known); err != nil || known.ID != client.ID {
		return err == nil
	}
	s.m.log.Info("the client registration is dropped: the next sign-in registers anew", "identity", s.identity.Name, "issuer", hostOf(client.Issuer))
	return s.m.opts.Store.Remove(ctx, store.Clients, key) == nil
}
