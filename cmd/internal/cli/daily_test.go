package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestDailyHasAFileForEachDay(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "made", "by plait")
	d, err := openDaily(filepath.Join(folder, "plait.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	day := time.Date(2026, 1, 31, 23, 59, 0, 0, time.Local)
	d.now = func() time.Time { return day }
	write := func(line string) {
		if _, err := d.Write([]byte(line + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	write("two")
	day = day.Add(time.Minute)
	write("three")
	for name, want := range map[string]string{"plait-2026-01-31.log": "one\ntwo\n", "plait-2026-02-01.log": "three\n"} {
		got, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v; want %q", name, got, err, want)
		}
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("%s has mode %o, want 600", name, mode)
		}
	}
}

// Each of several writers has the file open for itself, as several processes do.
func TestDailyIsSafeWithSeveralWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plait.log")
	const writers, lines = 8, 500
	var all sync.WaitGroup
	for w := range writers {
		d, err := openDaily(path)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			defer d.Close()
			for i := range lines {
				if _, err := fmt.Fprintf(d, "<%d %d %s>\n", w, i, strings.Repeat("x", 200)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "plait-*.log"))
	if err != nil {
		t.Fatal(err)
	}
	whole := 0
	for _, f := range files { // two, if this ran at midnight
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "<") && strings.HasSuffix(line, "x>\n") && strings.Count(line, "<") == 1 {
				whole++
			}
		}
	}
	if whole != writers*lines {
		t.Errorf("%d whole lines, want %d", whole, writers*lines)
	}
}
