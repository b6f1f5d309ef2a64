// Package aggregator makes many servers look like one.
//
// An Aggregator holds the servers; Open gives a client its Session. A Session is a jsonrpc.Handler: a request
// of the client goes through the table in methods.go to the one server that it is for, and back:
//
//	client ─▶ Session.Request ─▶ methods ─▶ catalog look-up ─▶ forward ─▶ upstream.Session.Call ─▶ server
//	client ◀─ answer, own id ◀───────────── aliases undone ◀────────────────────────────────────── answer
//
// A request of a server comes the other way, to the client whose session it came on and to nobody else:
//
//	server ─▶ upstream.Session.Request ─▶ Session.Ask ─▶ client, and its answer back
//
// Every message is served on one view (view.go), which never changes: a generation of the configuration
// (generation.go), the sessions with its servers, and the catalog of what they have listed, built once per change
// and looked up, never parsed. Lists are merged in list.go. Apply (apply.go) gives every client its next view, and
// what is under way ends on the view that it began with. Notifications of a server pass through Tell; those that
// only say that a list changed become one of plait's own, and only if the merged list changed (changes.go).
//
// A request for a server that a person has to sign in to first is answered at once with what the person can do
// (signin.go): a link to a page of plait and a command, in the form that the client can make the most of. The client
// that was asked to show the link hears when the person is done (link.go). While a server needs a sign-in a tool is
// listed that gives such links, too (logintool.go): that of a server inside the process, which is mounted beside the
// others.
//
// What is edited in a message that passes is: ids, progress tokens, names, and, where two servers would
// otherwise be mistaken for one another, the resource URI, the task id or the elicitation id of the second.
package aggregator
