package jsonrpc

import (
	"bytes"
	"encoding/json"
)

// member is a member of the envelope.
type member uint8

const (
	memberVersion member = iota
	memberID
	memberMethod
	memberParams
	memberResult
	memberError
	members
)

var memberNames = [members]string{"jsonrpc", "id", "method", "params", "result", "error"}

// maxName is longer than any spelling of a member of the envelope that we must recognise, escapes included.
const maxName = 64

// envelope is what a scan finds of the outermost value.
type envelope struct {
	at      [members]span
	array   bool
	closing int    // offset of the last brace
	problem string // the first thing wrong with the members themselves
}

// note records that the member called name, raw and without quotes, has its value at s.
func (e *envelope) note(name []byte, s span) {
	if bytes.IndexByte(name, '\\') >= 0 {
		var decoded string
		if json.Unmarshal(append(append([]byte{'"'}, name...), '"'), &decoded) == nil {
			name = []byte(decoded)
		}
	}
	for m, known := range memberNames {
		switch {
		case string(name) == known:
			if e.at[m].ok() && e.problem == "" {
				e.problem = "duplicate member " + known
			}
			e.at[m] = s
			return
		case len(name) >= len(known) && bytes.EqualFold(name, []byte(known)):
			if e.problem == "" {
				e.problem = "member " + string(name) + " must be written " + known
			}
			return
		}
	}
}
