package jsonrpc

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// ID is an id, or a progress token, as it is written: `1`, `"1"`, `9007199254740993`. "" is the absence of an
// id, `null` the id of an answer to a request that could not be read.
type ID string

// Null is the id of an answer to a request that could not be read.
const Null ID = "null"

// Int returns the id for a number.
func Int(n int64) ID { return ID(strconv.FormatInt(n, 10)) }

// Key returns the id in the one spelling by which ids are compared: a string may be written with escapes.
func (id ID) Key() ID {
	if strings.IndexByte(string(id), '\\') < 0 {
		return id
	}
	s, _ := ReadString(Raw(id))
	return ID(Quote(s))
}

// ReadID returns raw as an id, false when it is neither a string nor a number.
func ReadID(raw Raw) (ID, bool) {
	if len(raw) == 0 {
		return "", false
	}
	c := raw[0]
	return ID(raw), c == '"' || c == '-' || c >= '0' && c <= '9'
}

// Quote returns s as a JSON string.
func Quote(s string) Raw {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return bytes.TrimRight(b.Bytes(), "\n")
}
