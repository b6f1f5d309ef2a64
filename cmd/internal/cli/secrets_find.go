package cli

import (
	"context"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

// secrets returns what resolves ${keyring:SERVICE/KEY} in one configuration. Its own credentials say where to look, so
// they are read first, without anything that has to be resolved elsewhere.
func (a *app) secrets() func(ctx context.Context, service, key string) (string, error) {
	var once sync.Once
	var s *store.Store
	var err error
	return func(ctx context.Context, service, key string) (string, error) {
		once.Do(func() { s, err = a.openStore(a.credentials(ctx), hclog.NewNullLogger()) })
		if err != nil {
			return "", err
		}
		return s.Secret(ctx, service, key)
	}
}

// credentials returns what the configuration says of where to keep what was signed in, or the defaults when there is
// no configuration that can be read.
func (a *app) credentials(ctx context.Context) config.Credentials {
	o := config.Options{LookupEnv: a.env.LookupEnv, Profile: a.profile, Offline: true}
	file := a.configFile
	if file == "" {
		file, _ = config.Find(a.env.LookupEnv)
	}
	if file != "" {
		if cfg, _ := config.Load(ctx, file, o); cfg != nil && cfg.Credentials.Store != "" {
			return cfg.Credentials
		}
	}
	o.Profile, o.NoDefaultProfile = "", true
	cfg, err := config.Parse(ctx, "plait.json", []byte(`{"mcpServers": {}}`), o)
	if err != nil {
		return config.Credentials{}
	}
	return cfg.Credentials
}
