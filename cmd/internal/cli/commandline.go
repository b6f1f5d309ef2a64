package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/plait-mcp/plait/config"
)

// terms are what a command line calls the keys of a configuration that is made of it.
type terms struct {
	server string // the one that the command line is about, "" for none
	flags  []keyFlag
}

// keyFlag is the flag that a key, or all that begin with it, come from.
type keyFlag struct{ key, flag string }

// parse checks what a command line says as if it stood in a file, and takes variables from lookupEnv. Problems are said in
// terms of the command line.
func (a *app) parse(ctx context.Context, file map[string]any, lookupEnv func(string) (string, bool), t *terms) (*config.Config, error) {
	text, err := json.Marshal(file)
	if err != nil {
		return nil, fmt.Errorf("make the configuration: %w", err)
	}
	cfg, err := config.Parse(ctx, "plait.local.json", text, // local: nobody shares a command line
		config.Options{LookupEnv: lookupEnv, Keyring: a.secrets()})
	if err != nil {
		return nil, t.translate(err)
	}
	if problems := cfg.Problems(); len(problems) > 0 {
		return nil, t.translate(problems)
	}
	a.redact.learn(cfg)
	return cfg, nil
}

// translate says problems of a configuration in terms of the command line.
func (t *terms) translate(err error) error {
	problems, ok := err.(config.Problems) //nolint:errorlint // as Parse returns it
	if !ok {
		return err
	}
	var said []string
	for _, p := range problems {
		path := strings.TrimPrefix(strings.TrimPrefix(p.Path, "mcpServers."+t.server+"."), "identities."+t.server)
		path = strings.TrimPrefix(path, ".")
		for _, f := range t.flags {
			if rest, ok := strings.CutPrefix(path, f.key); ok {
				path = strings.TrimRight(f.flag+rest, "[]0123456789")
				break
			}
		}
		p.Pos, p.Path = config.Pos{}, path
		p.Hint = strings.ReplaceAll(p.Hint, "allowHttp: true", "--allow-http")
		if p.ID == config.IDGrantNeeds {
			p.Hint = "write --static-oauth-client-info @FILE, or set OAUTH2_CLIENT_ID and OAUTH2_CLIENT_SECRET"
		}
		said = append(said, p.Error())
	}
	return usagef("%s", strings.Join(said, "\n"))
}
