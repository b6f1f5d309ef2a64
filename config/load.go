package config

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/knadh/koanf/maps"
	"github.com/knadh/koanf/v2"

	"github.com/plait-mcp/plait/config/tree"
)

// Options are what Load needs besides the file.
type Options struct {
	LookupEnv func(name string) (string, bool) // usually os.LookupEnv
	Profile   string                           // the profile to choose; "" for that named default, if there is one
	Servers   []string                         // the names of the servers to choose, nil for all

	// Keyring returns what ${keyring:SERVICE/KEY} stands for; nil refuses them all. An error is shown; one that is
	// fs.ErrNotExist says that there is no such entry.
	Keyring func(ctx context.Context, service, key string) (string, error)

	// AllProfiles says, of how clients come in, whether they may choose any profile; nil: they may not.
	AllProfiles func(h ServeHTTP) bool

	NoDefaultProfile bool // do not choose the profile default by itself
	Offline          bool // run no command, fetch nothing and ask no keyring: what a ${exec:…} or ${keyring:…} stands for is left out, unchecked
}

// Load reads and checks the file at path, and over it the local file beside it; see Parse.
func Load(ctx context.Context, path string, o Options) (*Config, error) {
	l := newLoader(path, o)
	l.look(path)
	data, err := tree.ReadFile(path, tree.MaxSize)
	if err != nil {
		l.problems = tree.FileProblem(path, err)
		return l.failed()
	}
	l.readLayers(ctx, data)
	l.readLocal(ctx)
	return l.check(ctx)
}

// Parse checks data as if it were the content of the file called name, whose extension tells the format and whose
// folder is where relative paths start. It reads the layers, dotenv files and secrets that data names, and looks
// whether other files exist. The error is of type Problems and holds all of them: an unreadable text or
// a mistake outside the servers or in one that is required, and then those in servers, too. Otherwise a mistake in a
// server is in that server's Problems, and the others load. Beside an error stands a Config of which only Path and
// Files are set: a change of one of them may have put things right.
func Parse(ctx context.Context, name string, data []byte, o Options) (*Config, error) {
	l := newLoader(name, o)
	l.readLayers(ctx, data)
	return l.check(ctx)
}

// loader holds what is found while one file is loaded.
type loader struct {
	name    string // of the file, as it was given
	path    string // the same, absolute
	env     lookup
	options Options

	layers  []*layer          // the lowest first
	files   []string          // see Config.Files
	leaves  []leaf            // by ref
	pos     map[string]place  // of every known key, by place.key; where it stands in the highest layer that has it
	shapes  shapes            // of structs
	values  map[string]any    // what the layers say together
	broken  map[string]bool   // by place.key: a problem was reported there or below
	servers map[string]*owner // by name
	order   []string          // names of servers in the order of the files

	identities map[string]*owner    // by name
	names      []string             // of identities in the order of the files
	decoded    map[string]*Identity // those that a server may use, by name
	profiles   []string             // names of profiles in the order of the files
	foreign    []place              // keys of other programs
	problems   Problems             // outside the servers
	warnings   Problems

	dotenv   map[string]string // of the top-level envFile
	commands bool              // allowCommands
	ran      map[string]ran    // what commands of secret references said
	scope    *owner            // whose values are being decoded; nil outside the servers and identities
}

// owner is what is known about a server or an identity besides its entry.
type owner struct {
	at       place
	envFile  map[string]string
	secrets  []Secret
	problems Problems
}

func newLoader(name string, o Options) *loader {
	l := &loader{
		name: name, env: o.LookupEnv, options: o,
		shapes: shapes{}, pos: map[string]place{}, broken: map[string]bool{}, servers: map[string]*owner{}, identities: map[string]*owner{}, decoded: map[string]*Identity{},
		ran: map[string]ran{}, dotenv: map[string]string{},
	}
	var err error
	if l.path, err = filepath.Abs(name); err != nil {
		l.path = name
	}
	return l
}

