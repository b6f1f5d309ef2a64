package catalog

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

const (
	hashLength     = 6
	longHashLength = 12 // when the short one met another name
	hardLimit      = 64 // no client takes longer names
	defaultLimit   = 48
	minLimit       = 16
)

// fault is why a name cannot be exposed as it is: prefix, separator and own name.
type fault string

const (
	fits     fault = ""
	tooLong  fault = "the name is too long"
	foreign  fault = "the name begins like those of another server"
	alike    fault = "another name differs in case only, or not at all"
	replaced fault = "the name has characters that may not stand in one"
)

// hashSpace is the room for a hashed name, and that of the hash in it.
type hashSpace struct{ limit, length int }

// hash returns the first length characters of the hash of an item's name on its server.
func hash(server, name string, length int) string {
	sum := sha256.Sum256([]byte(server + "\x00" + name))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:length])
}

// sanitize replaces every code point outside [A-Za-z0-9_-] by "_".
func sanitize(name string) string {
	return strings.Map(func(r rune) rune {
		if isLetter(r) || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, name)
}

// startWithLetter puts "t_" in front of a name that some clients would refuse.
func startWithLetter(name string) string {
	if name != "" && isLetter(rune(name[0])) {
		return name
	}
	return "t_" + name
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

// fold returns the form in which names are compared, since some clients ignore case.
func fold(name string) string { return strings.ToLower(name) }

// cut returns at most limit bytes of a sanitised name, without separators at the end.
func cut(name string, limit int) string {
	return strings.TrimRight(name[:min(limit, len(name))], "_-")
}
