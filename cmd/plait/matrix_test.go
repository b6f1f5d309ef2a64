package main_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// matrix are the rows of the requirements and of the failures of signing in: each needs a test named after it.
var matrix = map[string]int{"A": 22, "B": 10, "M": 46}

// TestMatrix finds a test for every row: a function whose name begins with Test and the row, such as
// TestM12InitialAccessToken, or a case of one whose name begins with the row and a space, such as "M12 no token".
func TestMatrix(t *testing.T) {
	found := map[string]bool{}
	for _, s := range sources(t) {
		if !strings.HasSuffix(s.file, "_test.go") {
			continue
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), root+"/"+s.file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rowsTested(syntax) {
			found[row] = true
		}
	}
	var missing []string
	for letter, rows := range matrix {
		for n := range rows {
			if row := fmt.Sprintf("%s%d", letter, n+1); !found[row] {
				missing = append(missing, row)
			}
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		t.Errorf("no test is named after %s", strings.Join(missing, ", "))
	}
}

var (
	functionOfRow = regexp.MustCompile(`^Test([ABM]\d+)(\D|$)`)
	caseOfRow     = regexp.MustCompile(`^([ABM]\d+)( |$)`)
)

// rowsTested returns the rows that tests of a file are named after.
func rowsTested(file *ast.File) []string {
	var rows []string
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") {
			continue
		}
		if m := functionOfRow.FindStringSubmatch(f.Name.Name); m != nil {
			rows = append(rows, m[1])
		}
	}
	for _, name := range caseNames(file) {
		if m := caseOfRow.FindStringSubmatch(name); m != nil {
			rows = append(rows, m[1])
		}
	}
	return rows
}

// caseNames returns the names of the cases of tests: what stands in t.Run, or first in the rows of a table.
func caseNames(in ast.Node) []string {
	var names []string
	note := func(e ast.Expr) {
		if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
			if name, err := strconv.Unquote(l.Value); err == nil {
				names = append(names, name)
			}
		}
	}
	ast.Inspect(in, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Run" && len(n.Args) > 0 {
				note(n.Args[0])
			}
		case *ast.CompositeLit:
			if len(n.Elts) > 0 {
				note(n.Elts[0])
			}
			for _, e := range n.Elts {
				if pair, ok := e.(*ast.KeyValueExpr); ok {
					note(pair.Key) // of a map
					if k, ok := pair.Key.(*ast.Ident); ok && k.Name == "name" {
						note(pair.Value)
					}
				}
			}
		}
		return true
	})
	return names
}
