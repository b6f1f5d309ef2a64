package config_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/plait-mcp/plait/config"
)

var update = flag.Bool("update", false, "write what the tests got into testdata")

// TestProblems loads every configuration of testdata/problems and compares what is said about it, word for word.
// In an archive, NAME.want holds what is said about NAME; a file without it is one that others refer to, and that a
// server shows under #SERVER. "#BOM" and the like stand for what an archive cannot hold.
func TestProblems(t *testing.T) {
	archives, err := filepath.Glob("testdata/problems/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	bad := 0
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			folder := t.TempDir()
			server := serveLayers(t, folder)
			for _, f := range archive.Files {
				write(t, filepath.Join(folder, f.Name), strings.ReplaceAll(string(f.Data), "#SERVER", server))
			}
			for _, f := range archive.Files {
				writeSums(t, folder, f.Name)
			}
			for i, f := range archive.Files {
				input, ok := strings.CutSuffix(f.Name, ".want")
				if !ok {
					continue
				}
				got := strings.ReplaceAll(said(t, folder, input), server, "#SERVER")
				if strings.Contains(got, ": ") {
					bad++
				}
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
	if want := 60; bad < want {
		t.Errorf("%d bad files, want at least %d", bad, want)
	}
}

// serveLayers serves the files of a folder, answers that no layer may be, and what went wrong.
func serveLayers(t *testing.T, folder string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(folder)))
	mux.Handle("/elsewhere.yaml", http.RedirectHandler("http://localhost.example.com/s3cret.yaml?key=s3cret", http.StatusFound))
	mux.HandleFunc("/large.yaml", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("#", 5<<20))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// writeSums replaces #SUM(NAME) in a file by the SHA-256 of the file of that name.
func writeSums(t *testing.T, folder, name string) {
	t.Helper()
	path := filepath.Join(folder, name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	summed := regexp.MustCompile(`#SUM\(([^)]*)\)`).ReplaceAllStringFunc(string(data), func(s string) string {
		return sum(t, filepath.Join(folder, s[len("#SUM("):len(s)-1]))
	})
	if err := os.WriteFile(path, []byte(summed), 0o600); err != nil {
		t.Fatal(err)
	}
}

func sum(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

func write(tb testing.TB, name, content string) {
	tb.Helper()
	content = strings.NewReplacer("#BOM", "\xef\xbb\xbf", "#UTF16", "\xff\xfe", "#LATIN1", "\xe9", "#CR", "\r", "#TAB", "\t",
		"#10MB", strings.Repeat("# ten megabytes\n", 625_000), "#WIDENING", bomb()).Replace(content)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// bomb returns YAML that is small as it stands and huge once its aliases are followed.
func bomb() string {
	var b strings.Builder
	b.WriteString("x-a0: &a0 [1]\n")
	for i := range 40 {
		fmt.Fprintf(&b, "x-a%d: &a%d [%s]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 10))
	}
	return b.String()
}

// environment is what the tests find in the environment.
func environment(name string) (string, bool) {
	value, ok := map[string]string{
		"HOME": "/home/kim", "USERPROFILE": "/home/kim", "TOKEN": "s3cret", "EMPTY": "", "BREAK": "s3cret\nX: y", "HOST": "example.com",
		"DOLLAR": "${HOME}",
	}[name]
	return value, ok
}

// keyring is what the tests find in the keyring.
func keyring(_ context.Context, service, key string) (string, error) {
	switch {
	case service == "locked":
		return "", errors.New("it is locked")
	case key == "token", key == "secret":
		return "s3cret", nil
	}
	return "", fs.ErrNotExist
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
	cfg, err := config.Load(t.Context(), filepath.Join(folder, name), config.Options{LookupEnv: inFolder(folder), Keyring: keyring})
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
