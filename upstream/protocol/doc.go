// Package protocol is the vocabulary of MCP: the names of methods, the protocol versions of the initialize
// era, log levels and the lists that servers keep. The words are mcp-go's; nothing here touches a message.
package protocol
