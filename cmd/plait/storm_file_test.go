package main_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// stormFile is a configuration that is edited at random. Beside what the edits are about it has the servers keep, a
// URL, and kept, a child, whose connection never changes, and mark, whose prefix says how often the file was edited.
type stormFile struct {
	rnd     *rand.Rand
	path    string // of the file, in a folder as Kubernetes mounts it
	base    string // URL of the servers
	edits   int
	folders int
	names   int
	timeout int // of keep and kept
	servers []*stormEntry
	free    []string // paths of servers that no entry has
}

// stormEntry is a server that edits are about.
type stormEntry struct {
	name, path string // path is "" for a child
	prefix     string // "" for none of its own
	deny       bool
	broken     string // replaces what it is reached by; "": nothing
}

// newStormFile writes the first version: nothing but the three.
func newStormFile(tb testing.TB, seed uint64, base string, free []string) *stormFile {
	tb.Helper()
	dir := tb.TempDir()
	f := &stormFile{
		rnd: rand.New(rand.NewPCG(seed, 0)), path: filepath.Join(dir, "plait.json"), base: base, free: free,
	}
	if err := os.WriteFile(f.path, []byte(f.text()), 0o600); err != nil {
		tb.Fatal(err)
	}
	return f
}

// marker is what the name of a tool begins with when the last edit has taken effect.
func (f *stormFile) marker() string { return fmt.Sprintf("m%d_", f.edits) }

// text returns the file.
func (f *stormFile) text() string {
	var b strings.Builder
	b.WriteString(`{"reload":{"debounce":"20ms","drain":"10s"},"startup":{"wait":"5s","snapshot":false},"mcpServers":{`)
	entry := func(name string, settings map[string]any) {
		text, _ := json.Marshal(settings) //nolint:errchkjson // strings
		fmt.Fprintf(&b, "%q:%s,\n", name, text)
	}
	entry("keep", map[string]any{"url": f.base + "keep", "callTimeout": fmt.Sprintf("%ds", 60+f.timeout)})
	for _, s := range f.servers {
		entry(s.name, f.settings(s))
	}
	kept := stormChildEntry("kept")
	kept["callTimeout"] = fmt.Sprintf("%ds", 60+f.timeout)
	entry("kept", kept)
	fmt.Fprintf(&b, `"mark":{"url":%q,"prefix":%q}}}`, f.base+"mark", strings.TrimSuffix(f.marker(), "_"))
	return b.String()
}

func stormChildEntry(name string) map[string]any {
	return map[string]any{
		"command": os.Args[0], "args": []string{name}, "connectTimeout": "30s",
		"env": map[string]string{"PLAIT_TEST_PROGRAM": "storm-child", "GORACE": "atexit_sleep_ms=0"},
	}
}

func (f *stormFile) settings(s *stormEntry) map[string]any {
	settings := map[string]any{"url": f.base + s.path}
	if s.path == "" {
		settings = stormChildEntry(s.name)
	}
	if s.broken != "" {
		settings = map[string]any{"url": s.broken}
	}
	if s.prefix != "" {
		settings["prefix"] = s.prefix
	}
	if s.deny {
		settings["tools"] = map[string]any{"deny": []string{"s*"}}
	}
	return settings
}

// edit changes something.
func (f *stormFile) edit() {
	f.edits++
	all := []func(){f.add, f.add, f.remove, f.rename, f.relabel, f.relabel, f.relabelAll, f.breakOne, f.repair}
	all[f.rnd.IntN(len(all))]()
}

func (f *stormFile) newName() string {
	f.names++
	return fmt.Sprintf("s%d", f.names)
}

// any returns one of the servers, nil when there is none.
func (f *stormFile) any() *stormEntry {
	if len(f.servers) == 0 {
		return nil
	}
	return f.servers[f.rnd.IntN(len(f.servers))]
}

