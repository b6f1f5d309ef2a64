package config

import (
	"fmt"
	"io"
)

// Secret is a text that nobody may read by accident: however it is printed or encoded, "[redacted]" comes out.
// Only Reveal, or a conversion to string, gives the text.
type Secret string

const redacted = "[redacted]"

// Reveal returns the text itself, for where it is used.
func (s Secret) Reveal() string { return string(s) }

// Format implements fmt.Formatter, for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String implements fmt.Stringer, for those who call it themselves.
func (Secret) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return redacted }

// MarshalText implements encoding.TextMarshaler, for JSON and others.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
