package edit_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/config/edit"
)

// TestWriteFile writes through a link, keeps the mode and does not overwrite what somebody else wrote.
func TestWriteFile(t *testing.T) {
	folder := t.TempDir()
	file, link := filepath.Join(folder, "a", "plait.yaml"), filepath.Join(folder, "plait.yaml")
	if err := edit.WriteFile(file, nil, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		if runtime.GOOS != "windows" { // where it needs a privilege
			t.Fatal(err)
		}
		t.Skip(err)
	}
	mode := func() os.FileMode {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	if got := mode(); runtime.GOOS != "windows" && got != 0o600 {
		t.Errorf("mode of a new file = %o", got)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := edit.WriteFile(link, []byte("one"), []byte("two")); err != nil {
		t.Fatal(err)
	}
	if got := mode(); runtime.GOOS != "windows" && got != 0o640 {
		t.Errorf("mode after a write = %o", got)
	}
	if target, err := os.Readlink(link); err != nil || target != file {
		t.Errorf("the link is gone: %q, %v", target, err)
	}
	for _, before := range [][]byte{nil, []byte("one")} {
		if err := edit.WriteFile(link, before, []byte("three")); err == nil || !strings.Contains(err.Error(), "try again") {
			t.Errorf("WriteFile over another content = %v", err)
		}
	}
	data, there, err := edit.ReadFile(link)
	if string(data) != "two" || !there || err != nil {
		t.Errorf("ReadFile = %q, %v, %v", data, there, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(file)); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
