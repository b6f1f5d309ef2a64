// Package upstream keeps one session with each configured server for each client, and puts it back when it
// is lost.
//
// A Set holds the servers. Open gives a client its own Session with each of them: what a server asks for on
// its own can then only reach the client that caused it. A server that is configured `shared` has one
// Session for all clients, to which nothing is declared that could call back.
//
// What all sessions with one configured server share, so that many clients are no more trouble to it than one:
// its health (breaker.go), which says when it may be tried, and the queue for its calls (limit.go). A dead server
// costs less than 300 requests a day.
//
//   - After 5 attempts in a row that failed the breaker is open: calls fail at once and say when the next attempt
//     is due; one session at a time makes it. One that works lets the others follow; a session that lasts 10 s
//     closes the breaker.
//   - All attempts in vain, and sessions that ended soon without an answer to a call, are paid from a budget of
//     requests: 60, and 150 more in a day. Without credit nobody tries the server, whoever calls.
//   - 401, and 403 at the handshake, park the server: nobody tries it before [Session.Retry], or other settings.
//   - A server that a person has to sign in to first is held in the same way (hold.go), until somebody has, in any
//     process: then all sessions come back by themselves.
//   - 429, and 503 with Retry-After, are waited for as told, an hour at most. Calls are not held back for it and
//     never repeated.
//   - A wire over HTTP that was not reached 5 times in a row is given up.
//
// A session that is lazy, or was not used for idleTimeout, is Idle (idle.go): it has no connection, keeps its lists
// and what the server said of itself, and connects with the next use.
//
// The servers of a Set may change while clients work (reload.go): what stays the same inside keeps its Sessions, the
// others are opened anew beside the old, which are drained.
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
