package jsonrpc

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

const readBuffer = 64 << 10

var bom = []byte("\ufeff")

// Reader reads messages that are separated by line ends (MCP, stdio transport). It is for one goroutine.
type Reader struct {
	in    *bufio.Reader
	limit int64
}

// NewReader returns a Reader of r that refuses messages longer than limit bytes.
func NewReader(r io.Reader, limit int64) *Reader {
	return &Reader{in: bufio.NewReaderSize(r, readBuffer), limit: limit}
}

// Read returns the next message. It blocks until there is one. A *MalformedError stands for one line that is
// no message; reading goes on after it. Any other error is the end. Blank lines, a byte order mark and CRLF
// are passed over.
func (r *Reader) Read() (*Message, error) {
	for {
		line, err := r.in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return r.long(line)
		}
		if err != nil && len(line) == 0 {
			return nil, err
		}
		if line = trim(line); len(line) == 0 {
			if err != nil {
				return nil, err
			}
			continue
		}
		a := NewAssembler(r.limit, 0)
		_, _ = a.Write(line)
		return a.Message()
	}
}

// long reads a line that is longer than the buffer, which holds the beginning of it.
func (r *Reader) long(line []byte) (*Message, error) {
	a := NewAssembler(r.limit, 0)
	_, _ = a.Write(bytes.TrimPrefix(line, bom))
	for {
		line, err := r.in.ReadSlice('\n')
		if err == nil {
			line = bytes.TrimRight(line, "\r\n")
		}
		_, _ = a.Write(line)
		switch {
		case err == nil:
			return a.Message()
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return a.Message()
		default:
			return nil, err
		}
	}
}

func trim(line []byte) []byte { return bytes.TrimSpace(bytes.TrimPrefix(line, bom)) }
