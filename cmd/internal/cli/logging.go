package cli

import (
	"io"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/config"
)

// logging says what a command logs.
type logging struct {
	level  string
	format string
	file   string // "" for standard error alone
}

// logging returns what to log: the flags come before $PLAIT_LOG, and that before the configuration.
func (a *app) logging(c config.Log) logging {
	l := logging{level: c.Level, format: c.Format, file: c.File}
	if level, _ := a.env.LookupEnv("PLAIT_LOG"); level != "" {
		l.level = level
	}
	if a.logLevel != "" {
		l.level = a.logLevel
	}
	if a.logFile != "" {
		l.file = a.logFile
	}
	return l
}

// logs is an open log: a logger that writes to standard error and, when one is named, to a daily file, both
// without secrets.
type logs struct {
	hclog.Logger

	is  logging
	out *sink
}

// openLog opens a log. The caller closes it after the last line.
func (a *app) openLog(l logging) (*logs, error) {
	level, err := l.parseLevel()
	if err != nil {
		return nil, err
	}
	out := &sink{always: a.env.Err}
	if err := out.open(l.file); err != nil {
		return nil, err
	}
	return &logs{is: l, out: out, Logger: hclog.New(&hclog.LoggerOptions{
		Name: "plait", Level: level, JSONFormat: l.format == "json", Output: a.redact.writer(out),
	})}, nil
}

func (l logging) parseLevel() (hclog.Level, error) {
	level := hclog.LevelFromString(l.level)
	if level == hclog.NoLevel {
		return level, usagef("unknown log level %q; use trace, debug, info, warn, error or off", l.level)
	}
	return level, nil
}

// become makes the log what l says, as far as that is possible: the format stays. An error leaves the file.
// Nobody calls it twice at a time.
func (g *logs) become(l logging) error {
	level, err := l.parseLevel()
	if err != nil {
		return err
	}
	g.SetLevel(level)
	if l.file != g.is.file {
		err = g.out.open(l.file)
	}
	if err == nil {
		g.is.file = l.file
	}
	g.is.level = l.level
	return err
}

// Close closes the file.
func (g *logs) Close() { g.out.close() }

// sink writes lines to a writer and to a file, whatever the other says: a closed standard error does not
// silence the file.
type sink struct {
	always io.Writer

	mu   sync.Mutex
	file *daily // nil for none
}

// Write implements io.Writer.
func (s *sink) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.always.Write(line)
	if s.file != nil {
		if _, fileErr := s.file.Write(line); err == nil {
			err = fileErr
		}
	}
	return len(line), err
}

// open opens the daily file with that path, "" for none, and then closes the one before.
func (s *sink) open(path string) error {
	var file *daily
	if path != "" {
		var err error
		if file, err = openDaily(path); err != nil {
			return usagef("log file: %w; name another with --log-file or log.file", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		s.file.Close()
	}
	s.file = file
	return nil
}

func (s *sink) close() { _ = s.open("") }
