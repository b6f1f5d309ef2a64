package config

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/plait-mcp/plait/config/tree"
)

// look notes that what a file holds, or that it is not there, decides what is loaded.
func (l *loader) look(path string) {
	if absolute, err := filepath.Abs(path); err == nil && !slices.Contains(l.files, absolute) {
		l.files = append(l.files, absolute)
	}
}

// unreadable says why a file that is named cannot be used.
func unreadable(name string, err error) string {
	return fmt.Sprintf("file %q %s", name, tree.FileProblem(name, err)[0].Msg)
}
