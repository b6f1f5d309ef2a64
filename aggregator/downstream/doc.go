// Package downstream is the client's side of the wire: it frames messages, remembers what is being served, so
// that it can be cancelled, and hands everything to a jsonrpc.Handler.
//
// It is ours and not mcp-go's because a proxy owns framing, ids, order and routing. Measured on mcp-go v1.2.1:
// its stdio server lets an answer overtake its own progress notifications (500 of 500 calls), drops
// notifications beyond a hundred that wait (4,150 of 5,000), loses the cancellation of a call that is queued,
// serves five tool calls at a time so that five that wait for the user block all others, deadlocks when its
// queue is full of calls that need the client, rounds ids beyond 2^53 and takes 1 and "1" for the same id; its
// dispatch is closed, so no custom method can pass, and it turns a server's error into -32603. Its HTTP server gives
// all calls of a session one channel (52 of 80 notifications of progress came on the stream of another call), asks a
// client only over its GET stream, and lets any web page in.
//
// Here one goroutine reads, each request has its own, and all write through one jsonrpc.Writer: what one
// goroutine sends stays in order, so progress comes before its answer. Nothing is dropped; a client that does
// not read stops what is written to it, and is not read itself when a thousand refusals wait for it.
//
// Over HTTP each request has a stream of its own: what a server says because of it travels there, and everything else
// on the stream that a GET opens. A stream that broke can be read again for a while, within a budget, and a client
// that goes away cancels nothing.
package downstream
