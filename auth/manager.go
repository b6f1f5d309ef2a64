package auth

import (
	"context"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/config"
)

// Options are what a Manager needs. The zero value works: everything is kept in memory and nothing is logged.
type Options struct {
	Auth      config.Auth
	LookupEnv func(string) (string, bool) // nil: no variable is set
	Version   string                      // of plait
	Log       hclog.Logger
}

// Manager holds who plait is to each server. Any goroutine may use it.
type Manager struct {
	opts   Options
	ctx    func() context.Context // of the Manager
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// NewManager returns a Manager. What it does by itself ends with ctx or Close. It waits for nothing.
func NewManager(ctx context.Context, opts Options) *Manager {
	if opts.Log == nil {
		opts.Log = hclog.NewNullLogger()
	}
	if opts.LookupEnv == nil {
		opts.LookupEnv = func(string) (string, bool) { return "", false }
	}
	ctx, cancel := context.WithCancel(ctx)
	return &Manager{opts: opts, ctx: func() context.Context { return ctx }, cancel: cancel}
}

// Close ends what the Manager does by itself and waits for it: a token that is being renewed is still saved, at most
// 30 seconds long. The clients may not be used any more.
func (m *Manager) Close() {
	m.cancel()
	m.work.Wait()
}
