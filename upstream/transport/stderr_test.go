package transport

import (
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

func TestStderrTail(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	tests := []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"no line end", "a", "a"},
		{"blank lines, CRLF", "a\r\n\r\n  \n\nb \n", "a\nb"},
		{"control characters", "\x1b[1;31mred\x1b[0m\a\tx\x1b\xff\n", "red\tx\ufffd"},
		{"cut colour", "a\x1b[", "a"},
		{"20 lines", strings.Repeat("old\n", 50) + strings.Repeat("new\n", 20), strings.TrimSpace(strings.Repeat("new\n", 20))},
		{"a long line", long + "\nb\n", long[:stderrLine] + "\nb"},
		{"4 KiB", strings.Repeat(long+"\n", 5), strings.Repeat(long[:stderrLine]+"\n", 2) + long[:stderrLine]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &stderrLog{log: hclog.NewNullLogger()}
			s.read(strings.NewReader(tt.in))
			if got := s.tail(); got != tt.want {
				t.Errorf("tail() = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestStderrRate(t *testing.T) {
	var log logBuffer
	s := &stderrLog{log: log.logger(hclog.Debug), level: hclog.Debug}
	const lines = 100_000
	s.read(strings.NewReader(strings.Repeat("x\n", lines)))
	text := log.String()
	if n := strings.Count(text, "line=x"); n < stderrRate || n > lines/10 {
		t.Errorf("%d of %d lines in the log", n, lines)
	}
	if !strings.Contains(text, "stderr: lines left out: lines=") {
		t.Error("the log does not say that lines were left out")
	}
}
