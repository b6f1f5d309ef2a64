// Package discovery finds the authorization server of an MCP server, and what it can do.
//
// The way there has three parts, and every document on it was written by somebody else:
//
//   - resource.go: the server says which resource it is and who issues tokens for it (RFC 9728). The address of that
//     document is in the challenge, or one of two well-known ones.
//   - server.go: one of those authorization servers says where its endpoints are (RFC 8414, OpenID Connect Discovery).
//     It has to be who it was expected to be (issuer.go).
//   - legacy.go: servers from before that (MCP 2025-03-26) are their own authorization servers.
//
// What the configuration says goes before what is found. What is known of well-known authorization servers
// (preset.go) fills gaps.
//
// Documents are fetched with a time limit and a size limit (fetch.go), from addresses that a public server may point
// to (guard.go). A server that cannot be reached gives an [UnavailableError], never a reason to sign in.
package discovery
