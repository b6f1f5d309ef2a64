// Package config reads and checks the configuration file. It imports nothing else of plait.
//
// # Formats
//
// YAML (.yaml, .yml), TOML (.toml) and JSON with comments and trailing commas (.json, .jsonc) have the same keys. Keys
// are camelCase; snake_case and kebab-case are understood. A key may not be there twice, in whichever spelling. YAML
// anchors, aliases and merge keys work, and top-level keys that start with "x-" are free for them.
//
//	version: 1                    # may be left out, as everything but mcpServers
//	startup: {wait: 3s}           # how long a first list waits for servers that still connect
//	log: {level: info, format: text, file: ""}       # trace debug info warn error off; text json
//	naming: {separator: _, maxLength: 48, bareNames: false}   # _ __ -; 16 to 64
//	limits: {message: 64MiB}      # of one message
//	mcpServers:                   # or servers
//	  docs:
//	    url: https://example.com/mcp       # serverUrl and httpUrl are the same
//	    headers: {Authorization: "Bearer ${TOKEN}"}
//	    transport: http-first     # sse-first, http, sse
//	    allowHttp: false          # allows http:// to another host than this one
//	    serverStream: true        # keep a stream open for what the server sends by itself
//	    protocolVersion: "2025-06-18"      # offer this version instead of the client's
//	    caFile: ca.pem
//	    clientCert: {cert: c.pem, key: c.key}
//	  files:
//	    command: npx              # with a slash: from the folder of the file
//	    args: [-y, some-server]
//	    env: {LOG: warn}
//	    envFile: .env             # or a list; visible to ${…} of this server and part of its environment
//	    inheritEnv: [LANG]        # further variables of the environment that the child gets
//	    cwd: .
//	    # and for every server:
//	    type: stdio               # http, sse; follows from url or command
//	    prefix: files             # of exposed names; the server's key unless set, "" for none
//	    disabled: false           # or enabled: true
//	    connectTimeout: 30s
//	    callTimeout: 10m
//	    ping: {interval: 60s, timeout: 10s}          # interval 0 for none
//	    shared: false             # one session for all clients
//	    methods: ["acme/*"]       # custom methods that go to this server
//
// Without transport, "type: http" and "type: sse" mean that wire alone, and a url without type means http-first.
// Durations have a unit; a number is read as seconds, with a warning. Relative paths start in the folder of the file,
// "~/" is the home folder.
//
// # Variables
//
// Every text may hold ${VAR} or ${env:VAR}, ${VAR:-default}, ${VAR:?message}, and $$ for "$". As in a shell, an empty
// variable counts as unset for the last two. What a variable holds is not expanded again, and any other "$" stands for
// itself. ${userHome}, ${pathSeparator} and ${/} are understood as editors write them; ${workspaceFolder},
// ${input:…} and the like, which only an editor can fill in, make their server misconfigured. envFile is in dotenv
// format, where $X in double quotes or none stands for an earlier variable of that file; it does not override the
// environment.
//
// # Files of other programs
//
// The files of Claude, Cursor, VS Code, Windsurf, Cline, Gemini and Codex work unmodified. The rule: a YAML or TOML file,
// and any file called plait, is written for plait, and every unknown key is a mistake. Any other JSON file, and
// config.toml (of Codex), is a client's: unknown keys at the top and in a server are ignored with one notice for the
// file, except those that look like a misspelt key of plait. In either kind, keys of servers that are known from such
// clients (autoApprove, alwaysAllow, gallery, …) are ignored with that notice; timeout, which they count in seconds or
// milliseconds, only in a client's file.
//
// # Mistakes
//
// All are reported at once, as [Problem], with line and column. One inside a server makes that server misconfigured
// ([Server.Problems]); the others load. One outside the servers, or a text that cannot be parsed, is the error of
// [Load], of type [Problems]. What works but is probably not meant is in [Config.Warnings]. Two servers whose prefixes
// are equal after [SanitizePrefix], case ignored, cannot be told apart: the later one is misconfigured. Servers that
// are disabled are left out unchecked.
package config
