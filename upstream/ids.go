package upstream

// The stable ids of what goes wrong with servers. They end the texts of errors, and `plait help ID` explains each.
const (
	// idMisconfigured: the configuration of the server does not allow a connection: a setting is wrong, a variable
	// is not set, a certificate cannot be read. `plait validate` says where; the other servers run.
	idMisconfigured = "PLAIT-SRV-001"
	// idUnreachable: no connection could be made: the name is not known, nothing listens there, the network or a
	// proxy does not let it through. plait tries again by itself; `plait doctor NAME` looks at each step.
	idUnreachable = "PLAIT-SRV-002"
	// idSilent: the server, or what starts it, did not answer initialize within connectTimeout. A server that
	// starts slowly needs a longer connectTimeout.
	idSilent = "PLAIT-SRV-003"
	// idRefused: the server answered the handshake with an HTTP error: 404 is often a wrong path in url, 5xx a
	// server that is broken or starts.
	idRefused = "PLAIT-SRV-004"
	// idUnauthorized: the server refused the credentials (401), or what they may do (403 at the handshake). The
	// server is parked: plait asks it no more until its settings change, or a person has it tried again.
	idUnauthorized = "PLAIT-SRV-005"
	// idRateLimited: the server asked for time (429 or 503, Retry-After). plait waits as it was told, at most an
	// hour, before it connects; it does not repeat calls.
	idRateLimited = "PLAIT-SRV-006"
	// idHandshake: what answers is not an MCP server that plait understands: an HTML page, garbage, an error to
	// initialize, an unknown protocol version.
	idHandshake = "PLAIT-SRV-007"
	// idExited: the command of a stdio server could not be started, or it ended. The error has its exit status and
	// the last lines that it wrote to stderr.
	idExited = "PLAIT-SRV-008"
	// idNotYet: the server is not connected yet, or not any more: it still starts, or plait ends.
	idNotYet = "PLAIT-SRV-009"
	// idTimeout: the server took a call and did not answer it within callTimeout. plait told it to stop. Progress
	// starts the time anew.
	idTimeout = "PLAIT-SRV-010"
	// idLost: the server went away, or forgot the session, while it had a call. It may have carried it out; plait
	// does not repeat it.
	idLost = "PLAIT-SRV-011"
	// idCallFailed: the server answered a call with an HTTP error, or with what is no answer.
	idCallFailed = "PLAIT-SRV-012"
	// idTooLarge: the result of a call is longer than maxResultBytes, or the message than limits.message, and was
	// not delivered. The session goes on.
	idTooLarge = "PLAIT-SRV-013"
	// idQueue: as many calls as maxConcurrent allows are with the server, and this one found no place in the queue
	// or no turn in time. The server did not get it.
	idQueue = "PLAIT-SRV-014"
	// idTLS: the certificate of the server is not trusted, or is for another name. caFile names the authority of a
	// private one.
	idTLS = "PLAIT-SRV-015"
)
