package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

// ownToken is the record of the token that plait makes for clients of its endpoint.
type ownToken struct {
	Token string `json:"token"`
}

// ownKey is the key of the record: all endpoints of a user have one token.
const ownKey = "serve.http.auth"

// newOwnToken makes a token of 130 random bits, with a name by which scanners for secrets find it.
func newOwnToken() ownToken { return ownToken{"plait_" + rand.Text()} }

// ownToken returns the token that plait makes, and makes it when there is none. Of several processes that make one at the
// same time one wins.
func (a *app) ownToken(ctx context.Context, c config.Credentials, kept *store.Store) (config.Secret, error) {
	if c.Path == "" || c.Store == "memory" {
		return "", usagef("the token for clients cannot be kept: credentials.store is memory; write auto, or give a token by serve.http.auth: {bearer: ${TOKEN}}")
	}
	var t ownToken
	_, err := kept.Load(ctx, store.Tokens, ownKey, &t)
	if errors.Is(err, store.ErrNotFound) {
		t = newOwnToken()
		_, err = kept.Save(ctx, store.Tokens, ownKey, 0, t)
		if errors.Is(err, store.ErrConflict) { // somebody else has made one
			_, err = kept.Load(ctx, store.Tokens, ownKey, &t)
		}
	}
	if err != nil {
		return "", fmt.Errorf("the token for clients cannot be kept: %w; or give one by serve.http.auth: {bearer: ${TOKEN}}", err)
	}
	a.redact.note(t.Token)
	return config.Secret(t.Token), nil
}

// printToken prints the token that clients have to send to stdout, and how to use it to stderr. fresh has plait make
// another one.
func (a *app) printToken(ctx context.Context, d *doors, fresh bool) error {
	cfg := &config.Config{Credentials: a.credentials(ctx)}
	if _, err := config.Find(a.env.LookupEnv); err == nil || a.configFile != "" {
		if cfg, err = a.load(ctx, a.configFile); err != nil {
			return err
		}
	}
	s, _, err := d.over(ctx, a, cfg.Serve.HTTP)
	if err != nil {
		return err
	}
	if fresh && s.Auth.Bearer != "" {
		return usagef("the token is given by the configuration, or by --auth; replace it there")
	}
	token := s.Auth.Bearer
	if token == "" {
		kept, err := a.openStore(cfg.Credentials, hclog.New(&hclog.LoggerOptions{Name: "plait", Level: hclog.Warn, Output: a.talk}))
		if err != nil {
			return err
		}
		defer kept.Close()
		if fresh {
			err = kept.Put(ctx, store.Tokens, ownKey, newOwnToken())
		}
		if err == nil {
			token, err = a.ownToken(ctx, cfg.Credentials, kept)
		}
		if err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(a.env.Out, token.Reveal()); err != nil {
		return err
	}
	a.say("clients send it in the header Authorization of every request, after the word Bearer")
	if s.Auth == (config.ServeAuth{}) {
		a.say("nobody asks for it yet: write serve.http.auth: bearer into the configuration, or add --auth bearer")
	}
	if fresh {
		a.say("the former token is not accepted any more, and sessions that were opened with it end")
	}
	return nil
}
