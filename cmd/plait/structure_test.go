package main_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	module   = "github.com/plait-mcp/plait"
	maxLines = 400
)

// layers from bottom to top: a folder may import from its own layer and from those below.
var layers = []string{"config", "auth", "upstream", "aggregator", "cmd"}

// topLevel is everything a visitor sees in the root of the repository.
var topLevel = []string{
	"AGENTS.md", "CHANGELOG.md", "LICENSE", "README.md", "Taskfile.yml",
	"aggregator", "auth", "cmd", "config", "examples", "go.mod", "go.sum", "upstream",
}

// forbiddenNames say nothing about the one job of a package.
var forbiddenNames = []string{"util", "utils", "common", "helper", "helpers", "types", "misc", "base", "core", "manager"}

// apart are folders that never import each other although their layers would allow it.
var apart = [][2]string{
	{"aggregator", "aggregator/downstream"},
	{"config", "config/edit"},
	{"config", "config/watch"},
}

// chains are rows of folders in which each may import those before it only, and nothing else beside it: what stands on
// several rows, such as auth/wallet, is in none.
var chains = [][]string{
	{"auth/challenge", "auth/discovery", "auth/register", "auth/grant"},
	{"auth/store", "auth/flow"},
}

// leaves import nothing of ours.
var leaves = []string{"auth/challenge", "config/tree", "config/watch", "upstream/jsonrpc"}

// confined are libraries that only some folders, and those below them, may import. Tests may import all.
var confined = []struct {
	library string
	folders []string
}{
	{"github.com/mark3labs/mcp-go", []string{"upstream/protocol", "cmd"}},
	{"github.com/modelcontextprotocol/go-sdk", []string{"cmd"}},
	{"github.com/knadh/koanf", []string{"config"}},
	{"go.yaml.in/yaml", []string{"config/tree", "config/edit"}},
	{"github.com/pelletier/go-toml", []string{"config/tree", "config/edit"}},
	{"github.com/tailscale/hujson", []string{"config/tree", "config/edit"}},
	{"github.com/fsnotify/fsnotify", []string{"config/watch"}},
	{"github.com/99designs/keyring", []string{"auth/store"}},
	{"golang.org/x/oauth2", []string{"auth"}},
	{"github.com/spf13/cobra", []string{"cmd"}},
	{"github.com/prometheus", []string{"cmd/internal/metrics"}},
}

// source is one Go file of the repository, for whatever platform it is built.
type source struct {
	file    string // relative to the root, with slashes
	folder  string
	test    bool // a test, or a file of a package for tests
	syntax  *ast.File
	lines   int
	imports []string
}

func TestArrows(t *testing.T) {
	for _, s := range sources(t) {
		for _, i := range s.imports {
			to, ours := strings.CutPrefix(i, module+"/")
			if !ours {
				continue
			}
			if why := arrow(s, to); why != "" {
				t.Errorf("%s imports %s: %s", s.file, to, why)
			}
		}
	}
}

// arrow says why s may not import our folder to, or nothing.
func arrow(s source, to string) string {
	from, into := layer(s.folder), layer(to)
	switch {
	case from < 0 || into < 0:
		return "no layer: " + strings.Join(layers, " < ")
	case into > from:
		return "arrows point down: " + strings.Join(layers, " < ")
	case s.test:
		return ""
	case forTests(to):
		return "a package for tests"
	case strings.HasPrefix(s.folder, to+"/"):
		return "a folder never imports its parent"
	case slices.Contains(leaves, s.folder):
		return s.folder + " imports nothing of ours"
	}
	for _, a := range apart {
		if s.folder == a[0] && to == a[1] || s.folder == a[1] && to == a[0] {
			return "they do not know each other; cmd joins them"
		}
	}
	if at, of := place(s.folder); at >= 0 {
		if other, row := place(to); path.Dir(to) == path.Dir(s.folder) && (row != of || other >= at) {
			return "arrows point along " + strings.Join(chains[of], " < ") + ", and to nothing else beside it"
		}
	}
	return ""
}

// place returns where a folder is in a row of chains, and in which; -1 when it is in none.
func place(folder string) (at, of int) {
	for row, chain := range chains {
		if i := slices.Index(chain, folder); i >= 0 {
			return i, row
		}
	}
	return -1, -1
}

func TestConfinedLibraries(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, i := range s.imports {
			for _, c := range confined {
				if within(i, c.library) && !slices.ContainsFunc(c.folders, func(f string) bool { return within(s.folder, f) }) {
					t.Errorf("%s imports %s, which only %s may", s.file, i, strings.Join(c.folders, ", "))
				}
			}
		}
	}
}

func TestSizes(t *testing.T) {
	for _, s := range sources(t) {
		if !s.test && s.lines > maxLines {
			t.Errorf("%s has %d lines, more than %d: let it answer one question", s.file, s.lines, maxLines)
		}
	}
}

func TestPackageNames(t *testing.T) {
	for _, s := range sources(t) {
		name := strings.TrimSuffix(s.syntax.Name.Name, "_test")
		if slices.Contains(forbiddenNames, name) || slices.Contains(forbiddenNames, path.Base(s.folder)) {
			t.Errorf("%s: package %s: name it after its one job", s.file, name)
		}
		if name != "main" && name != path.Base(s.folder) {
			t.Errorf("%s: package %s is not named like its folder", s.file, name)
		}
	}
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			got = append(got, e.Name())
		}
	}
	if d := cmp.Diff(topLevel, got); d != "" {
		t.Errorf("root of the repository (-want +got):\n%s", d)
	}
}

// root is the root of the repository, seen from this package.
var root = filepath.Join("..", "..")

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(d.Name(), ".go"):
			return nil
		}
		s, err := parse(file)
		all = append(all, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no Go files found")
	}
	return all
}

func parse(file string) (source, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return source{}, err
	}
	syntax, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ImportsOnly)
	if err != nil {
		return source{}, err
	}
	rel, err := filepath.Rel(root, file)
	if err != nil {
		return source{}, err
	}
	rel = filepath.ToSlash(rel)
	s := source{file: rel, folder: path.Dir(rel), syntax: syntax, lines: bytes.Count(text, []byte("\n"))}
	s.test = strings.HasSuffix(rel, "_test.go") || forTests(s.folder)
	for _, i := range syntax.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return source{}, err
		}
		s.imports = append(s.imports, p)
	}
	return s, nil
}

// forTests reports whether folder holds a package for tests, such as upstreamtest.
func forTests(folder string) bool { return strings.HasSuffix(folder, "test") }

// within reports whether p is folder or lies below it.
func within(p, folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }

func layer(folder string) int {
	top, _, _ := strings.Cut(folder, "/")
	return slices.Index(layers, top)
}
