package config

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// lookup returns the value of an environment variable.
type lookup func(name string) (string, bool)

// expandError says why a string cannot be expanded. It holds no value of a variable.
type expandError struct {
	id        string
	msg, hint string
	unset     bool // see Problem.Unset
}

func (e *expandError) Error() string { return e.msg }

func (e *expandError) problem() Problem {
	return Problem{ID: e.id, Msg: e.msg, Hint: e.hint, Unset: e.unset}
}

const maxNested = 8 // of ${A:-${B:-…}}

// expansion says what stands for variables and for secret references, of kind file, exec or keyring.
type expansion struct {
	env    lookup
	secret func(kind, what string) (string, error)
}

// expand replaces ${VAR}, ${env:VAR}, ${VAR:-default}, ${VAR:?message}, ${file:PATH}, ${exec:COMMAND}, ${keyring:SERVICE/KEY}
// and $$ in s. What
// a variable or secret holds is not expanded again; a default is, as it stands in the file, and so are a path and a
// command. As in a shell, ":-" and ":?" take an empty variable for an unset one. Any other "$" stands for itself.
func (x expansion) expand(s string, depth int) (string, error) {
	if !strings.Contains(s, "$") {
		return s, nil
	}
	if depth > maxNested {
		return "", &expandError{id: IDExpression, msg: fmt.Sprintf("defaults are nested deeper than %d levels", maxNested), hint: "write fewer"}
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 || i+1 == len(s) {
			b.WriteString(s)
			return b.String(), nil
		}
		b.WriteString(s[:i])
		switch s[i+1] {
		case '$':
			b.WriteByte('$')
			s = s[i+2:]
		case '{':
			end := closingBrace(s[i+2:])
			if end < 0 {
				return "", &expandError{id: IDExpression, msg: `"${" has no "}"`, hint: `write "$${" for the text itself`}
			}
			value, err := x.variable(s[i+2:i+2+end], depth)
			if err != nil {
				return "", err
			}
			b.WriteString(value)
			s = s[i+2+end+1:]
		default:
			b.WriteByte('$')
			s = s[i+1:]
		}
	}
}

// closingBrace returns the offset of the brace that closes a "${" before s, or -1.
func closingBrace(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '}' && depth == 0:
			return i
		case s[i] == '}':
			depth--
		case strings.HasPrefix(s[i:], "$$"):
			i++
		case strings.HasPrefix(s[i:], "${"):
			depth++
			i++
		}
	}
	return -1
}

// variable returns what stands for the expression between the braces.
func (x expansion) variable(expr string, depth int) (string, error) {
	if kind, what, ok := strings.Cut(expr, ":"); ok && (kind == "file" || kind == "exec" || kind == "keyring") {
		what, err := x.expand(what, depth+1)
		if err != nil {
			return "", err
		}
		return x.secret(kind, what)
	}
	name := strings.TrimPrefix(expr, "env:")
	end := strings.IndexFunc(name, func(r rune) bool { return !isNameChar(r) })
	var rest string
	if end >= 0 {
		name, rest = name[:end], name[end:]
	}
	value, set := x.env(name)
	switch {
	case expr == "/" || expr == "pathSeparator":
		return string(os.PathSeparator), nil
	case expr == "userHome":
		return homeFolder(x.env)
	case isEditorVariable(expr):
		return "", &expandError{id: IDEditorVariable, msg: fmt.Sprintf("${%s} is known to the editor only", expr), hint: "write the value, or a variable of the environment"}
	case name == "" || (rest != "" && !strings.HasPrefix(rest, ":-") && !strings.HasPrefix(rest, ":?")):
		return "", &expandError{id: IDExpression, msg: `what stands in "${…}" is not understood`, hint: `write ${NAME}, ${NAME:-default}, ${NAME:?message}, ${file:PATH}, ${keyring:SERVICE/KEY}, or "$${" for the text itself`}
	case strings.HasPrefix(rest, ":-") && value == "":
		return x.expand(rest[2:], depth+1)
	case strings.HasPrefix(rest, ":?") && value == "" && set:
		return "", &expandError{id: IDUnset, msg: fmt.Sprintf("variable %s is empty", name), hint: rest[2:], unset: true}
	case strings.HasPrefix(rest, ":?") && value == "":
		return "", &expandError{id: IDUnset, msg: fmt.Sprintf("variable %s is not set", name), hint: rest[2:], unset: true}
	case !set:
		return "", &expandError{id: IDUnset, msg: fmt.Sprintf("variable %s is not set", name), hint: fmt.Sprintf("set it or write ${%s:-default}", name), unset: true}
	}
	return value, nil
}

// isNameChar tells whether r may stand in the name of a variable; ProgramFiles(x86) is one on Windows.
func isNameChar(r rune) bool {
	return isLetter(r) || r >= '0' && r <= '9' || r == '_' || r == '(' || r == ')' || r == '.'
}

// isEditorVariable tells whether VS Code, Cursor or their like replace that expression themselves.
func isEditorVariable(expr string) bool {
	for _, prefix := range []string{"workspaceFolder", "workspaceRoot", "fileWorkspaceFolder", "input:", "config:", "command:", "cwd"} {
		if expr == prefix || strings.HasPrefix(expr, prefix) && prefix != "cwd" {
			return true
		}
	}
	return false
}

// homeFolder returns the user's home folder.
func homeFolder(env lookup) (string, error) {
	for _, name := range homeVariables() {
		if home, _ := env(name); home != "" {
			return home, nil
		}
	}
	return "", &expandError{id: IDUnset, msg: "the home folder is not known", hint: fmt.Sprintf("set %s", homeVariables()[0])}
}

func homeVariables() []string {
	if runtime.GOOS == "windows" {
		return []string{"USERPROFILE", "HOME"}
	}
	return []string{"HOME"}
}
