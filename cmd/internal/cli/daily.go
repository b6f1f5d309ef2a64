package cli

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// daily is a log file with the day in its name: plait.log becomes plait-2026-01-31.log. Processes that write
// to one path do not disturb each other: a file is never renamed, and each line is one append.
type daily struct {
	path string
	now  func() time.Time

	mu   sync.Mutex
	day  string   // guarded by mu
	file *os.File // guarded by mu
}

// openDaily opens the file of today, and makes its folder if need be.
func openDaily(path string) (*daily, error) {
	d := &daily{path: path, now: time.Now}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := d.roll(); err != nil {
		return nil, err
	}
	return d, nil
}

// Write appends one line. Any goroutine may call it. When the file of a new day cannot be opened, the old
// one goes on.
func (d *daily) Write(line []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.roll(); err != nil && d.file == nil {
		return 0, err
	}
	return d.file.Write(line)
}

// Close closes the file.
func (d *daily) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.file.Close()
}

// roll opens the file of the day when that is not the open one; d.mu is held, or nobody else has d.
func (d *daily) roll() error {
	day := d.now().Format(time.DateOnly)
	if day == d.day {
		return nil
	}
	ext := filepath.Ext(d.path)
	name := strings.TrimSuffix(d.path, ext) + "-" + day + ext
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if d.file != nil {
		_ = d.file.Close()
	}
	d.day, d.file = day, file
	return nil
}
