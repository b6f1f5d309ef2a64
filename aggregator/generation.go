package aggregator

import (
	"time"

	"github.com/plait-mcp/plait/aggregator/catalog"
	"github.com/plait-mcp/plait/config"
)

// generation is one configuration and what follows from it alone. It is immutable.
type generation struct {
	number int // counts from 1
	since  time.Time
	cfg    *config.Config
	namer  *catalog.Namer
}

func newGeneration(number int, cfg *config.Config) *generation {
	return &generation{number: number, since: time.Now(), cfg: cfg, namer: catalog.NewNamer(cfg.Naming, cfg.Servers)}
}

// alone reports whether one server is configured: what it says cannot be mistaken for another's.
func (g *generation) alone() bool { return len(g.cfg.Servers) == 1 }

// transparent reports whether the one server that is configured passes its names unchanged.
func (g *generation) transparent() bool { return g.namer.Passthrough() }

// direct reports whether everything that the one server does is for the client that asked.
func (g *generation) direct() bool { return g.alone() && !g.cfg.Servers[0].Shared }
