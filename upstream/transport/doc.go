// Package transport is the wires to servers: Streamable HTTP, HTTP+SSE of 2024-11-05, and the stdio of a child
// process. Open chooses among them; a Conn moves whole messages and leaves every byte of them alone.
//
// # Why these wires are not mcp-go's
//
// mcp-go v1.2.1 gives plait the words of the protocol. Its wires change what they carry; each of the following
// was measured, and is a test here that our wires pass (TestDefect…).
//
//   - Integers above 2^53 are rounded and members sorted in error.data, in notifications and in requests of the
//     server. A request with the id 9007199254740993 is answered as …992. Array params are dropped.
//   - A request of the server that takes longer than 30 s, as a person does who is asked something, is never
//     answered at all: the answer is sent with a context that has expired.
//   - On HTTP+SSE a request of the server is taken for an answer, and ends the call that has the same id with an
//     empty success. When the stream breaks, calls hang for a minute.
//   - An answer to another request is accepted. An error without an id, a batch, 202, a byte order mark and CR
//     line ends are not.
//   - 502 with a JSON body is a success without a result. Any 4xx to initialize is "legacy SSE server", without
//     Retry-After and WWW-Authenticate. 404 for an unknown method ends the session.
//   - A stream that breaks is not resumed. The listening stream opens too early, never names the last event,
//     comes back every second for ever, and answers on it are ignored. DELETE goes out without the headers.
//   - Bodies, events and lines have no limit. A child that does not read its stdin blocks every call, it
//     inherits the whole environment, its children outlive it, and the context of connecting kills it later.
//
// # How the bytes go
//
// A JSON body is read straight into the pieces of its message; the data of an event goes there from the one
// buffer that it was read into. A call whose answer is JSON takes no goroutine. One whose answer is a stream
// takes one for what follows the answer, so that the connection is used again.
package transport
