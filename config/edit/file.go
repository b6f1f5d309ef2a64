package edit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/plait-mcp/plait/config/tree"
)

// ReadFile returns the content of a file that is small enough for a configuration. One that does not exist has none,
// and false. The error is of type tree.Problems.
func ReadFile(path string) ([]byte, bool, error) {
	data, err := tree.ReadFile(path, tree.MaxSize)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, false, nil
	case err != nil:
		return nil, false, tree.FileProblem(path, err)
	}
	return data, true, nil
}

// WriteFile puts after in the place of a file at once: whoever reads it sees all of it or what was there before. before
// is what the file was read as, nil when it did not exist; when something else is there now, nothing is written. A
// symbolic link stays, and its target is written. The mode stays, too; a new file is for its owner only, and so are
// new folders above it.
func WriteFile(path string, before, after []byte) error {
	target, err := filepath.EvalSymlinks(path)
	if _, linked := os.Readlink(path); errors.Is(err, fs.ErrNotExist) && linked != nil {
		target, err = path, os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(target); err == nil {
		mode = info.Mode().Perm()
	}
	temp, err := writeTemp(target, after, mode)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	now, there, err := ReadFile(target)
	if err == nil && (there != (before != nil) || !bytes.Equal(now, before)) {
		err = errors.New("it was changed by somebody else meanwhile; try again")
	}
	if err == nil {
		err = os.Rename(temp, target)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(temp))
	}
	return nil
}

// writeTemp writes a file beside target, safe on disk, and returns its name.
func writeTemp(target string, data []byte, mode fs.FileMode) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*") // for the owner only
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}
