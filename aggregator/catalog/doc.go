// Package catalog is the namespace that a client sees: it makes one list out of many servers' lists and leads
// every exposed name and URI back to the server that owns it.
//
// # Names
//
// The exposed name of a tool is the server's prefix, the separator and the tool's own name. It is a function of
// the configuration and of the server's own list, never of who else is online, and it is found again by look-up,
// never by taking a name apart. A name is hashed (cut, and ended by "_" and six characters of the SHA-256 of the
// server's and the tool's name) when
//   - a character outside [A-Za-z0-9_-] had to be replaced or the first one is no letter,
//   - it is longer than allowed,
//   - it begins like the names of another configured server: with prefixes "a" and "a_b", the tool "b_c" of a is
//     always a_b_c_<hash> and the tool "c" of a_b always a_b_c; of two servers with one prefix the first in the
//     configuration keeps its names and the other's are all hashed,
//   - the server has two names that differ only in case: the byte-wise greatest, which is the one in lower case
//     if there is one, keeps its name.
//
// Should two servers still meet in one name, which takes a forged hash, both get twelve characters: neither can
// take the other's calls. Prompts live by the same rules in a namespace of their own.
//
// A single server without a prefix is passed through: its names and items are not touched at all.
//
// # Resources
//
// URIs stay as they are. A URI that several servers have belongs to the one that is pinned to it, else to the
// first in the order of the configuration, which is then pinned: while that server is configured nobody else gets
// the URI, even when it is offline. The others' are exposed under an alias, in every place where a URI of theirs
// can stand (Catalog.Rewrite), and never in text. URIs in the metadata of a server's tools count as listed by it.
//
// # Rules
//
// What the configuration hides is left out when a Fragment is made, by the server's own name, or URI, and noted for
// Explain: deny wins over allow, and the rules of the server and of the profile must both allow an item. Deny does not
// care for case, Unicode forms or the ways to write a URI, nor for its query or fragment; allow does, and does not let
// a URI climb out with "..". readOnly goes by the annotations as the file overrides them. A template that is hidden is
// not listed and not completed; its expansions live by the rules for URIs, like every URI that is not listed. A tool
// whose metadata names a hidden URI stays: reading the URI is refused. With naming.onTooLong or onCollision "error" an
// item that would be hashed for that reason is left out with a warning.
//
// A server that is passed through and has rules keeps its names, but only what it lists, and they allow, is found.
//
// # Life
//
// A Namer lives as long as the configuration, a Fragment as long as one server's lists, a Catalog until one of
// them changes. All are immutable and may be used by any number of goroutines. The package does no I/O and logs
// nothing: what was wrong with an item is a Warning.
package catalog
