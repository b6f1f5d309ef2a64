package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/plait-mcp/plait/config"
)

var update = flag.Bool("update", false, "write what the tests got into testdata")

// TestProblems loads every configuration of testdata/problems and compares what is said about it, word for word.
// In an archive, NAME.want holds what is said about NAME; a file without it is one that others refer to. "#BOM" and
// the like stand for bytes that an archive cannot hold.
func TestProblems(t *testing.T) {
	archives, err := filepath.Glob("testdata/problems/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			folder := t.TempDir()
			for _, f := range archive.Files {
				write(t, filepath.Join(folder, f.Name), string(f.Data))
			}
			for i, f := range archive.Files {
				input, ok := strings.CutSuffix(f.Name, ".want")
				if !ok {
					continue
				}
				got := said(t, folder, input)
				if *update {
					archive.Files[i].Data = []byte(got)
				} else if d := cmp.Diff(string(f.Data), got); d != "" {
					t.Errorf("Load(%s) says (-want +got):\n%s", input, d)
				}
			}
			if *update {
				if err := os.WriteFile(name, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	content = strings.NewReplacer("#BOM", "\xef\xbb\xbf", "#UTF16", "\xff\xfe", "#LATIN1", "\xe9", "#CR", "\r", "#TAB", "\t").
		Replace(content)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// environment is what the tests find in the environment.
func environment(name string) (string, bool) {
	value, ok := map[string]string{
		"HOME": "/home/kim", "USERPROFILE": "/home/kim", "TOKEN": "s3cret", "EMPTY": "", "BREAK": "s3cret\nX: y", "HOST": "example.com",
		"DOLLAR": "${HOME}",
	}[name]
	return value, ok
}

// said returns the problems of a file, one a line.
func said(t *testing.T, folder, name string) string {
	t.Helper()
	var b strings.Builder
	line := func(kind string, p config.Problem) {
		text := strings.ReplaceAll(p.Error(), folder+string(filepath.Separator), "")
		if strings.Contains(text, "s3cret") {
			t.Errorf("a problem shows a secret: %s", text)
		}
		b.WriteString(kind + ": " + text + "\n")
	}
	cfg, err := config.Load(t.Context(), filepath.Join(folder, name), config.Options{LookupEnv: environment})
	if err != nil {
		var problems config.Problems
		if !errors.As(err, &problems) {
			t.Fatalf("Load(%s) = %v, want Problems", name, err)
		}
		for _, p := range problems {
			line("error", p)
		}
		return b.String()
	}
	for _, s := range cfg.Servers {
		for _, p := range s.Problems {
			line(s.Name, p)
		}
	}
	for _, p := range cfg.Warnings {
		line("warning", p)
	}
	return b.String()
}
