// Package jsonrpc reads, edits and writes JSON-RPC 2.0 messages without changing a byte that nobody asked
// to change. It knows no MCP.
//
// A Message is the text as it came over the wire plus the places of its envelope members. Forwarding a
// message means replacing its id, and sometimes a member of its params, in that text: unknown members, the
// order of members, big integers and odd numbers are never decoded, so they cannot be lost.
//
// Reading is strict where it decides (RFC 8259 syntax, one occurrence and the exact case of each envelope
// member, bounded depth and size), so that this program and the one behind it cannot read one message in
// two ways. Reading is one linear scan while the bytes arrive. A long text stays in the pieces it was read
// in: it is neither decoded nor joined nor held twice.
package jsonrpc
