package catalog

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

const (
	maxTemplate    = 2 << 10 // bytes of a template that is matched
	maxExpressions = 32      // of one template
	maxMatched     = 8 << 10 // bytes of a URI that is matched
)

// pattern matches the URIs that a URI template can expand to (RFC 6570 level 3; the modifiers of level 4 are
// taken permissively). Matching is linear in the length of the URI.
type pattern struct {
	text     string
	prefix   string // normalised literal that every URI begins with
	literals int    // bytes outside expressions: more of them, more specific
	syntax   string

	once     sync.Once
	compiled *regexp.Regexp // set by once; nil when it cannot be compiled
}

// parsePattern reads a template. Its expressions are compiled when the first URI asks for it.
func parsePattern(template string) (*pattern, error) {
	if len(template) > maxTemplate {
		return nil, fmt.Errorf("longer than %d bytes", maxTemplate)
	}
	p := &pattern{text: template}
	var syntax strings.Builder
	syntax.WriteString(`\A`)
	rest, count := template, 0
	for {
		literal, after, more := strings.Cut(rest, "{")
		if strings.ContainsRune(literal, '}') {
			return nil, errors.New(`"}" without "{"`)
		}
		literal = normalize(literal)
		if count == 0 {
			p.prefix = literal
		}
		p.literals += len(literal)
		syntax.WriteString(regexp.QuoteMeta(literal))
		if !more {
			break
		}
		expression, behind, closed := strings.Cut(after, "}")
		if count++; !closed || count > maxExpressions {
			return nil, fmt.Errorf("an expression that does not end, or more than %d", maxExpressions)
		}
		part, err := expressionSyntax(expression)
		if err != nil {
			return nil, err
		}
		syntax.WriteString(part)
		rest = behind
	}
	p.syntax = syntax.String() + `\z`
	return p, nil
}

// match reports whether a normalised URI can be an expansion of the template.
func (p *pattern) match(key string) bool {
	if len(key) > maxMatched || !strings.HasPrefix(key, p.prefix) {
		return false
	}
	p.once.Do(func() { p.compiled, _ = regexp.Compile(p.syntax) })
	return p.compiled != nil && p.compiled.MatchString(key)
}

// rooted reports whether the template says at least which scheme its URIs have.
func (p *pattern) rooted() bool { return scheme(p.prefix) != "" }

// expressionSyntax returns the regular expression for what stands between braces.
func expressionSyntax(expression string) (string, error) {
	operator := ""
	if expression != "" && strings.IndexByte("+#./;?&", expression[0]) >= 0 {
		operator, expression = expression[:1], expression[1:]
	}
	names, err := variables(expression)
	if err != nil {
		return "", err
	}
	name := strings.Join(names, "|")
	switch operator {
	case "+":
		return `.*`, nil
	case "#":
		return `(?:#.*)?`, nil
	case ".":
		return `(?:\.[^/?#]*)?`, nil
	case "/":
		return `(?:/[^?#]*)?`, nil
	case ";":
		return `(?:;[^/?#]*)?`, nil
	case "?":
		pair := `(?:` + name + `)(?:=[^&#]*)?`
		return `(?:\?` + pair + `(?:&` + pair + `)*)?`, nil
	case "&":
		return `(?:&(?:` + name + `)(?:=[^&#]*)?)*`, nil
	default:
		return `[^/?#]*`, nil
	}
}

// variables returns the syntax of the names in an expression.
func variables(list string) ([]string, error) {
	var names []string
	for variable := range strings.SplitSeq(list, ",") {
		name, length, limited := strings.Cut(variable, ":")
		name, exploded := strings.CutSuffix(name, "*")
		switch {
		case name == "" || strings.ContainsFunc(name, func(r rune) bool { return !nameRune(r) }):
			return nil, fmt.Errorf("no variable name: %q", variable)
		case limited && (length == "" || len(length) > 4 || strings.Trim(length, "0123456789") != ""):
			return nil, fmt.Errorf("no length: %q", variable)
		case exploded:
			names = append(names, `[^=&#]*`) // a map brings names of its own
		default:
			names = append(names, regexp.QuoteMeta(name))
		}
	}
	return names, nil
}

func nameRune(r rune) bool {
	return isLetter(r) || r >= '0' && r <= '9' || strings.ContainsRune("_.%-", r)
}
