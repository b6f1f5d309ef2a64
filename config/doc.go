// Package config is the checked configuration.
//
// Below it lie what a file holds (config/tree), its edits as text (config/edit) and the watch over it (config/watch).
// config is made of the first and does not know the others.
//
// # Formats
//
// YAML (.yaml, .yml), TOML (.toml) and JSON with comments and trailing commas (.json, .jsonc) have the same keys. Keys
// are camelCase; snake_case and kebab-case are understood. A key may not be there twice, in whichever spelling. YAML
// anchors, aliases and merge keys work, and top-level keys that start with "x-" are free for them.
//
//	version: 1                    # may be left out, as everything but mcpServers
//	extends: [./team.yaml]        # layers below this file; see Layers
//	envFile: .env                 # or a list; visible to every ${…}
//	allowCommands: false          # allows ${exec:…}; see Secrets
//	startup:
//	  wait: 3s                    # how long a first list waits for servers that still connect
//	  snapshot: true              # keep the last good lists on disk, and show them at the start
//	  snapshotMaxAge: 720h        # but none that is older
//	reload:
//	  watch: true                 # take a change of a file at once, not only when asked
//	  debounce: 300ms             # when the files have been as they are for so long
//	  drain: 30s                  # how long calls in flight keep a server that is not wanted any more
//	log: {level: info, format: text, file: ""}       # trace debug info warn error off; text json
//	naming:
//	  separator: _                # or __ or -, between prefix and name
//	  maxLength: 48               # 16 to 64
//	  onTooLong: shorten          # or error: leave the item out, with a warning
//	  onCollision: hash           # or error: leave the item out, with a warning
//	  bareNames: false            # a tool may be called by its own name too, if only one server has it
//	limits: {message: 64MiB}      # of one message
//	serve:
//	  http:                       # an endpoint for many clients, besides standard input and output
//	    listen: 127.0.0.1:8080
//	    path: /mcp
//	    sse: true                 # /sse and /message as well
//	    auth: none                # bearer: a token that plait makes; {bearer: "${TOKEN}"}: this one
//	    tls: {cert: "", key: ""}  # PEM files
//	    allowedOrigins: []        # of web pages, besides those of this machine
//	    allowedHosts: []          # names that requests may be sent to, besides those of this machine
//	    # memory: messages that are being received and served, and as much again of those that wait for clients
//	    limits: {sessions: 1000, idle: 30m, lifetime: 24h, replay: 1MiB, connections: 5000, memory: 256MiB, drain: 10s}
//	    accessLog: false          # a line in the log for each request
//	credentials: {store: auto, path: "", key: ""}          # where sign-ins are kept: auto keyring file memory
//	auth:
//	  callback: {host: 127.0.0.1, port: 33419, bind: "", publicUrl: ""}
//	  timeout: 5m                 # of a sign-in
//	  callWait: 20s               # how long a call waits for one
//	  loginTool: true             # offer the tool plait_auth
//	identities:                   # see Identities
//	  work: {grant: authorization_code, clientId: abc, clientSecret: "${keyring:work/secret}"}
//	defaults:                     # what servers do not say themselves; see Defaults
//	  callTimeout: 10m
//	profiles:                     # see Profiles
//	  review: {servers: [docs], tools: {readOnly: true}}
//	mcpServers:                   # or servers
//	  docs:
//	    url: https://example.com/mcp       # serverUrl and httpUrl are the same
//	    headers: {X-Key: "${TOKEN}"}
//	    transport: http-first     # sse-first, http, sse
//	    identity: work            # or a list; see Identities
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
//	    required: false           # nothing starts when it is misconfigured
//	    lazy: false               # connect when it is first used; its lists come from the snapshot
//	    idleTimeout: 0            # disconnect when it was not used for so long; 0 for never
//	    connectTimeout: 30s
//	    callTimeout: 10m
//	    maxConcurrent: 0          # calls at a time, of all clients; 0 for any number
//	    maxResultBytes: 0         # of one result, such as 1MiB; 0 for any size
//	    ping: {interval: 60s, timeout: 10s}          # interval 0 for none
//	    shared: false             # one session for all clients
//	    methods: ["acme/*"]       # custom methods that go to this server
//	    tools:                    # which are shown, and how; see Rules
//	      allow: ["get_*", "list_*", create_issue]
//	      deny: ["*_secret*"]
//	      readOnly: false
//	      unannotated: hide       # or show
//	      rename: {get_me: whoami}
//	      override:
//	        create_issue:
//	          title: Open an issue
//	          description: Open an issue in one of our repositories.
//	          annotations: {destructiveHint: false}
//	    prompts: {allow: [], deny: [], rename: {}}
//	    resources: {allow: [], deny: ["file:///etc/*"]}        # patterns of URIs and URI templates
//
// Without transport, "type: http" and "type: sse" mean that wire alone, and a url without type means http-first.
// Durations have a unit; a number is read as seconds, with a warning. Relative paths start in the folder of the file
// that names them, "~/" is the home folder.
//
// # Layers
//
// A file may extend others: extends holds the path of one, or a list, and each may extend more. Later ones win over
// earlier ones, the file itself over them all, and over that the local file beside it: plait.local.yaml for plait.yaml,
// in any of the formats, which is for this machine only and kept out of version control. The files of other programs
// have no local file, but they may be extended and extend. Maps merge, all else replaces, and a key without a value
// (null) takes away what the layers below say, a whole server too. Servers are in the order in which they first appear.
// Every value is checked as its own file demands, and its relative paths and mistakes are those of that file. Variables
// and secrets are looked up for what is left at the end.
//
// A layer may come from elsewhere: {url: https://…, sha256: …}, where sha256 is the SHA-256 of its content in
// hexadecimal digits. It is fetched once and then kept, by its sha256, in the folder plait/layers of the user's cache
// folder, so that the next start needs no network. It may be 4 MiB large and take 10 s; http:// is for this host only,
// and redirects have to stay on the host. A remote layer has no folder and less freedom: it has no relative paths,
// reads no secrets and no envFile, allows no commands, and extends only other remote layers.
//
// # Defaults
//
// What stands under defaults holds for every server that does not say otherwise: all keys of a server but url, command,
// args, type, prefix, disabled and enabled. Maps such as headers and ping merge, lists replace, the server wins. A key
// that has no meaning for a server, such as headers for a command, is left out there. Variables in it are those of each
// server, its envFile included.
//
// # Rules
//
// The rules of tools, prompts and resources go by the server's own name of an item, or its URI, never by the name that
// plait shows. allow lists patterns of what is shown, everything when it is empty; deny wins over it. In a pattern "*"
// stands for any characters, "?" for one, [a-z] for one of a class, {a,b} for one of several texts, and a backslash
// takes the meaning from the character after it. For deny neither case counts nor how Unicode writes a character. What
// is hidden cannot be used either. readOnly shows only tools that say of themselves that they change nothing;
// unannotated: show adds those that say nothing. rename gives an item the name to which the prefix is added, and
// override replaces what a server says of a tool; resources are not renamed.
//
// # Profiles
//
// A profile narrows the configuration for one use of it: servers are the names of those to connect, all when it is left
// out, and tools, prompts and resources are rules that hold besides each server's own. Its rules go by the servers' own
// names, too. --profile chooses one; the profile named default is chosen when no other is. --server picks servers at
// the command line, out of those of the profile. Clients over HTTP choose for themselves: at PATH/p/NAME (serve.http.path,
// and /sse/p/NAME) is what --profile NAME shows, at PATH what --profile of plait serve does. Profiles share a server: its
// connection if that is shared, and what is known of its health. With an endpoint all profiles count as chosen, so that
// the secrets of all their servers are looked up; a mistake in a server that only others have switches it off there.
//
// # Clients elsewhere
//
// A client on another machine, or behind a proxy that says so, gets no link to sign in, for that leads to this machine:
// it is told the command to run here, plait auth login. Where auth.callback.publicUrl says how browsers elsewhere reach
// auth.callback.port, it gets links as clients here do. Whoever signs in does so for everybody who uses this plait.
//
// # Identities
//
// An identity says as whom plait comes to a server with a url, and by which grant it gets what proves it: auto, none,
// authorization_code, device_code, client_credentials, jwt_bearer, token_exchange, enterprise, header, basic or exec.
// Servers that name the same identity share it. A server may name several, [{use: NAME, when: {env: VARIABLE}}, NAME]:
// the first whose variable is set, and not to 0, false, no or off, and that has no mistake is its identity; one that was
// passed over for a mistake is a warning. A server without one has an implicit identity of its own name, which is
// anonymous until the server asks for OAuth, and for good if headers hold Authorization or the url a user. Each grant
// has keys of its own, and any other is a mistake; so is a header that both the server and its identity have. A mistake
// in an identity is one of the servers that need it. One that no chosen server may use is left out unchecked, and one
// that no server names is a warning. A secret that stands in an identity as it is, in a file that is not local, is a
// warning. A remote layer may hold identities, but not say from which file, variable or command a token comes. No
// variables of a server's envFile are known in an identity.
//
// # Variables
//
// Every text may hold ${VAR} or ${env:VAR}, ${VAR:-default}, ${VAR:?message}, and $$ for "$". As in a shell, an empty
// variable counts as unset for the last two. What a variable holds is not expanded again, and any other "$" stands for
// itself. The environment wins over the envFile of a server, which wins over that at the top. ${userHome},
// ${pathSeparator} and ${/} are understood as editors write them; ${workspaceFolder}, ${input:…} and the like, which
// only an editor can fill in, make their server misconfigured. envFile is in dotenv format, where $X in double quotes or
// none stands for an earlier variable of that file; it does not override the environment.
//
// # Secrets
//
// ${file:PATH} stands for what a file holds, without the line break at its end, up to 1 MiB. ${exec:COMMAND ARGS}
// stands for what a command prints, without the line break at its end; no shell reads it, quotes keep words together,
// the command runs in the folder of the file and has 10 s. It has to be allowed, by allowCommands: true at the top of a
// file on this machine, and runs only for servers that are chosen and not disabled, once for all values that are alike,
// at every start and reload. ${keyring:SERVICE/KEY} stands for an entry of the keyring of the system. Variables in a path,
// command or entry are replaced first. None of them is looked up in a remote layer.
// What they stand for is in no message. A text that looks like a secret itself, in a file that is not local, is a
// warning.
//
// # Files of other programs
//
// The files of Claude, Cursor, VS Code, Windsurf, Cline, Gemini and Codex work unmodified. The rule: a YAML or TOML file,
// and any file called plait, is written for plait, and every unknown key is a mistake. Any other JSON file, and
// config.toml (of Codex), is a client's: unknown keys at the top and in a server are ignored with one notice for the
// file, except those that look like a misspelt key of plait. In either kind, keys of servers that are known from such
// clients (autoApprove, alwaysAllow, gallery, …) are ignored with that notice; timeout, which they count in seconds or
// milliseconds, and oauth, auth and scopes, which an identity has instead, only in a client's file.
//
// # Mistakes
//
// All are reported at once, as [Problem], with file, line and column and an id that tells its kind, such as
// PLAIT-CFG-003. One inside a server makes that server misconfigured ([Server.Problems]); the others load. One outside
// the servers or in one that is required, or a text that cannot be parsed, is the error of [Load], of type [Problems].
// What works but is probably not meant is in [Config.Warnings]. Two servers whose prefixes are equal after
// [SanitizePrefix], case ignored, cannot be told apart: the later one is misconfigured. Servers that are disabled or not
// chosen are left out unchecked.
package config
