package protocol

import (
	"slices"

	"github.com/mark3labs/mcp-go/mcp"
)

// Protocol versions of the initialize era. They compare as strings.
const (
	V20241105 = mcp.ProtocolVersion20241105
	V20250326 = mcp.ProtocolVersion20250326
	V20250618 = mcp.ProtocolVersion20250618
	V20251125 = mcp.ProtocolVersion20251125
	Latest    = mcp.LATEST_LEGACY_PROTOCOL_VERSION
)

// Negotiate returns the version to speak with a client that offers one: its own when it is known, else the
// latest (2025-11-25, lifecycle, version negotiation).
func Negotiate(offered string) string {
	if Known(offered) {
		return offered
	}
	return Latest
}

// Known reports whether version is one of the initialize era.
func Known(version string) bool {
	return slices.Contains([]string{V20241105, V20250326, V20250618, V20251125}, version)
}

// Batches reports whether JSON-RPC batches belong to the version (2025-03-26 only).
func Batches(version string) bool { return version == V20250326 }
