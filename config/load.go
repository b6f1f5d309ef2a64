package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// Options are what Load needs besides the file.
type Options struct {
	LookupEnv func(name string) (string, bool) // usually os.LookupEnv
	Profile   string                           // the profile to choose, "" for none
	Servers   []string                         // the names of the servers to choose, nil for all
}

// Load reads and checks the file at path; see Parse. It also reads the layers and dotenv files that the file names and
// looks whether files exist.
func Load(ctx context.Context, path string, o Options) (*Config, error) {
	data, err := readFile(path, maxSize)
	if err != nil {
		return nil, fileProblem(path, err)
	}
	return Parse(ctx, path, data, o)
}

// Parse checks data as if it were the content of the file called name, whose extension tells the format and whose
// folder is where relative paths start. The error is of type Problems and holds all of them: an unreadable text or
// a mistake outside the servers, and then those in servers, too. Otherwise a mistake in a server is in that server's
// Problems, and the others load.
func Parse(_ context.Context, name string, data []byte, o Options) (*Config, error) {
	root, bad := parseTree(name, data)
	if len(bad) > 0 {
		return nil, bad.sorted()
	}
	if root.kind != object && root.kind != null {
		return nil, Problems{{Pos: root.pos, Msg: fmt.Sprintf("the file holds %s", root.kind), Hint: "write a map with the key mcpServers"}}
	}
	absolute, err := filepath.Abs(name)
	if err != nil {
		return nil, whole(name, err.Error(), "")
	}
	l := &loader{
		name: name, dir: filepath.Dir(absolute), own: isOwn(name), env: o.LookupEnv,
		pos: map[string]place{}, servers: map[string]*server{}, broken: map[string]bool{},
	}
	cfg, err := l.load(root)
	if err != nil {
		return nil, whole(name, err.Error(), "please report this")
	}
	if len(l.problems) > 0 {
		return nil, append(l.problems, cfg.Problems()...).sorted()
	}
	cfg.Path = absolute
	return cfg, nil
}

// readFile reads a file that is not larger than limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errIsFolder
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("is larger than %d MiB", limit>>20)
	}
	return data, err
}

var errIsFolder = errors.New("is a folder, not a file")

func fileProblem(path string, err error) Problems {
	if errors.Is(err, fs.ErrNotExist) {
		return whole(path, "does not exist", "check the path")
	}
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return whole(path, "cannot be read: "+pathErr.Err.Error(), "")
	}
	return whole(path, err.Error(), "")
}

// loader holds what is found while one file is loaded.
type loader struct {
	name string
	dir  string // of the file, absolute
	own  bool   // see isOwn
	env  lookup

	leaves   []leaf             // by ref
	pos      map[string]place   // of every known key, by place.key
	broken   map[string]bool    // by place.key: a problem was reported there or below
	servers  map[string]*server // by name
	order    []string           // names of servers in the order of the file
	foreign  []place            // keys of other programs
	problems Problems           // outside the servers
	warnings Problems
}

// server is what is known about a server besides its entry.
type server struct {
	at       place
	envFile  map[string]string
	problems Problems
}

// load gives the tree its shape, merges it over the defaults, decodes and checks.
func (l *loader) load(root *node) (*Config, error) {
	values, _ := l.shape(root, reflect.TypeFor[file](), place{env: l.env, pos: root.pos}).(map[string]any)
	f, err := l.decode(defaults(l.order), values)
	if err != nil {
		return nil, err
	}
	cfg := &Config{Startup: f.Startup, Reload: f.Reload, Log: f.Log, Naming: f.Naming, Limits: f.Limits}
	l.general(f, cfg)
	for _, name := range l.order {
		e := f.MCPServers[name]
		if e == nil || l.off(e, name) {
			continue
		}
		l.complete(e, name)
		l.checkServer(&e.Server)
		sumFiles(&e.Server)
		cfg.Servers = append(cfg.Servers, &e.Server)
	}
	l.checkPrefixes(cfg.Servers)
	for _, s := range cfg.Servers {
		s.Problems = l.servers[s.Name].problems.sorted()
	}
	l.noticeForeign()
	if len(cfg.Servers) == 0 {
		l.warnings = append(l.warnings, whole(l.name, "no server is configured", "add one under mcpServers")...)
	}
	cfg.Warnings = l.warnings.sorted()
	return cfg, nil
}

// off tells whether a server is switched off; its mistakes do not matter then.
func (l *loader) off(e *entry, name string) bool {
	mistaken := l.isBroken("mcpServers", name, "disabled") || l.isBroken("mcpServers", name, "enabled")
	if (!e.Disabled && e.Enabled) || mistaken {
		return false
	}
	inside := keyPath("mcpServers", name) + separator
	l.foreign = slices.DeleteFunc(l.foreign, func(p place) bool { return strings.HasPrefix(p.key, inside) })
	return true
}

// report notes a problem where it belongs: to the server or to the file.
func (l *loader) report(at place, msg, hint string) { l.add(at, Problem{Msg: msg, Hint: hint}) }

// add is report for a problem that says more; its place is filled in.
func (l *loader) add(at place, p Problem) {
	for key := at.key; !l.broken[key]; {
		l.broken[key] = true
		key = key[:max(strings.LastIndex(key, separator), 0)]
	}
	p.Pos, p.Path = at.pos, at.show
	if at.inside {
		s := l.servers[at.server]
		s.problems = append(s.problems, p)
		return
	}
	l.problems = append(l.problems, p)
}

func (l *loader) warn(at place, msg, hint string) {
	l.warnings = append(l.warnings, Problem{Pos: at.pos, Path: at.show, Msg: msg, Hint: hint})
}

// isBroken tells whether a problem was reported at those keys or below.
func (l *loader) isBroken(keys ...string) bool {
	return l.broken[keyPath(keys...)]
}

// place returns where those keys stand, or where the nearest key above them does.
func (l *loader) place(keys ...string) place {
	if p, ok := l.pos[keyPath(keys...)]; ok {
		return p
	}
	if len(keys) == 0 {
		return place{pos: Pos{File: l.name}, env: l.env}
	}
	above := l.place(keys[:len(keys)-1]...)
	return above.child(keys[len(keys)-1], above.pos)
}

// isGiven tells whether those keys stand in the file.
func (l *loader) isGiven(keys ...string) bool {
	_, ok := l.pos[keyPath(keys...)]
	return ok
}

// noticeForeign adds the one notice about keys of other programs.
func (l *loader) noticeForeign() {
	if len(l.foreign) == 0 {
		return
	}
	const most = 5
	var names []string
	for _, p := range l.foreign {
		names = append(names, p.show)
	}
	if len(names) > most {
		names = append(names[:most], fmt.Sprintf("and %d more", len(l.foreign)-most))
	}
	l.warnings = append(l.warnings, Problem{
		Pos: l.foreign[0].pos, Msg: "ignored keys of other programs: " + strings.Join(names, ", "),
	})
}
