package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/plait-mcp/plait/config/tree"
)

// defaultProfile is chosen when it exists and no other is.
const defaultProfile = "default"

// choice finds the profile that the options choose and returns which servers it and they let through. It checks all
// profiles.
func (l *loader) choice(f *file, cfg *Config) func(server string) bool {
	for _, name := range l.profiles {
		if p := f.Profiles[name]; p != nil {
			l.checkProfile(name, p)
		}
	}
	cfg.Profile = l.options.Profile
	if _, ok := f.Profiles[defaultProfile]; ok && cfg.Profile == "" && !l.options.NoDefaultProfile {
		cfg.Profile = defaultProfile
	}
	chosen := f.Profiles[cfg.Profile]
	if cfg.Profile != "" && chosen == nil {
		l.problems = append(l.problems, tree.WholeFile(l.name, IDProfile, fmt.Sprintf("there is no profile %q", cfg.Profile),
			didYouMean(cfg.Profile, sortedKeys(f.Profiles), "write it under profiles, or name another one"))...)
	}
	for _, name := range l.options.Servers {
		if !slices.Contains(l.order, name) {
			l.problems = append(l.problems, tree.WholeFile(l.name, IDNoSuchServer, fmt.Sprintf("there is no server %q", name),
				didYouMean(name, l.order, "write it under mcpServers, or name another one"))...)
		}
	}
	return func(server string) bool {
		return (l.options.Servers == nil || slices.Contains(l.options.Servers, server)) &&
			(chosen == nil || chosen.Servers == nil || slices.Contains(chosen.Servers, server))
	}
}

// profile returns the profile of that name; the zero Profile lets everything through.
func (f *file) profile(name string) Profile {
	if p := f.Profiles[name]; p != nil {
		return *p
	}
	return Profile{}
}

func (l *loader) checkProfile(name string, p *Profile) {
	for i, server := range p.Servers {
		if at := l.place("profiles", name, "servers", strconv.Itoa(i)); !slices.Contains(l.order, server) {
			l.fault(at, IDNoSuchServer, fmt.Sprintf("there is no server %q", l.source(at, server)),
				didYouMean(server, l.order, "write the name of one under mcpServers"))
		}
	}
	if p.Tools.Unannotated == "" && !l.isBroken("profiles", name, "tools", "unannotated") {
		p.Tools.Unannotated = unannotatedHide
	}
	l.checkRules("tools", &p.Tools, "profiles", name)
	l.checkRules("prompts", &p.Prompts, "profiles", name)
	l.checkRules("resources", &p.Resources, "profiles", name)
}

// didYouMean returns a hint for a name that is none of those there are.
func didYouMean(name string, names []string, otherwise string) string {
	if meant := nearest(name, names); meant != "" {
		return fmt.Sprintf("did you mean %q?", meant)
	}
	const few = 8
	if len(names) > 0 && len(names) <= few {
		return "there are " + strings.Join(names, ", ")
	}
	return otherwise
}