// check gives the layers a shape, merges, decodes and checks them.
func (l *loader) check(ctx context.Context) (*Config, error) {
	if len(l.problems) > 0 {
		return l.failed()
	}
	values, err := l.merge()
	if err != nil {
		return &Config{Path: l.path, Files: l.files}, err
	}
	cfg := l.load(ctx, values)
	mistaken := func(s *Server) bool { return s.Required && len(s.Problems) > 0 }
	if len(l.problems) > 0 || slices.ContainsFunc(cfg.Servers, mistaken) {
		l.problems = append(l.problems, cfg.Problems()...)
		return l.failed()
	}
	cfg.Path, cfg.Files = l.path, l.files
	cfg.spread()
	return cfg, nil
}

// failed returns what Load returns when it has problems.
func (l *loader) failed() (*Config, error) {
	return &Config{Path: l.path, Files: l.files}, l.problems.Sorted()
}

// merge gives every layer its shape and merges them, the lowest first.
func (l *loader) merge() (map[string]any, error) {
	var merged map[string]any
	keep := koanf.WithMergeFunc(func(layer, all map[string]any) error { // Raw would copy it all once more
		maps.Merge(layer, all)
		merged = all
		return nil
	})
	k := koanf.New(separator)
	for _, y := range l.layers {
		values, _ := l.shape(y.root, reflect.TypeFor[file](), place{pos: y.root.Pos, layer: y}).(map[string]any)
		if err := k.Load(shaped(values), nil, keep); err != nil {
			return nil, fmt.Errorf("merge %s: %w", y.name, err)
		}
	}
	prune(merged)
	return merged, nil
}

// shaped is the values of a layer, as a provider of koanf.
type shaped map[string]any

// Read implements koanf.Provider.
func (s shaped) Read() (map[string]any, error) { return s, nil }

// ReadBytes implements koanf.Provider; nobody calls it without a parser.
func (shaped) ReadBytes() ([]byte, error) { return nil, errors.ErrUnsupported }

// load decodes the values that the layers have together, and checks them.
func (l *loader) load(ctx context.Context, values map[string]any) *Config {
	l.values = values
	f := l.decodeFile(ctx)
	cfg := &Config{Startup: f.Startup, Reload: f.Reload, Log: f.Log, Naming: f.Naming, Limits: f.Limits, Serve: f.Serve, Credentials: f.Credentials, Auth: f.Auth}
	l.general(f, cfg)
	l.chooseProfile(f, cfg)
	views := l.views(f, cfg)
	entries, ok := values["mcpServers"].(map[string]any)
	cfg.Blank = !ok
	for _, name := range l.order {
		entry, ok := entries[name].(map[string]any)
		if !ok {
			l.forget(name) // a layer has removed it
			continue
		}
		with := slices.DeleteFunc(slices.Clone(views), func(view *Config) bool { return !l.lets(f, view.Profile, name) })
		s := l.server(ctx, name, entry, len(with) > 0)
		for _, view := range with {
			if s != nil {
				one := *s
				one.Profile = f.profile(view.Profile)
				view.Servers = append(view.Servers, &one)
			}
		}
	}
	for _, view := range views {
		l.finish(view.Servers)
	}
	cfg.Identities = l.identitiesInOrder()
	l.noticeForeign()
	switch {
	case len(cfg.Servers) > 0:
	case len(l.order) == 0:
		l.warnings = append(l.warnings, tree.WholeFile(l.name, IDNoServer, "no server is configured", "add one under mcpServers")...)
	default:
		l.warnings = append(l.warnings, tree.WholeFile(l.name, IDNoServer, "every server is disabled or not chosen", "enable one, or choose another profile")...)
	}
	cfg.Warnings = l.warnings.Sorted()
	return cfg
}

// server returns the server with that entry, nil when it is switched off or not chosen. Its mistakes do not matter
// then, and no secret of it is looked up.
func (l *loader) server(ctx context.Context, name string, entry map[string]any, chosen bool) *Server {
	known := l.servers[name]
	l.scope = known
	defer func() { l.scope = nil }()
	if l.isOff(ctx, name, entry) || !chosen {
		l.forget(name)
		return nil
	}
	entry = l.withDefaults(entry)
	l.readEnvFiles(ctx, entry, known.envFile)
	e := defaultEntry(name)
	l.decode(ctx, entry, e)
	l.complete(e, name)
	l.checkServer(&e.Server)
	l.chooseIdentity(ctx, e)
	sumFiles(&e.Server)
	return &e.Server
}
