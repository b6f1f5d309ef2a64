package control

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// longestPath is how long the path of a socket may be on every platform.
const longestPath = 103

// nameLength is the room for the name of a socket: a separator, the pid, a suffix.
const nameLength = 1 + 10 + len("-0000.sock")

// Folders returns the folders that sockets can be in, the one to use first. A process that a client starts
// may not know of $XDG_RUNTIME_DIR, so whoever looks for sockets looks in all.
func Folders(lookupEnv func(string) (string, bool)) []string {
	get := func(name string) string {
		value, _ := lookupEnv(name)
		if !filepath.IsAbs(value) {
			return ""
		}
		return value
	}
	var folders []string
	add := func(base string, more ...string) {
		if base == "" {
			return
		}
		folder := filepath.Join(append([]string{base}, more...)...)
		if len(folder)+nameLength > longestPath {
			folder = short(folder)
		}
		if !slices.Contains(folders, folder) {
			folders = append(folders, folder)
		}
	}
	if runtime.GOOS == "windows" {
		add(get("LocalAppData"), "plait", "run")
		return folders
	}
	add(get("XDG_RUNTIME_DIR"), "plait")
	add(get("XDG_STATE_HOME"), "plait", "run")
	if runtime.GOOS == "darwin" {
		add(get("HOME"), "Library", "Caches", "plait", "run")
	} else {
		add(get("HOME"), ".local", "state", "plait", "run")
	}
	return folders
}

// short returns the folder that stands for one whose name is too long for a socket. It does not depend on
// $TMPDIR, which is long itself and may differ from process to process.
func short(folder string) string {
	temp := "/tmp"
	if runtime.GOOS == "windows" {
		temp = os.TempDir()
	}
	sum := sha256.Sum256([]byte(folder))
	return filepath.Join(temp, shortPrefix()+hex.EncodeToString(sum[:4]))
}

func shortPrefix() string { return "plait-" + strconv.Itoa(os.Getuid()) + "-" }

// isShort reports whether the folder stands for another.
func isShort(folder string) bool { return strings.HasPrefix(filepath.Base(folder), shortPrefix()) }

// secure makes the folder, and checks that it is the user's alone.
func secure(folder string) error {
	if err := os.MkdirAll(filepath.Dir(folder), 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return check(folder)
}

// check returns an error when somebody else may have a hand in the folder.
func check(folder string) error {
	info, err := os.Lstat(folder)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", folder)
	case runtime.GOOS == "windows":
		return nil // the folder is in the profile of the user, which nobody else may read
	case !isMine(info):
		return fmt.Errorf("%s belongs to somebody else", folder)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s is open to others; chmod 700 it", folder)
	}
	return nil
}
