package cli

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/config"
)

// TestHelpErrors compares the pages on errors with the ids in the source: each has one, and none is left over.
func TestHelpErrors(t *testing.T) {
	const root = "../../.."
	id := regexp.MustCompile(`PLAIT-[A-Z]+-\d{3}`)
	used := map[string]string{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != root && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(name)
		for _, found := range id.FindAllString(string(text), -1) {
			used[found] = name
		}
		return err
	})
	if err != nil || len(used) < 50 {
		t.Fatalf("%d ids, %v", len(used), err)
	}
	names, err := fs.Glob(pages, "help/errors/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		id := strings.TrimSuffix(path.Base(name), ".md")
		text, err := pages.ReadFile(name)
		if err != nil || !bytes.HasPrefix(text, []byte("# "+id+": ")) {
			t.Errorf("%s has no title, or cannot be read: %v", name, err)
		}
		if used[id] == "" {
			t.Errorf("%s is about an id that does not exist", name)
		}
		delete(used, id)
	}
	for id, name := range used {
		t.Errorf("%s in %s has no page", id, name)
	}
}

// TestHelpConfig looks for every key on the page about the file.
func TestHelpConfig(t *testing.T) {
	text, ok := page("config")
	if !ok {
		t.Fatal("no page")
	}
	markdown, _ := pages.ReadFile("help/config.md")
	prefixes := keyPrefixes(string(markdown))
	for _, key := range config.Keys() {
		name := strings.TrimPrefix(strings.TrimPrefix(key.Path, longestPrefix(key.Path, prefixes)), ".")
		line := regexp.MustCompile(`(?m)^    ` + regexp.QuoteMeta(name) + ` .*` + regexp.QuoteMeta(key.Meaning))
		if !line.MatchString(text) {
			t.Errorf("the page does not tell of %s", key.Path)
		}
	}
	if strings.Contains(text, "@keys") || strings.Contains(text, "```") {
		t.Error("the page is not made plain")
	}
}

// TestHelpExamples loads every YAML example of every page: those marked wrong have the mistake that the page is
// about, the others none.
func TestHelpExamples(t *testing.T) {
	examples := 0
	err := fs.WalkDir(pages, "help", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := pages.ReadFile(name)
		if err != nil {
			return err
		}
		for _, match := range regexp.MustCompile("(?s)\n```yaml( wrong)?\n(.*?\n)```").FindAllStringSubmatch(string(text), -1) {
			examples++
			checkExample(t, strings.TrimSuffix(path.Base(name), ".md"), match[1] != "", match[2])
		}
		return nil
	})
	if err != nil || examples < 50 {
		t.Errorf("%d examples, %v", examples, err)
	}
}

func checkExample(t *testing.T, page string, wrong bool, text string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "plait.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(t.Context(), name, config.Options{
		LookupEnv: func(name string) (string, bool) {
			return filepath.Join(t.TempDir(), "home"), name == "HOME" || name == "USERPROFILE" || name == "XDG_CACHE_HOME"
		},
		Keyring: func(_ context.Context, _, key string) (string, error) { return `{"what": "` + key + `"}`, nil },
	})
	var said string
	if err != nil {
		said = err.Error()
	} else {
		said = append(slices.Clone(cfg.Problems()), cfg.Warnings...).Error()
	}
	if wrong && !strings.Contains(said, page) {
		t.Errorf("%s: the wrong example does not have that mistake:\n%s\n%s", page, text, said)
	}
	if !wrong && said != "" {
		t.Errorf("%s: an example has a mistake:\n%s\n%s", page, text, said)
	}
}
