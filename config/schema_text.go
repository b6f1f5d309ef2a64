package config

// meaning is what a key of the file is for.
type meaning struct {
	text    string
	choices []string // what it may hold, nil for anything of its type
	initial string   // the default, where it is not a fixed value
	least   *int     // of a number
	most    *int
}

func says(text string) meaning { return meaning{text: text} }

func (m meaning) of(choices ...string) meaning { m.choices = choices; return m }

func (m meaning) or(initial string) meaning { m.initial = initial; return m }

func (m meaning) within(least, most int) meaning { m.least, m.most = &least, &most; return m }

// meanings says what each key is for, by the struct that it is decoded into. The schema and `plait help config` show it.
func meanings() map[string]meaning {
	all := map[string]meaning{}
	for structure, keys := range identityMeanings() {
		addMeanings(all, structure, keys)
	}
	for structure, keys := range serveMeanings() {
		addMeanings(all, structure, keys)
	}
	for structure, keys := range map[string]map[string]meaning{
		"file": fileMeanings(), "Server": serverMeanings(), "entry": entryMeanings(),
		"remoteLayer": {
			"url":    says("where the layer is: https://").or("needed"),
			"sha256": says("the SHA-256 of its content, 64 hexadecimal digits; a layer that has another one is refused").or("needed"),
		},
		"Startup": {
			"wait":           says("how long a first list waits for servers that still connect and have no snapshot"),
			"snapshot":       says("keep the last good lists of each server on disk, and show them at the start"),
			"snapshotMaxAge": says("older snapshots are not shown"),
		},
		"Reload": {
			"watch":    says("reload when a file changes; else only on SIGHUP and `plait reload`"),
			"debounce": says("how long the files must stay as they are before they are read"),
			"drain":    says("how long calls in flight keep a server that is not wanted any more"),
		},
		"Log": {
			"level":  says("what is logged").of("trace", "debug", "info", "warn", "error", "off"),
			"format": says("how it is logged").of("text", "json"),
			"file":   says("log to this file as well, one a day: plait.log becomes plait-2026-01-31.log").or("none"),
		},
		"Naming": {
			"separator":   says("what stands between prefix and name").of("_", "__", "-"),
			"maxLength":   says("how long an exposed name may be, 16 to 64").within(minNameLength, maxNameLength),
			"onTooLong":   says("what happens to a longer name: it is cut and gets a hash, or left out with a warning").of("shorten", "error"),
			"onCollision": says("what happens to the second of two equal names: it gets a hash, or is left out with a warning").of("hash", "error"),
			"bareNames":   says("a tool may also be called by its own name, if only one server has it"),
		},
		"Limits": {"message": says("the longest message, 1KiB to 2GiB")},
		"ClientCert": {
			"cert": says("PEM file of the certificate").or("none"),
			"key":  says("PEM file of its key").or("none"),
		},
		"Ping": {
			"interval": says("how often an idle server is asked whether it lives; 0 for never"),
			"timeout":  says("how long it may take to answer"),
		},
		"Rules": ruleMeanings(),
		"Override": {
			"title":       says("the title of the tool").or("the server's"),
			"description": says("the description of the tool").or("the server's"),
			"annotations": says("hints such as {readOnlyHint: true}; each replaces the server's").or("the server's"),
		},
		"Profile": {
			"servers":   says("the servers of this profile").or("all"),
			"tools":     says("rules for the tools of all its servers, besides those of each server").or("none"),
			"prompts":   says("the same for prompts").or("none"),
			"resources": says("the same for resources").or("none"),
		},
	} {
		addMeanings(all, structure, keys)
	}
	return all
}

func serveMeanings() map[string]map[string]meaning {
	return map[string]map[string]meaning{
		"Serve": {"http": says("an HTTP endpoint for many clients")},
		"ServeHTTP": {
			"listen":         says("where it listens, host:port, or :port for this machine; beyond this machine it needs auth and tls, or --insecure").or("nowhere"),
			"path":           says("the path of Streamable HTTP"),
			"sse":            says("serve HTTP with SSE as well, at /sse and /message"),
			"auth":           says("what a client has to show: none, bearer for a token that plait makes (see plait serve --print-token), or {bearer: TOKEN}").or("none"),
			"tls":            says("the certificate, read again when it changes; without one it is plain HTTP"),
			"allowedOrigins": says("origins of web pages that may use it, besides those of this machine").or("none"),
			"allowedHosts":   says("names that requests may be sent to, besides those of this machine").or("none"),
			"limits":         says("how many sessions there are, and for how long"),
			"accessLog":      says("log a line for each request; at log level debug that is done anyhow"),
		},
		"ServeAuth": {"bearer": says("this token, such as ${TOKEN}").or("none")},
		"ServeTLS": {
			"cert": says("PEM file of the certificate").or("none"),
			"key":  says("PEM file of its key").or("none"),
		},
		"ServeLimits": {
			"sessions": says("sessions at a time"),
			"idle":     says("a session that nobody uses for so long is ended"),
			"lifetime": says("any session is ended after so long"),
			"replay":   says("messages that each session keeps for a client that comes back, 1KiB to 2GiB"),

			"connections": says("connections at a time"),
			"memory":      says("messages of all clients that are being received and served, and as much again of those that wait for clients, 1MiB to 1024GiB, and never less than two of limits.message"),
			"drain":       says("calls in flight get so long when plait is asked to end"),
		},
	}
}

