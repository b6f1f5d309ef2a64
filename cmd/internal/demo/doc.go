// Package demo is three small MCP servers, one for each wire, for `plait demo` to merge.
//
// They are built with the official Go SDK and not with mcp-go: the server of mcp-go compiles JSON schemas
// when the program starts, which costs every command of plait about 5 ms and 1.7 MB, and the SDK 0.5 ms.
package demo
