// Package register makes plait a client of an authorization server.
//
// There are three ways, and the first that works is taken (MCP, "Client Registration Approaches"): a client that
// somebody registered before (static.go), a document that says who plait is and whose address is the client's id
// (Client ID Metadata Document), and a registration over the wire (dynamic.go; RFC 7591).
package register
