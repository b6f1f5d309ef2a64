package transport

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	stderrRead  = 4 << 10 // the buffer
	stderrLine  = 1 << 10 // what is kept of a line
	stderrLines = 20      // how many of the last lines are kept
	stderrTail  = 4 << 10 // how much of them an error says
	stderrRate  = 200     // how many lines a second go into the log
)

// stderrLog takes what a child writes to its stderr, which says nothing about errors by itself (MCP, stdio transport):
// line by line into the log, and the last lines in case the child exits. It keeps a bounded part of
// each line, of the last lines and, in the log, of each second, and so never lets the child wait.
type stderrLog struct {
	log   hclog.Logger
	level hclog.Level // of its lines in the log

	mu   sync.Mutex
	ring [stderrLines][]byte // ring[n%stderrLines] is the next to be overwritten
	n    int

	// Of read alone.
	second  time.Time
	shown   int
	omitted int
}

// read takes everything until r ends.
func (s *stderrLog) read(r io.Reader) {
	in := bufio.NewReaderSize(r, stderrRead)
	cut := false // the beginning of this line was taken
	for {
		line, err := in.ReadSlice('\n')
		if !cut {
			s.take(line)
		}
		cut = errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !cut {
			s.show(nil)
			return
		}
	}
}

func (s *stderrLog) take(line []byte) {
	line = bytes.TrimRight(line[:min(len(line), stderrLine)], " \t\r\n")
	if len(line) == 0 {
		return
	}
	s.mu.Lock()
	at := s.n % stderrLines
	s.ring[at] = append(s.ring[at][:0], line...)
	s.n++
	s.mu.Unlock()
	s.show(line)
}

// show logs a line; nil, or the first line of a second, says how many were left out before.
func (s *stderrLog) show(line []byte) {
	if s.log.GetLevel() > s.level {
		return
	}
	now := time.Now()
	if line == nil || now.Sub(s.second) >= time.Second {
		if s.omitted > 0 {
			s.log.Log(s.level, "stderr: lines left out", "lines", s.omitted)
		}
		s.second, s.shown, s.omitted = now, 0, 0
	}
	switch {
	case line == nil:
	case s.shown < stderrRate:
		s.shown++
		s.log.Log(s.level, "stderr", "line", plainText(line))
	default:
		s.omitted++
	}
}

// tail returns the last lines, oldest first.
func (s *stderrLog) tail() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	size := 0
	for i := s.n - 1; i >= max(0, s.n-stderrLines); i-- {
		line := plainText(s.ring[i%stderrLines])
		if size += len(line) + 1; size > stderrTail {
			break
		}
		lines = append([]string{line}, lines...)
	}
	return strings.Join(lines, "\n")
}

// plainText takes colours and other control characters off a line.
func plainText(line []byte) string {
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == 0x1b && i+1 < len(line) && line[i+1] == '[':
			for i += 2; i < len(line) && (line[i] < '@' || line[i] > '~'); i++ {
			}
		case c >= ' ' && c != 0x7f || c == '\t':
			b.WriteByte(c)
		}
	}
	return strings.ToValidUTF8(b.String(), "\ufffd")
}
