package aggregator

import (
	"maps"
	"slices"
	"time"

	"github.com/plait-mcp/plait/aggregator/catalog"
	"github.com/plait-mcp/plait/config"
)

// configuration is what clients can have at one moment: a generation for each profile, all of the same number. It is
// immutable.
type configuration struct {
	*generation // of the profile of the configuration

	profiles map[string]*generation
	none     *generation // of a profile that is gone
}

func newConfiguration(number int, cfg *config.Config) *configuration {
	c := &configuration{generation: newGeneration(number, cfg), profiles: make(map[string]*generation, len(cfg.Profiles))}
	for name, view := range cfg.Profiles {
		c.profiles[name] = newGeneration(number, view)
	}
	nothing := *cfg
	nothing.Servers = nil
	c.none = newGeneration(number, &nothing)
	c.none.gone = true
	return c
}

// of returns the generation of a profile, "" for that of the configuration.
func (c *configuration) of(profile string) *generation {
	if profile == "" {
		return c.generation
	}
	if g := c.profiles[profile]; g != nil {
		return g
	}
	return c.none
}

// names returns the names of the profiles, sorted.
func (c *configuration) names() []string { return slices.Sorted(maps.Keys(c.profiles)) }

// servers returns the servers as each profile has them.
func (c *configuration) servers() []*config.Server {
	all := slices.Clone(c.cfg.Servers)
	for _, name := range c.names() {
		all = append(all, c.profiles[name].cfg.Servers...)
	}
	return all
}

// generation is one configuration, as a profile shows it, and what follows from it alone. It is immutable.
type generation struct {
	number int // counts from 1
	since  time.Time
	cfg    *config.Config
	namer  *catalog.Namer
	gone   bool // there is no such profile any more
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
