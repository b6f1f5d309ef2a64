package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

// examine looks whether what was signed in can be read. It makes nothing that is not there.
func (x *accounts) examine(ctx context.Context, e *examination) {
	keys, err := x.store.List(ctx, store.Grants)
	if err == nil && len(keys) > 0 {
		var record json.RawMessage
		_, err = x.store.Load(ctx, store.Grants, keys[0], &record)
	}
	if err != nil {
		e.fail(stepStore, err.Error(), "correct credentials in the configuration, or sign in again with plait auth login")
		return
	}
	e.pass(stepStore, fmt.Sprintf("%s, %s", x.store.Backend(), count(len(keys), "sign-in")))
}

// report tells of the sign-in to a server that was, or was not, let in. It returns whether the handshake has more to tell.
func (x *accounts) report(ctx context.Context, s *config.Server, refused error, e *examination) bool {
	if _, next := auth.Advice(refused); next != "" {
		e.ends = exitCode(refused)
		x.explain(ctx, s, refused, e)
		return false
	}
	for _, now := range x.Status(ctx, []*config.Server{s}) {
		switch {
		case now.State == auth.StateAnonymous:
			e.skip("none is asked for", stepSignIn)
		case now.Issuer == "":
			e.pass(stepSignIn, "by the grant "+string(now.Grant))
		case now.Expires.IsZero():
			e.pass(stepSignIn, "at "+host(now.Issuer))
		default:
			e.pass(stepSignIn, fmt.Sprintf("at %s, the token is good for %s", host(now.Issuer), brief(max(0, time.Until(now.Expires)))))
		}
	}
	return true
}

// explain tells why there is no sign-in: what could not be found out, or else that nobody has signed in.
func (x *accounts) explain(ctx context.Context, s *config.Server, refused error, e *examination) {
	_, next := auth.Advice(refused)
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	if _, err := x.Explain(ctx, s); err != nil {
		if _, advice := auth.Advice(err); advice != "" {
			next = advice
		}
		e.fail(stepSignIn, err.Error(), next+"; plait auth explain "+s.Name+" shows each step")
		return
	}
	e.fail(stepSignIn, strings.TrimSuffix(refused.Error(), "; "+next), next)
}
