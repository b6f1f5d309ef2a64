package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/plait-mcp/plait/config"
)

// fuzzNames are the names of files that are read in different ways.
var fuzzNames = []string{"plait.yaml", "plait.toml", "plait.json", "mcp.json", "config.toml"}

// FuzzParse checks that no text makes Parse panic or hang, and that all it says has a place.
func FuzzParse(f *testing.F) {
	for _, data := range fuzzSeeds(f) {
		for i := range fuzzNames {
			f.Add(uint8(i), data)
		}
	}
	f.Fuzz(func(t *testing.T, format uint8, data []byte) {
		name := fuzzNames[int(format)%len(fuzzNames)]
		cfg, err := config.Parse(t.Context(), name, data, config.Options{LookupEnv: environment, Offline: true})
		checkFuzzed(t, cfg, err)
	})
}

// FuzzLayers is FuzzParse for a layer and a local file that stand around a file.
func FuzzLayers(f *testing.F) {
	seeds := fuzzSeeds(f)
	for i, data := range seeds {
		f.Add(uint8(i), data, uint8(i/len(fuzzNames)), seeds[(i*7+1)%len(seeds)])
	}
	folder := f.TempDir()
	main := filepath.Join(folder, "main.yaml")
	f.Fuzz(func(t *testing.T, format uint8, data []byte, localFormat uint8, local []byte) {
		base := fuzzNames[int(format)%len(fuzzNames)]
		over := "main.local" + filepath.Ext(fuzzNames[int(localFormat)%len(fuzzNames)])
		for name, content := range map[string][]byte{"main.yaml": []byte("extends: " + base), base: data, over: local} {
			if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		defer os.Remove(filepath.Join(folder, over))
		cfg, err := config.Load(t.Context(), main, config.Options{LookupEnv: environment, Offline: true})
		checkFuzzed(t, cfg, err)
	})
}

// fuzzSeeds returns the texts of all good and bad files there are.
func fuzzSeeds(f *testing.F) [][]byte {
	f.Helper()
	var all [][]byte
	for _, pattern := range []string{"testdata/formats/*.*", "testdata/clients/*.*", "testdata/clients/*/*.*", "testdata/problems/*"} {
		seeds, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, seed := range seeds {
			data, err := os.ReadFile(seed)
			if err != nil {
				f.Fatal(err)
			}
			if filepath.Ext(seed) != ".txtar" {
				all = append(all, data)
				continue
			}
			for _, file := range txtar.Parse(data).Files {
				if !strings.HasSuffix(file.Name, ".want") {
					all = append(all, file.Data)
				}
			}
		}
	}
	return all
}

func checkFuzzed(t *testing.T, cfg *config.Config, err error) {
	t.Helper()
	var all config.Problems
	switch {
	case err != nil && (!errors.As(err, &all) || len(all) == 0):
		t.Fatalf("error of type %T, want Problems", err)
	case cfg == nil || cfg.Path == "":
		t.Fatalf("no Config: %v", err)
	case err == nil:
		all = append(cfg.Problems(), cfg.Warnings...)
	}
	for _, p := range all {
		if p.ID == "" || p.Pos.File == "" || p.Msg == "" || strings.ContainsAny(p.Path, "\n\r") || p.ID == config.IDInternal {
			t.Errorf("problem %+v", p)
		}
	}
}
