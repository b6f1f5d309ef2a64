package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// openers are the ways to a browser, from the one function that starts it upwards: who names it may be read here, and
// nobody else. They begin at three places: plait auth login and its --all, and plait connect at its first start. (The
// fourth that the contract allows, a person who accepts a prompt in the client, is the client's own browser.)
var openers = map[string][]string{
	"auth/flow.Open": {"cmd/internal/cli.app.openBrowser"},
	"cmd/internal/cli.app.openBrowser": {
		"cmd/internal/cli.app.invite",     // connect, at its first start
		"cmd/internal/cli.login.showPage", // auth login --all
		"cmd/internal/cli.login.way",      // auth login
	},
	"cmd/internal/cli.app.invite":     {"cmd/internal/cli.app.serve"}, // only when serving.browser is set
	"cmd/internal/cli.login.showPage": {"cmd/internal/cli.login.onPage"},
	"cmd/internal/cli.login.onPage":   {"cmd/internal/cli.login.everything"},
	"cmd/internal/cli.login.way":      {"cmd/internal/cli.login.line", "cmd/internal/cli.login.one"},
}

// TestOpenerIsReachedByThreePaths walks the sources from the function that starts a browser up to the commands: any other
// way to it is a mistake, for a browser that opens by itself is what people hate most about sign-ins.
func TestOpenerIsReachedByThreePaths(t *testing.T) {
	uses := users(t)
	for name, want := range openers {
		got := slices.Sorted(maps.Keys(uses[name]))
		slices.Sort(want)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("who names %s (-want +got):\n%s", name, d)
		}
	}
	if got := slices.Sorted(maps.Keys(uses["cmd/internal/cli.serving.browser"])); !slices.Equal(got, []string{"cmd/internal/cli.app.serve", "cmd/internal/cli.runConnect"}) {
		t.Errorf("serving.browser is named in %q", got)
	}
}

// users returns the functions in which a function, a method or the field serving.browser is named, by what is named.
// A method is known by its name: those of openers have names that no other method has, which is checked, too.
func users(t *testing.T) map[string]map[string]bool {
	t.Helper()
	uses := map[string]map[string]bool{}
	methods := map[string]string{"browser": "cmd/internal/cli.serving.browser"}
	for name := range openers {
		methods[name[strings.LastIndex(name, ".")+1:]] = name
	}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), root+"/"+s.file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range syntax.Decls {
			in := s.folder + "." + nameOf(d)
			ast.Inspect(d, func(n ast.Node) bool {
				named := named(s, n, methods)
				if named != "" && named != in {
					if uses[named] == nil {
						uses[named] = map[string]bool{}
					}
					uses[named][in] = true
				}
				return true
			})
		}
	}
	return uses
}

// named returns which of openers a node names, "" for none.
func named(s source, n ast.Node, methods map[string]string) string {
	switch n := n.(type) {
	case *ast.SelectorExpr:
		if pkg, ok := n.X.(*ast.Ident); ok && n.Sel.Name == "Open" {
			if imports(s, pkg.Name, module+"/auth/flow") {
				return "auth/flow.Open"
			}
			return ""
		}
		return inFolder(s, methods[n.Sel.Name])
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "browser" {
			return inFolder(s, methods["browser"])
		}
	}
	return ""
}

// inFolder returns name when it is of the folder of s: nobody else can name what is not exported.
func inFolder(s source, name string) string {
	if !strings.HasPrefix(name, s.folder+".") {
		return ""
	}
	return name
}

// imports reports whether name is how s calls the package at path.
func imports(s source, name, at string) bool {
	for _, i := range s.syntax.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil || p != at {
			continue
		}
		return i.Name == nil && name == path.Base(p) || i.Name != nil && (i.Name.Name == name || i.Name.Name == ".")
	}
	return false
}

// nameOf returns the name of a function, with its type for a method.
func nameOf(d ast.Decl) string {
	f, ok := d.(*ast.FuncDecl)
	if !ok {
		return ""
	}
	if f.Recv == nil {
		return f.Name.Name
	}
	of := f.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	if name, ok := of.(*ast.Ident); ok {
		return name.Name + "." + f.Name.Name
	}
	return f.Name.Name
}

// TestOpenerIsOne finds no other place that knows how a browser is started.
func TestOpenerIsOne(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.folder == "auth/flow" {
			continue
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), root+"/"+s.file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(syntax, func(n ast.Node) bool {
			l, ok := n.(*ast.BasicLit)
			if !ok || l.Kind != token.STRING {
				return true
			}
			for _, word := range []string{"xdg-open", "rundll32", "wslview", "x-www-browser", "ShellExecute", "sensible-browser"} {
				if strings.Contains(l.Value, word) {
					t.Errorf("%s: %s starts a browser", s.file, word)
				}
			}
			return true
		})
	}
}
