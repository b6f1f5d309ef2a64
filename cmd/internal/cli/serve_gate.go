package cli

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/plait-mcp/plait/config"
)

// idOpen is the id of the error that an endpoint would be open to others.
const idOpen = "PLAIT-CMD-004"

// gate is what flags say of who may come in over HTTP.
type gate struct {
	auth     string // none, bearer, or where a token is; "" for what the file says
	origins  []string
	hosts    []string
	cert     string
	key      string
	insecure bool
}

func (g *gate) flags(f *pflag.FlagSet) {
	f.StringVar(&g.auth, "auth", "", "what clients have to show: none, bearer for a token that plait makes (see plait serve --print-token), or `'${VAR}'` for that one")
	f.StringArrayVar(&g.origins, "allowed-origin", nil, "let web pages of this `origin` in, besides those of this machine (repeatable)")
	f.StringArrayVar(&g.hosts, "allowed-host", nil, "serve requests for this `name`, besides those of this machine (repeatable)")
	f.StringVar(&g.cert, "tls-cert", "", "serve HTTPS with the certificate in this PEM `file`")
	f.StringVar(&g.key, "tls-key", "", "the key of the certificate, a PEM `file`")
	f.BoolVar(&g.insecure, "insecure", false, "serve other machines without a token, or without TLS")
}

// gateFlags are the flags that keys come from.
var gateFlags = []keyFlag{
	{"serve.http.auth.bearer", "--auth"},
	{"serve.http.auth", "--auth"},
	{"serve.http.allowedOrigins", "--allowed-origin"},
	{"serve.http.allowedHosts", "--allowed-host"},
	{"serve.http.tls.cert", "--tls-cert"},
	{"serve.http.tls.key", "--tls-key"},
	{"serve.http.tls", "--tls-cert and --tls-key"},
}

// keys writes what the flags say into the keys of serve.http.
func (g *gate) keys(http map[string]any) error {
	switch {
	case g.auth == "":
	case g.auth == "none" || g.auth == "bearer":
		http["auth"] = g.auth
	case strings.HasPrefix(g.auth, "${") && strings.HasSuffix(g.auth, "}"):
		http["auth"] = map[string]any{"bearer": g.auth}
	default: // it may be the token
		return usagef("--auth is none, bearer, or where a token is: '${VAR}' or '${file:PATH}', in single quotes; a token in a command line could be seen by others")
	}
	if g.origins != nil {
		http["allowedOrigins"] = g.origins
	}
	if g.hosts != nil {
		http["allowedHosts"] = g.hosts
	}
	if g.cert+g.key != "" {
		http["tls"] = map[string]any{"cert": exact(g.cert), "key": exact(g.key)}
	}
	return nil
}

// over returns an endpoint as the flags have it, over what the file says, and what to warn of in the flags.
func (g *gate) over(ctx context.Context, a *app, s config.ServeHTTP) (config.ServeHTTP, config.Problems, error) {
	http := map[string]any{}
	if err := g.keys(http); err != nil || len(http) == 0 {
		return s, nil, err
	}
	file := map[string]any{"serve": map[string]any{"http": http}, "mcpServers": map[string]any{}}
	cfg, err := a.parse(ctx, file, a.env.LookupEnv, &terms{flags: gateFlags})
	if err != nil {
		return s, nil, err
	}
	given := cfg.Serve.HTTP
	for key, take := range map[string]func(){
		"auth":           func() { s.Auth = given.Auth },
		"tls":            func() { s.TLS = given.TLS },
		"allowedOrigins": func() { s.AllowedOrigins = given.AllowedOrigins },
		"allowedHosts":   func() { s.AllowedHosts = given.AllowedHosts },
	} {
		if http[key] != nil {
			take()
		}
	}
	var warnings config.Problems
	for _, w := range cfg.Warnings {
		if w.ID == config.IDGuessable {
			w.Pos, w.Path = config.Pos{}, "--auth"
			warnings = append(warnings, w)
		}
	}
	return s, warnings, nil
}

// lacks returns what an endpoint has not that other machines reach: what may happen, and what to do about it.
func lacks(s config.ServeHTTP) (dangers, remedies []string) {
	if s.Listen == "" || s.Loopback() {
		return nil, nil
	}
	if s.Auth == (config.ServeAuth{}) {
		dangers = append(dangers, "whoever reaches it could use all servers as you")
		remedies = append(remedies, "--auth bearer (serve.http.auth)")
	}
	if s.TLS == (config.ServeTLS{}) {
		dangers = append(dangers, "whoever is on the way could read what clients send, and their token")
		remedies = append(remedies, "--tls-cert and --tls-key (serve.http.tls)")
	}
	return dangers, remedies
}

// check refuses an endpoint that is open to others, unless a person wants that.
func (g *gate) check(s config.ServeHTTP) error {
	dangers, remedies := lacks(s)
	if len(dangers) == 0 || g.insecure {
		return nil
	}
	return usagef("%s can be reached by other machines: %s; listen at 127.0.0.1, add %s, or --insecure if something else sees to that, "+
		"such as a proxy with TLS in front [%s]", s.Listen, strings.Join(dangers, ", and "), strings.Join(remedies, " and "), idOpen)
}

// given reports whether a flag says something of the endpoint.
func (d *doors) given(flag string) bool {
	return map[string]bool{
		"--http": d.listen != "", "--auth": d.auth != "", "--allowed-origin": d.origins != nil, "--allowed-host": d.hosts != nil,
		"--tls-cert": d.cert != "", "--tls-key": d.key != "",
	}[flag]
}

// idle refuses flags that say who may come in when nobody can.
func (d *doors) idle(s config.ServeHTTP) error {
	for _, f := range gateFlags {
		if s.Listen == "" && d.given(f.flag) {
			return usagef("%s has no effect: nothing listens; add --listen 127.0.0.1:8080", f.flag)
		}
	}
	return nil
}

// overrides returns what to tell of keys that differ and that flags stand over.
func (d *doors) overrides(keys []string) []string {
	var told []string
	for _, f := range append(slices.Clone(gateFlags), keyFlag{"serve.http.listen", "--http"}) {
		if d.given(f.flag) && slices.Contains(keys, f.key) {
			told = append(told, f.key+" has no effect: "+f.flag+" is given")
		}
	}
	return told
}

var errNoDoor = errors.New("serve.http.listen is gone, and nobody could come in any more; end plait instead")
