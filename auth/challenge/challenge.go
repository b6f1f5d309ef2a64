// Package challenge reads the header WWW-Authenticate.
package challenge

import (
	"net/http"
	"strings"
)

// Challenge is one way in which a server wants to be told who comes (RFC 9110, section 11.6.1).
type Challenge struct {
	Scheme  string            // as the server writes it
	Token68 string            // what some schemes have instead of parameters
	Params  map[string]string // by names in lower case; of a name that is there twice, the first
}

// HasScheme tells whether the challenge is of a scheme, however it is written.
func (c Challenge) HasScheme(scheme string) bool { return strings.EqualFold(c.Scheme, scheme) }

// Scopes returns what `scope` asks for (RFC 6750, section 3), nil if it is not there or empty.
func (c Challenge) Scopes() []string {
	if scopes := strings.Fields(c.Params["scope"]); len(scopes) > 0 {
		return scopes
	}
	return nil
}

// ResourceMetadata returns where the server describes itself (RFC 9728, section 5.1), or "". It is as the server wrote
// it, whoever the server is: to be checked before it is fetched.
func (c Challenge) ResourceMetadata() string { return c.Params["resource_metadata"] }

// Code returns the code of `error` (RFC 6750, section 3.1), or "".
func (c Challenge) Code() string { return c.Params["error"] }

// Bearer returns the challenge of RFC 6750 and whether there is one. Of several the first that says where the
// metadata is wins, else the first.
func Bearer(h http.Header) (Challenge, bool) {
	var first Challenge
	found := false
	for _, c := range Parse(h) {
		if !c.HasScheme("Bearer") {
			continue
		}
		if c.ResourceMetadata() != "" {
			return c, true
		}
		if !found {
			first, found = c, true
		}
	}
	return first, found
}

// Parse returns all challenges of a response, in their order: several to a line, and several lines. What is not as
// RFC 9110 has it is read as it was probably meant (values without quotes, commas left out, a quote that never ends),
// and what cannot be read is left out.
func Parse(h http.Header) []Challenge {
	var all []Challenge
	for _, line := range h.Values("WWW-Authenticate") {
		p := parser{rest: line}
		all = append(all, p.challenges()...)
	}
	return all
}

// parser reads one line from its front.
type parser struct{ rest string }

func (p *parser) challenges() []Challenge {
	var all []Challenge
	for {
		p.skip(" \t,")
		if p.rest == "" {
			return all
		}
		word := p.take(isToken)
		switch {
		case word == "":
			p.rest = p.rest[1:] // what nobody can read
		case p.isParam():
			value := p.value()
			if len(all) > 0 {
				keepFirst(all[len(all)-1].Params, word, value)
			}
		default:
			c := Challenge{Scheme: word, Params: map[string]string{}}
			c.Token68 = p.token68()
			all = append(all, c)
		}
	}
}

func keepFirst(params map[string]string, name, value string) {
	name = strings.ToLower(name)
	if _, there := params[name]; !there {
		params[name] = value
	}
}

// isParam tells whether the word that was taken is the name of a parameter, and goes to its value.
func (p *parser) isParam() bool {
	after := strings.TrimLeft(p.rest, " \t")
	if !strings.HasPrefix(after, "=") {
		return false
	}
	p.rest = strings.TrimLeft(after[1:], " \t")
	return true
}

// value takes what stands behind the equals sign.
func (p *parser) value() string {
	if !strings.HasPrefix(p.rest, `"`) {
		return p.take(func(c byte) bool { return !strings.ContainsRune(" \t,\"", rune(c)) })
	}
	var value strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			return value.String()
		case c == '\\' && i+1 < len(p.rest):
			i++
			value.WriteByte(p.rest[i])
		default:
			value.WriteByte(c)
		}
	}
	p.rest = ""
	return value.String()
}

// token68 takes what stands behind a scheme if it is neither a parameter nor the next scheme.
func (p *parser) token68() string {
	if !strings.HasPrefix(p.rest, " ") && !strings.HasPrefix(p.rest, "\t") {
		return ""
	}
	before := p.rest
	p.skip(" \t")
	text := p.take(isToken68)
	pad := p.take(func(c byte) bool { return c == '=' })
	if after := strings.TrimLeft(p.rest, " \t"); text == "" || after != "" && after[0] != ',' {
		p.rest = before
		return ""
	}
	return text + pad
}

func (p *parser) skip(chars string) { p.rest = strings.TrimLeft(p.rest, chars) }

// take takes the bytes at the front that are of a kind.
func (p *parser) take(kind func(byte) bool) string {
	n := 0
	for n < len(p.rest) && kind(p.rest[n]) {
		n++
	}
	taken := p.rest[:n]
	p.rest = p.rest[n:]
	return taken
}

// isToken tells whether c may be in a token (RFC 9110, section 5.6.2).
func isToken(c byte) bool {
	return isAlnum(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// isToken68 tells whether c may be in a token68 (RFC 9110, section 11.2), its padding aside.
func isToken68(c byte) bool {
	return isAlnum(c) || strings.IndexByte("-._~+/", c) >= 0
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
