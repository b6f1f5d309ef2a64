package protocol

import "slices"

// levels are those of RFC 5424, least severe first.
var levels = []string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}

// Severity returns the rank of a log level, higher for more severe, and false for a word that is none.
func Severity(level string) (int, bool) {
	i := slices.Index(levels, level)
	return i, i >= 0
}
