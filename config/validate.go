package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of values.
const (
	minNameLength = 16
	maxNameLength = 64
	minMessage    = 1 << 10
	maxMessage    = 2 << 30
)

// general checks what stands outside the servers.
func (l *loader) general(f *file, cfg *Config) {
	if f.Version != 1 {
		l.fault(l.place("version"), IDChoice, fmt.Sprintf("%d is not a known version", f.Version), "write 1")
	}
	l.notNegative(cfg.Startup.Wait, "write a duration such as 3s, or 0", "startup", "wait")
	l.notNegative(cfg.Startup.SnapshotMaxAge, "write a duration such as 720h", "startup", "snapshotMaxAge")
	l.notNegative(cfg.Reload.Debounce, "write a duration such as 300ms, or 0", "reload", "debounce")
	l.notNegative(cfg.Reload.Drain, "write a duration such as 30s, or 0", "reload", "drain")
	l.choose(l.place("log", "level"), cfg.Log.Level, "trace", "debug", "info", "warn", "error", "off")
	l.choose(l.place("log", "format"), cfg.Log.Format, "text", "json")
	if cfg.Log.File != "" {
		file, err := l.absolute(cfg.Log.File, l.place("log", "file"))
		if err != nil {
			wrong := asExpandError(err)
			l.fault(l.place("log", "file"), wrong.id, wrong.msg, wrong.hint)
		}
		cfg.Log.File = file
	}
	if at := l.place("naming", "separator"); !slices.Contains([]string{"_", "__", "-"}, cfg.Naming.Separator) {
		l.fault(at, IDChoice, fmt.Sprintf("%q is not a separator", l.source(at, cfg.Naming.Separator)), `write "_", "__" or "-"`)
	}
	if n := cfg.Naming.MaxLength; n < minNameLength || n > maxNameLength {
		l.fault(l.place("naming", "maxLength"), IDRange, fmt.Sprintf("%d is out of range", n),
			fmt.Sprintf("write a number from %d to %d", minNameLength, maxNameLength))
	}
	l.choose(l.place("naming", "onTooLong"), cfg.Naming.OnTooLong, "shorten", "error")
	l.choose(l.place("naming", "onCollision"), cfg.Naming.OnCollision, "hash", "error")
	if n := cfg.Limits.Message; n < minMessage || n > maxMessage {
		l.fault(l.place("limits", "message"), IDRange, "is out of range", "write a size from 1KiB to 2GiB")
	}
	l.checkServe(cfg)
	l.checkAuth(cfg)
}

// notNegative reports a negative duration at those keys.
func (l *loader) notNegative(d time.Duration, hint string, keys ...string) {
	if d < 0 {
		l.fault(l.place(keys...), IDRange, "is negative", hint)
	}
}

// choose reports a value that is none of the choices.
func (l *loader) choose(at place, value string, choices ...string) {
	if slices.Contains(choices, value) {
		return
	}
	source := l.source(at, value)
	hint := "write " + strings.Join(choices[:len(choices)-1], ", ") + " or " + choices[len(choices)-1]
	if meant := nearest(source, choices); meant != "" {
		hint = fmt.Sprintf("did you mean %q?", meant)
	}
	l.fault(at, IDChoice, fmt.Sprintf("%q is not known", source), hint)
}

// checkPrefixes makes the later of two servers misconfigured whose names could not be told apart.
func (l *loader) checkPrefixes(servers []*Server) {
	owners := map[string]string{}
	for _, s := range servers {
		folded := strings.ToLower(SanitizePrefix(s.Prefix))
		owner, taken := owners[folded]
		if !taken {
			owners[folded] = s.Name
			continue
		}
		at := l.place("mcpServers", s.Name, "prefix")
		if s.Prefix == "" {
			l.fault(at, IDPrefix, fmt.Sprintf("server %q has no prefix either", owner), "set another prefix")
			continue
		}
		l.fault(at, IDPrefix, fmt.Sprintf("the prefix %q is that of server %q", SanitizePrefix(s.Prefix), owner), "set another prefix")
	}
}

// checkTimes checks the durations of a server.
func (l *loader) checkTimes(s *Server) {
	for _, t := range []struct {
		value time.Duration
		keys  []string
	}{
		{s.ConnectTimeout, []string{"connectTimeout"}},
		{s.CallTimeout, []string{"callTimeout"}},
		{s.Ping.Timeout, []string{"ping", "timeout"}},
	} {
		if t.value <= 0 {
			l.fault(l.place(append([]string{"mcpServers", s.Name}, t.keys...)...), IDRange, "is not more than 0", "write a duration such as 30s or 2m")
		}
	}
	l.notNegative(s.Ping.Interval, "write a duration such as 60s, or 0 for no ping", "mcpServers", s.Name, "ping", "interval")
	l.notNegative(s.IdleTimeout, "write a duration such as 10m, or 0 for never", "mcpServers", s.Name, "idleTimeout")
	if s.MaxConcurrent < 0 {
		l.fault(l.place("mcpServers", s.Name, "maxConcurrent"), IDRange, "is negative", "write a number of calls, or 0 for any number")
	}
	if s.MaxResultBytes < 0 {
		l.fault(l.place("mcpServers", s.Name, "maxResultBytes"), IDRange, "is negative", "write a size such as 1MiB, or 0 for any size")
	}
}
