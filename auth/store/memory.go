package store

import (
	"context"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
)

// memory is a medium that ends with the process.
type memory struct {
	mu    sync.Mutex
	files map[string][]byte
}

func newMemory() *memory { return &memory{files: map[string][]byte{}} }

// read implements medium.
func (m *memory) read(name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

// write implements medium.
func (m *memory) write(_ context.Context, name string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[name] = data
	return nil
}

// remove implements medium.
func (m *memory) remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.files[name]; !ok {
		return fs.ErrNotExist
	}
	delete(m.files, name)
	return nil
}

// setAside implements medium: nobody could look at the file.
func (m *memory) setAside(name string) (string, error) { return name, m.remove(name) }

// list implements medium.
func (m *memory) list(kind Kind) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := slices.Sorted(maps.Keys(m.files))
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, string(kind)+"/") }), nil
}
