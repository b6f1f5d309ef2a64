package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/plait-mcp/plait/config/tree"
)

// defaultProfile is chosen when it exists and no other is.
const defaultProfile = "default"

// chooseProfile finds the profile that the options choose. It checks all profiles.
func (l *loader) chooseProfile(f *file, cfg *Config) {
	for _, name := range l.profiles {
		if p := f.Profiles[name]; p != nil {
			l.checkProfile(name, p)
		}
	}
	cfg.Profile = l.options.Profile
	if _, ok := f.Profiles[defaultProfile]; ok && cfg.Profile == "" && !l.options.NoDefaultProfile {
		cfg.Profile = defaultProfile
	}
	if cfg.Profile != "" && f.Profiles[cfg.Profile] == nil {
		l.problems = append(l.problems, tree.WholeFile(l.name, IDProfile, fmt.Sprintf("there is no profile %q", cfg.Profile),
			didYouMean(cfg.Profile, sortedKeys(f.Profiles), "write it under profiles, or name another one"))...)
	}
	for _, name := range l.options.Servers {
		if !slices.Contains(l.order, name) {
			l.problems = append(l.problems, tree.WholeFile(l.name, IDNoSuchServer, fmt.Sprintf("there is no server %q", name),
				didYouMean(name, l.order, "write it under mcpServers, or name another one"))...)
		}
	}
}

// views returns cfg, and a Config for each profile when the options want them. Only Profile is set there.
func (l *loader) views(f *file, cfg *Config) []*Config {
	views := []*Config{cfg}
	if l.options.AllProfiles == nil || !l.options.AllProfiles(cfg.Serve.HTTP) {
		return views
	}
	cfg.Profiles = map[string]*Config{}
	for _, name := range sortedKeys(f.Profiles) {
		if f.Profiles[name] != nil {
			view := &Config{Profile: name}
			cfg.Profiles[name] = view
			views = append(views, view)
		}
	}
	return views
}

// lets reports whether a profile, "" for none, and the options let a server through.
func (l *loader) lets(f *file, profile, server string) bool {
	p := f.Profiles[profile]
	return (l.options.Servers == nil || slices.Contains(l.options.Servers, server)) &&
		(p == nil || p.Servers == nil || slices.Contains(p.Servers, server))
}

// finish checks what the servers of a view are to each other, and gives them their problems. It leaves those that the
// servers have in other views alone.
func (l *loader) finish(servers []*Server) {
	own, broken := map[string]Problems{}, maps.Clone(l.broken)
	for _, s := range servers {
		own[s.Name] = l.servers[s.Name].problems
	}
	l.checkPrefixes(servers)
	for _, s := range servers {
		owner := l.servers[s.Name]
		s.Problems, s.Secrets = owner.problems.Sorted(), owner.secrets
		owner.problems = own[s.Name]
	}
	l.broken = broken
}

// spread gives the views of profiles what holds for the whole file.
func (c *Config) spread() {
	for _, view := range c.Profiles {
		name, servers := view.Profile, view.Servers
		*view = *c
		view.Profile, view.Servers, view.Profiles = name, servers, nil
	}
}

// AllServers returns the servers of all profiles, each once: as they are here, those that are only there without the
// rules of a profile.
func (c *Config) AllServers() []*Server {
	all, known := slices.Clone(c.Servers), serversByName(c.Servers)
	for _, name := range sortedKeys(c.Profiles) {
		for _, s := range c.Profiles[name].Servers {
			if known[s.Name] != nil {
				continue
			}
			one := *s
			one.Profile = Profile{}
			all, known[s.Name] = append(all, &one), &one
		}
	}
	return all
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