func addMeanings(all map[string]meaning, structure string, keys map[string]meaning) {
	for key, m := range keys {
		all[structure+"."+key] = m
	}
}

func fileMeanings() map[string]meaning {
	return map[string]meaning{
		"version":       says("of the format").within(1, 1),
		"$schema":       says("where an editor finds the schema of the file").or("none"),
		"extends":       says("layers below this file, a path or {url, sha256} each; later ones win, this file wins over all").or("none"),
		"envFile":       says("files of variables, NAME=value on each line; the environment wins over them").or("none"),
		"allowCommands": says("permit ${exec:COMMAND}"),
		"defaults":      says("keys of servers that hold for all of them that do not say otherwise").or("none"),
		"profiles":      says("views of the file, chosen by --profile; the one called default is chosen without").or("none"),
		"startup":       says("what happens until the servers are there"),
		"reload":        says("how a change of the file takes effect"),
		"log":           says("what is logged, to standard error"),
		"naming":        says("how exposed names are made"),
		"limits":        says("what a peer may send"),
		"serve":         says("how clients come in, besides standard input and output"),
		"credentials":   says("where sign-ins are kept"),
		"auth":          says("how people sign in"),
		"identities":    says("as whom plait comes to servers, by name").or("none"),
		"mcpServers":    says("the servers, by name; servers is understood, too").or("none"),
	}
}

func entryMeanings() map[string]meaning {
	return map[string]meaning{
		"identity":          says("as whom plait comes to a url: the name of an identity, or a list of which the first usable is taken").or("anonymous, until the server asks for OAuth"),
		"envFile":           says("files of variables for ${…} of this server, and for the environment of its command").or("none"),
		"disabled":          says("leave the server out, unchecked"),
		"enabled":           says("the same, the other way round"),
		"bearerTokenEnvVar": says("the variable that holds a bearer token, as Codex writes it").or("none"),
		"envHttpHeaders":    says("headers whose values are in variables, as Codex writes them").or("none"),
	}
}

func serverMeanings() map[string]meaning {
	return map[string]meaning{
		"type":            says("what kind of server it is").of("http", "sse", "stdio").or("by url or command"),
		"transport":       says("the wires of a url, in the order in which they are tried").of("http-first", "sse-first", "http", "sse").or("http-first"),
		"url":             says("where the server is; serverUrl and httpUrl are understood, too").or("none"),
		"headers":         says("sent with every request").or("none"),
		"allowHttp":       says("permit http:// to a host that is not this machine"),
		"serverStream":    says("keep a stream open for what the server sends by itself"),
		"protocolVersion": says("offer the server this version, such as 2025-06-18").or("the client's"),
		"caFile":          says("PEM file of authorities to trust besides those of the system").or("none"),
		"clientCert":      says("certificate that the client shows").or("none"),
		"command":         says("how to start the server: a name to search for, or a path").or("none"),
		"args":            says("arguments of the command").or("none"),
		"env":             says("variables of the command; it gets few others").or("none"),
		"inheritEnv":      says("variables of plait's environment that the command gets, too; * and ? are wildcards").or("none"),
		"cwd":             says("folder in which the command runs").or("plait's"),
		"prefix":          says(`in front of exposed names; "" passes them unchanged`).or("the server's name"),
		"connectTimeout":  says("how long connecting may take"),
		"callTimeout":     says("how long an answer may take; progress starts the time anew"),
		"ping":            says("keepalive"),
		"shared":          says("one session for all clients, to which nothing is declared that could call back"),
		"methods":         says(`patterns of custom methods that go to this server, such as ["acme/*"]`).or("none"),
		"required":        says("when it is misconfigured, nothing starts, and a reload changes nothing"),
		"lazy":            says("connect when it is first used; lists come from the snapshot until then"),
		"idleTimeout":     says("disconnect while nobody has used it for so long; 0 for never"),
		"maxConcurrent":   says("calls at a time, of all clients; 0 for any number").within(0, maxCalls),
		"maxResultBytes":  says("the largest result of a call; 0 for any size"),
		"tools":           says("which tools are shown, and how").or("all"),
		"prompts":         says("which prompts are shown, and how").or("all"),
		"resources":       says("which resources and templates are shown, by URI").or("all"),
	}
}

func ruleMeanings() map[string]meaning {
	return map[string]meaning{
		"allow":       says("patterns of what is shown").or("everything"),
		"deny":        says("patterns of what is hidden and cannot be used; wins over allow").or("nothing"),
		"readOnly":    says("show only tools that say of themselves that they only read"),
		"unannotated": says("what readOnly does with tools that do not say").of("hide", "show"),
		"rename":      says("new names by the server's own; they get the prefix, too").or("none"),
		"override":    says("what is told of a tool instead of what the server says, by the server's own name for it").or("none"),
	}
}

// maxCalls is more calls than anybody makes at a time.
const maxCalls = 1 << 20
