package cli

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/plait-mcp/plait/config"
)

const redacted = "[redacted]"

// redactor takes secrets out of lines: the values that a configuration holds, and what looks like a secret
// wherever it came from. Any goroutine may use it.
type redactor struct {
	patterns []pattern
	known    atomic.Pointer[strings.Replacer] // nil until learn

	mu     sync.Mutex
	values map[string]bool // that were ever learnt
	fresh  []string        // of them, those that were noted, the oldest first
}

func newRedactor() *redactor { return &redactor{patterns: patterns(), values: map[string]bool{}} }

// writer returns a writer that takes whole lines and passes them to w without secrets.
func (r *redactor) writer(w io.Writer) io.Writer { return redacting{r, w} }

type redacting struct {
	r *redactor
	w io.Writer
}

// Write implements io.Writer. It takes whole lines: a secret over two calls would be missed.
func (r redacting) Write(p []byte) (int, error) {
	if _, err := io.WriteString(r.w, r.r.clean(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (r *redactor) clean(s string) string {
	if known := r.known.Load(); known != nil {
		s = known.Replace(s)
	}
	lower := strings.ToLower(s)
	for _, p := range r.patterns {
		s = p.replace(s, lower)
	}
	return strings.ReplaceAll(s, "["+redacted+"]", redacted)
}

// learn adds the secrets of a configuration, as they stand and as a log or a URL would write them. Those of
// former configurations stay: a server may still say them.
func (r *redactor) learn(c *config.Config) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range c.AllServers() {
		for _, v := range append(secretsOf(s), secretsOfIdentity(s.Identity)...) {
			r.values[v] = true
		}
	}
	for _, i := range c.Identities {
		for _, v := range secretsOfIdentity(i) {
			r.values[v] = true
		}
	}
	if key := c.Credentials.Key; len(key) >= shortestSecret {
		r.values[key.Reveal()] = true
	}
	if token := c.Serve.HTTP.Auth.Bearer; len(token) >= shortestSecret {
		r.values[token.Reveal()] = true
	}
	r.compile()
}

// compile makes known of values. r is locked.
func (r *redactor) compile() {
	var forms []string
	for v := range r.values {
		quoted := strconv.Quote(v)
		inJSON, _ := json.Marshal(v)
		forms = append(forms, v, quoted[1:len(quoted)-1], string(inJSON[1:len(inJSON)-1]),
			url.QueryEscape(v), url.PathEscape(v), base64.StdEncoding.EncodeToString([]byte(v)))
	}
	slices.SortFunc(forms, func(x, y string) int { // the longest first: one may begin with another
		return cmp.Or(cmp.Compare(len(y), len(x)), cmp.Compare(x, y))
	})
	var pairs []string
	for _, f := range slices.Compact(forms) {
		pairs = append(pairs, f, redacted)
	}
	r.known.Store(strings.NewReplacer(pairs...))
}

// secretsOf returns the values of a server that nobody may read.
func secretsOf(s *config.Server) []string {
	var found []string
	add := func(name, value string) {
		if isSecret(name, value) {
			found = append(found, value)
		}
	}
	for _, secret := range s.Secrets {
		if len(secret) >= shortestSecret {
			found = append(found, secret.Reveal())
		}
	}
	for name, secret := range s.Headers {
		value := secret.Reveal()
		add(name, value)
		if _, credentials, ok := strings.Cut(value, " "); ok && isSecretName(name) {
			add(name, credentials) // after the scheme: Bearer, Basic
		}
	}
	for name, secret := range s.Env {
		add(name, secret.Reveal())
	}
	for i, arg := range s.Args {
		if name, value, ok := strings.Cut(arg, "="); ok {
			add(name, value)
		} else if i > 0 && strings.HasPrefix(s.Args[i-1], "-") && !strings.HasPrefix(arg, "-") {
			add(s.Args[i-1], arg)
		}
	}
	secretsOfURL(s.URL, add)
	return found
}

// secretsOfURL adds the password and the parameters of a URL.
func secretsOfURL(raw string, add func(name, value string)) {
	u, err := url.Parse(raw)
	if err != nil {
		return
	}
	if password, ok := u.User.Password(); ok {
		add("password", password)
	}
	for name, values := range u.Query() {
		for _, v := range values {
			add(name, v)
		}
	}
}

// isSecret reports whether a value under that name is one nobody may read. Short ones are not: taking out
// every "1" would leave no log.
func isSecret(name, value string) bool {
	const shortest, random = 6, 20
	switch {
	case len(value) < shortest:
		return false
	case isSecretName(name):
		return true
	}
	// A long word of letters and digits is a key under whatever name; a path, a URL or prose is not.
	return len(value) >= random && strings.ContainsAny(value, "0123456789") && !strings.ContainsAny(value, " /\\:,;")
}

func isSecretName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(secretWords(), func(word string) bool { return strings.Contains(name, word) })
}

func secretWords() []string {
	return []string{"auth", "token", "secret", "key", "passw", "passphrase", "pwd", "credential", "cookie", "session", "signature", "jwt", "bearer"}
}

// patterns returns what secrets look like. Each is compiled when a line may hold one.
func patterns() []pattern {
	const inQuery = `[\w.-]*(?:token|key|secret|passw|pwd|credential|auth|session|assertion|sig)[\w.-]*|code|state|nonce`
	const inText = `(?:access|refresh|id|auth|session)[_-]?token|(?:client|app)[_-]?secret|(?:api|access|private|secret)[_-]?key|` +
		`passw(?:or)?d|passphrase|secret|token|code[_-]verifier`
	const start = `(?:^|[^./\w])` // not the path of a key in a configuration (headers.Authorization), nor of a URL (/token)
	return []pattern{
		when("cookie").find(`(?i)(`+start+`(?:set-)?cookie\\*"?\s*[=:]\s*\\*"?)[^"\r\n]+`, `${1}`+redacted),
		when("authorization").
			find(`(?i)(`+start+`(?:proxy-)?authorization\\*"?\s*[=:]\s*\[?\\*"?(?:(?:bearer|basic|digest|dpop|token)\s+)?)[^\s"\\,;]+`, `${1}`+redacted),
		when("bearer", "basic", "dpop").find(`(?i)(\b(?:bearer|basic|dpop) +)[\w.~+/-]{6,}=*([^\w="]|$)`, `${1}`+redacted+`${2}`),
		when("@").find(`(://)[^/?#@\s"']+@`, `${1}`+redacted+`@`),
		when("?", "&", ";", `\u0026`).find(`(?i)((?:[?&;]|\\u0026)(?:`+inQuery+`)=)[^&\s"'#;\\]+`, `${1}`+redacted),
		when("token", "secret", "key", "passw", "passphrase", "verifier").
			find(`(?i)(`+start+`(?:[\w-]*[_-])?(?:`+inText+`)\\*["']?\s*[=:]\s*\\*["']?)[^\s"'\\,;&]{6,}`, `${1}`+redacted),
		when("code", "state", "nonce", "verifier", "assertion").
			find(`(?i)(`+start+`(?:[\w-]*[_-])?(?:code|state|nonce|verifier|assertion)\\*["']?\s*[=:]\s*\\*["']?)[\w.~+/%-]{22,}=*`, `${1}`+redacted),
		when("eyj").find(`\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*`, redacted),
		when("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "sk-", "xox", "glpat-").
			find(`\b(?:gh[pousr]_|github_pat_|sk-|xox[abprs]-|glpat-)[\w-]{10,}`, redacted),
	}
}

// pattern is one way to look like a secret.
type pattern struct {
	hints  []string // one of them is in every line that matches, in lower case
	regexp func() *regexp.Regexp
	with   string
}

func when(hints ...string) pattern { return pattern{hints: hints} }

func (p pattern) find(expression, with string) pattern {
	p.regexp = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
	p.with = with
	return p
}

// replace takes secrets that look like that out of s, which is lower in lower case.
func (p pattern) replace(s, lower string) string {
	if !slices.ContainsFunc(p.hints, func(hint string) bool { return strings.Contains(lower, hint) }) {
		return s
	}
	return p.regexp().ReplaceAllString(s, p.with)
}
