package cli

import (
	"cmp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plait-mcp/plait/config"
)

func newAuth(a *app) *cobra.Command {
	c := group("auth", "Sign in to servers, see who is signed in, and sign out",
		newAuthLogin(a), newAuthStatus(a), newAuthLogout(a), newAuthReset(a), newAuthRefresh(a), newAuthPaste(a),
		newAuthExplain(a), newAuthToken(a))
	c.Long = `Sign in to servers, see who is signed in, and sign out.

NAME is that of a server or of an identity in the configuration, or the URL of a server of plait connect. plait help auth tells how signing in works, plait help remote
how to do it on a machine without a browser.`
	return c
}

// chosen are servers with URLs, in the order of the configuration, and those of one identity together.
type chosen []*config.Server

// choose returns the servers that names mean, each the name of a server or of an identity; all when there are none.
func choose(cfg *config.Config, names []string) (chosen, error) {
	var found chosen
	if len(names) == 0 {
		for _, s := range cfg.Servers {
			if s.Identity != nil {
				found = append(found, s)
			}
		}
	}
	for _, name := range names {
		meant, err := mean(cfg, name)
		if err != nil {
			return nil, err
		}
		for _, s := range meant {
			if !slices.Contains(found, s) {
				found = append(found, s)
			}
		}
	}
	return found.together(), nil
}

// together returns the servers so that those of one identity follow one another.
func (c chosen) together() chosen {
	first := map[string]int{}
	for i, s := range c {
		if _, seen := first[s.Identity.Name]; !seen {
			first[s.Identity.Name] = i
		}
	}
	slices.SortStableFunc(c, func(x, y *config.Server) int { return cmp.Compare(first[x.Identity.Name], first[y.Identity.Name]) })
	return c
}

// mean returns the servers of an identity with that name, else the server with that name.
func mean(cfg *config.Config, name string) (chosen, error) {
	var servers chosen
	var names []string
	for _, s := range cfg.Servers {
		switch {
		case s.Name == name && s.Identity == nil:
			return nil, usagef("server %q is a command: it takes its credentials from the environment; set them in env or envFile", name)
		case s.Identity == nil:
			continue
		case s.Identity.Name == name || s.Name == name:
			servers = append(servers, s)
		}
		names = append(names, s.Name)
	}
	if len(servers) > 0 {
		return servers, nil
	}
	for _, i := range cfg.Identities {
		if i.Name == name {
			return nil, usagef("no server uses the identity %q now; set identity: %s for one, or look at its when", name, name)
		}
		names = append(names, i.Name)
	}
	hint := didYouMean(name, names)
	if hint == "" {
		hint = "; for a server of plait connect give its URL"
	}
	return nil, usagef("there is no server and no identity %q in %s%s", name, cfg.Path, hint)
}

// sound returns an error that says what is wrong with the configuration of the servers, if something is.
func (c chosen) sound() error {
	var problems config.Problems
	for _, s := range c {
		for _, p := range s.Problems {
			if !slices.Contains(problems, p) { // those of an identity are those of all its servers
				problems = append(problems, p)
			}
		}
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// names returns the names of the servers.
func (c chosen) names() string {
	all := make([]string, len(c))
	for i, s := range c {
		all[i] = s.Name
	}
	return strings.Join(all, ", ")
}
