package store_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

// logged is a log that a test reads.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// warnings returns the lines of the log from the level warn on.
func (l *logged) warnings() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []string
	for line := range strings.Lines(l.buf.String()) {
		if strings.Contains(line, "[WARN]") || strings.Contains(line, "[ERROR]") {
			lines = append(lines, line)
		}
	}
	return lines
}

// openWith returns a store, as another process would open it, and its log.
func openWith(tb testing.TB, c config.Credentials, helper []string) (*store.Store, *logged) {
	tb.Helper()
	log := &logged{}
	s, err := store.Open(store.Options{
		Credentials: c, Helper: helper, Log: hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Debug}),
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s, log
}

func exists(tb testing.TB, path string) bool {
	tb.Helper()
	_, err := os.Lstat(path)
	return err == nil
}

// aside returns the files below dir that were put aside.
func aside(tb testing.TB, dir string) []string {
	tb.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*", "*.bad-*"))
	if err != nil {
		tb.Fatal(err)
	}
	return found
}
