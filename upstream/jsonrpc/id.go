package jsonrpc

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// ID is an id, or a progress token, as it is written: `1`, `"1"`, `9007199254740993`. Ids are equal when they are
// written alike. "" is the absence of an id, `null` the id of an answer to a request that could not be read.
type ID string

// Null is the id of an answer to a request that could not be read.
const Null ID = "null"

// Int returns the id for a number.
func Int(n int64) ID { return ID(strconv.FormatInt(n, 10)) }

// ReadID returns raw as an id, false when it is neither a string nor a number. A string that is written with
// escapes is returned as this package writes it, so that an id compares equal however it is written.
func ReadID(raw Raw) (ID, bool) {
	if len(raw) == 0 {
		return "", false
	}
	switch c := raw[0]; {
	case c == '-' || c >= '0' && c <= '9':
		return ID(raw), true
	case c != '"':
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return ID(raw), true
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return ID(Quote(s)), true
}

// Quote returns s as a JSON string.
func Quote(s string) Raw {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return bytes.TrimRight(b.Bytes(), "\n")
}
