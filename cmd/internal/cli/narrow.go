package cli

import (
	"slices"
	"strings"

	"github.com/plait-mcp/plait/aggregator/catalog"
	"github.com/plait-mcp/plait/config"
)

// selection says which servers a command needs.
type selection func(cfg *config.Config, s *config.Server) bool

// named selects the servers with these names.
func named(cfg *config.Config, servers []string) (selection, error) {
	var names []string
	for _, s := range cfg.Servers {
		names = append(names, s.Name)
	}
	for _, server := range servers {
		if !slices.Contains(names, server) {
			return nil, usagef("there is no server %q in %s%s", server, cfg.Path, didYouMean(server, names))
		}
	}
	return func(_ *config.Config, s *config.Server) bool { return slices.Contains(servers, s.Name) }, nil
}

// exposing selects the servers that a tool or prompt with that exposed name can be on. A call of one tool
// then neither starts nor waits for all the others.
func exposing(name string) selection {
	return func(cfg *config.Config, s *config.Server) bool {
		prefix := catalog.NewNamer(cfg.Naming, cfg.Servers).Prefix(s.Name)
		return cfg.Naming.BareNames || strings.HasPrefix(strings.ToLower(name), strings.ToLower(prefix))
	}
}

// notNeeded is why a server of the configuration is not connected.
const notNeeded = "not needed"

// narrow returns a configuration that connects only the servers which are needed, and all if none is. The
// others stay, because the names of all depend on each, but as if they were misconfigured. It waits for
// those that are needed as long as they may take, and for all not longer than patience.
func narrow(cfg *config.Config, need selection) *config.Config {
	c := *cfg
	c.Startup.Wait = max(c.Startup.Wait, patience)
	if need == nil {
		return &c
	}
	c.Servers = nil
	found := false
	for _, s := range cfg.Servers {
		if need(cfg, s) {
			found = true
			c.Startup.Wait = max(c.Startup.Wait, s.ConnectTimeout)
		} else {
			other := *s
			other.Problems = config.Problems{{Pos: s.Pos, Msg: notNeeded}}
			s = &other
		}
		c.Servers = append(c.Servers, s)
	}
	if !found {
		return narrow(cfg, nil)
	}
	return &c
}

// isNotNeeded reports whether err, of a server's status, is that narrow left it out.
func isNotNeeded(err error) bool {
	problems, ok := err.(config.Problems) //nolint:errorlint // as narrow made it
	return ok && len(problems) == 1 && problems[0].Msg == notNeeded
}