func (f *stormFile) add() {
	s := &stormEntry{name: f.newName()}
	children := 0
	for _, have := range f.servers {
		if have.path == "" {
			children++
		}
	}
	switch {
	case children < 2 && f.rnd.IntN(5) == 0:
	case len(f.free) == 0:
		return
	default:
		s.path, f.free = f.free[0], f.free[1:]
	}
	if f.rnd.IntN(6) == 0 {
		s.broken = "ftp://nowhere" // a new server may be wrong, an old one may not become so
	}
	f.servers = slices.Insert(f.servers, f.rnd.IntN(len(f.servers)+1), s)
}

func (f *stormFile) remove() {
	if s := f.any(); s != nil {
		f.servers = slices.DeleteFunc(f.servers, func(have *stormEntry) bool { return have == s })
		if s.path != "" {
			f.free = append(f.free, s.path)
		}
	}
}

func (f *stormFile) rename() {
	if s := f.any(); s != nil {
		s.name = f.newName()
	}
}

func (f *stormFile) relabel() {
	if s := f.any(); s != nil {
		if s.prefix = ""; f.rnd.IntN(3) > 0 {
			s.prefix = f.any().name + "_" + f.newName() // within the names of another
		}
		s.deny = f.rnd.IntN(2) == 0
	}
}

func (f *stormFile) relabelAll() {
	f.rnd.Shuffle(len(f.servers), func(i, j int) { f.servers[i], f.servers[j] = f.servers[j], f.servers[i] })
	f.timeout = f.rnd.IntN(5)
}

func (f *stormFile) breakOne() {
	if s := f.any(); s != nil {
		s.broken = []string{"http://127.0.0.1:1/mcp", f.base + "refuses"}[f.rnd.IntN(2)]
	}
}

func (f *stormFile) repair() {
	for _, s := range f.servers {
		s.broken = ""
	}
}

// save writes the file in one of the ways in which files are saved. With SIGHUP plait is told by the signal.
func (f *stormFile) save(tb testing.TB, tell func()) {
	tb.Helper()
	styles := []func(text string) error{f.inPlace, f.byRename}
	if runtime.GOOS != "windows" {
		styles = append(styles, f.bySwap, func(text string) error {
			err := f.inPlace(text)
			tell()
			return err
		})
	}
	text := f.text()
	if bad := f.bad(text); f.rnd.IntN(8) == 0 {
		if err := f.inPlace(bad); err != nil {
			tb.Fatal(err)
		}
	}
	if err := styles[f.rnd.IntN(len(styles))](text); err != nil {
		tb.Fatal(err)
	}
}

// bad is a file that changes nothing: half of one, nothing at all, or one with a mistake in a server that works.
func (f *stormFile) bad(text string) string {
	wrong := strings.Replace(text, `"callTimeout":"`, `"callTimeout":"soon `, 1)
	return []string{text[:f.rnd.IntN(len(text))], "", wrong}[f.rnd.IntN(3)]
}

func (f *stormFile) inPlace(text string) error { return os.WriteFile(f.path, []byte(text), 0o600) }

// byRename replaces the file as most editors do.
func (f *stormFile) byRename(text string) error {
	temp := f.path + ".tmp"
	if err := os.WriteFile(temp, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(temp, f.path)
}

// bySwap replaces the folder that the file is a link into, as Kubernetes does.
func (f *stormFile) bySwap(text string) error {
	f.folders++
	dir := filepath.Dir(f.path)
	name := fmt.Sprintf("..%d", f.folders)
	if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, name, "plait.json"), []byte(text), 0o600); err != nil {
		return err
	}
	old, _ := os.Readlink(filepath.Join(dir, "..data"))
	if err := link(name, filepath.Join(dir, "..data")); err != nil {
		return err
	}
	if to, err := os.Readlink(f.path); err != nil || to != "..data/plait.json" {
		if err := link("..data/plait.json", f.path); err != nil {
			return err
		}
	}
	if old == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(dir, old))
}

// link makes a symbolic link in the place of what is there.
func link(to, path string) error {
	if err := os.Symlink(to, path+".new"); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
