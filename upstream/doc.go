// Package upstream keeps one session with each configured server for each client, and puts it back when it
// is lost.
//
// A Set holds the servers. Open gives a client its own Session with each of them: what a server asks for on
// its own can then only reach the client that caused it. A server that is configured `shared` has one
// Session for all clients, to which nothing is declared that could call back.
//
// A Session has one supervisor (run.go): connect, initialize, put back what the client had set up, serve,
// wait with back-off, again. Everything else asks the Session for its link, the wire of the moment: calls
// (call.go), lists (lists.go), notifications of the client (outbox.go). What the server says by itself comes
// in through inbound.go and goes to the Client.
//
// The last good lists of each server are kept on disk (snapshot.go), if Options.Snapshots says so. A Session
// starts with them, as far as they are of the same server, connected in the same way for the same kind of client,
// and has the server confirm them when it is there (lists.go).
package upstream
