package cli

import (
	"io"

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

// openLog returns a logger that writes to standard error and, when one is named, to a daily file, both
// without secrets. The caller closes the closer after the last line.
func (a *app) openLog(l logging) (hclog.Logger, io.Closer, error) {
	level := hclog.LevelFromString(l.level)
	if level == hclog.NoLevel {
		return nil, nil, usagef("unknown log level %q; use trace, debug, info, warn, error or off", l.level)
	}
	sink := sinks{a.env.Err}
	var file io.Closer = io.NopCloser(nil)
	if l.file != "" {
		daily, err := openDaily(l.file)
		if err != nil {
			return nil, nil, usagef("log file: %w; name another with --log-file or log.file", err)
		}
		sink, file = append(sink, daily), daily
	}
	return hclog.New(&hclog.LoggerOptions{
		Name: "plait", Level: level, JSONFormat: l.format == "json", Output: a.redact.writer(sink),
	}), file, nil
}

// sinks writes to each of its writers, whatever the others say: a closed standard error does not silence
// the file.
type sinks []io.Writer

// Write implements io.Writer.
func (s sinks) Write(line []byte) (int, error) {
	var first error
	for _, w := range s {
		if _, err := w.Write(line); err != nil && first == nil {
			first = err
		}
	}
	return len(line), first
}
