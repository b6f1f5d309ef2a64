package cli

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/config/edit"
)

// findPasted splits the arguments of add into its own flags and the command line of another program, when there is
// one: as several arguments, or as one that is quoted.
func findPasted(args []string) (own, line []string, pasted bool) {
	for i, arg := range args {
		if isPasted(args[i:]) {
			return args[:i], args[i:], true
		}
		if words, err := splitWords(arg); err == nil && isPasted(words) && len(words) > 1 {
			return slices.Concat(args[:i], args[i+1:]), words, true
		}
		if arg == "--" {
			break
		}
	}
	return args, nil, false
}

// isPasted tells whether words are a command line that adds a server to a client.
func isPasted(words []string) bool {
	for len(words) > 0 && words[0] == "$" {
		words = words[1:]
	}
	if len(words) < 2 {
		return false
	}
	switch words[0] {
	case "claude", "codex", "gemini", "qwen":
		return len(words) > 3 && words[1] == "mcp" && (words[2] == "add" || words[2] == "add-json")
	case "code", "code-insiders", "codium", "cursor":
		return words[1] == "--add-mcp" || strings.HasPrefix(words[1], "--add-mcp=")
	}
	return false
}

// parsePasted reads a line of which isPasted holds.
func parsePasted(words []string) (*newEntry, error) {
	start := slices.IndexFunc(words, func(w string) bool { return w == "mcp" || strings.HasPrefix(w, "--add-mcp") })
	var entry *newEntry
	var err error
	switch word := words[start]; {
	case word == "mcp" && words[start+1] == "add":
		entry, err = parseAddLine(words[start+2:])
	case word == "mcp":
		entry, err = parseAddJSON(words[start+2:])
	case word == "--add-mcp" && start+1 < len(words):
		entry, err = entryOfJSON("", words[start+1])
	default:
		entry, err = entryOfJSON("", strings.TrimPrefix(word, "--add-mcp="))
	}
	if err != nil {
		return nil, coded(idPasted, "the line of %s is not understood: %w", words[0], err)
	}
	return entry, nil
}

// pastedFlags are the flags of other programs that take a value, by what they mean to us; "" is nothing.
func pastedFlags() map[string]string {
	return map[string]string{
		"-t": "transport", "--transport": "transport", "-e": "env", "--env": "env", "-H": "header", "--header": "header",
		"--url": "url", "--bearer-token-env-var": "bearer", "-s": "", "--scope": "", "--timeout": "", "--description": "",
		"--include-tools": "allow", "--exclude-tools": "deny", "--client-id": "", "--callback-port": "", "--cwd": "cwd",
	}
}

// parseAddLine reads what follows "mcp add".
func parseAddLine(words []string) (*newEntry, error) {
	var n newEntry
	var rest []string
	for len(words) > 0 {
		word := words[0]
		flag, _, _ := strings.Cut(word, "=")
		_, takes := pastedFlags()[flag]
		switch {
		case word == "--":
			rest, words = append(rest, words[1:]...), nil
		case takes:
			var err error
			if words, err = n.takeFlag(words); err != nil {
				return nil, err
			}
		case strings.HasPrefix(word, "-") && word != "--trust" && word != "--client-secret":
			return nil, errors.New("unknown flag " + flag)
		case strings.HasPrefix(word, "-"):
			words = words[1:]
		default:
			rest, words = append(rest, word), words[1:]
			if len(rest) == 2 && !isURL(word) && (n.transport == "" || n.transport == "stdio") { // what follows is its own
				rest, words = append(rest, withoutDashes(words)...), nil
			}
		}
	}
	if len(rest) == 0 {
		return nil, errors.New("it has no name")
	}
	n.name, n.command = rest[0], rest[1:]
	if len(n.command) == 1 && (isURL(n.command[0]) || n.transport == "http" || n.transport == "sse") {
		n.url, n.command = n.command[0], nil
	}
	return &n, nil
}

// takeFlag reads the flag that words start with, and all its values; it returns the words after them.
func (n *newEntry) takeFlag(words []string) ([]string, error) {
	flag, value, joined := strings.Cut(words[0], "=")
	meaning := pastedFlags()[flag]
	words = words[1:]
	if joined {
		n.flag(meaning, value)
		return words, nil
	}
	if len(words) == 0 {
		return nil, errors.New(flag + " has no value")
	}
	n.flag(meaning, words[0])
	words = words[1:]
	for len(words) > 0 && isMore(meaning, words[0]) { // claude takes several
		n.flag(meaning, words[0])
		words = words[1:]
	}
	return words, nil
}

// withoutDashes returns the words without the first "--".
func withoutDashes(words []string) []string {
	if i := slices.Index(words, "--"); i >= 0 {
		return slices.Concat(words[:i], words[i+1:])
	}
	return words
}

// flag notes a flag of another program.
func (n *newEntry) flag(meaning, value string) {
	switch meaning {
	case "transport":
		n.transport = strings.TrimPrefix(value, "streamable-")
	case "env":
		n.env = append(n.env, value)
	case "header":
		n.headers = append(n.headers, value)
	case "url":
		n.url = value
	case "cwd":
		n.more = append(n.more, edit.Field{Key: "cwd", Value: value})
	case "bearer":
		n.headers = append(n.headers, "Authorization: Bearer ${"+value+"}")
	case "allow", "deny":
		n.more = append(n.more, edit.Field{Key: "tools", Value: edit.Fields{{Key: meaning, Value: anys(strings.Split(value, ","))}}})
	}
}

// isMore tells whether a word is one more value of a flag that takes several.
func isMore(meaning, word string) bool {
	switch meaning {
	case "env":
		return regexp.MustCompile(`^[A-Za-z_]\w*=`).MatchString(word)
	case "header":
		return regexp.MustCompile(`^[A-Za-z][\w-]*: `).MatchString(word)
	}
	return false
}

// parseAddJSON reads what follows "mcp add-json".
func parseAddJSON(words []string) (*newEntry, error) {
	var rest []string
	for i := 0; i < len(words); i++ {
		if words[i] == "-s" || words[i] == "--scope" {
			i++
			continue
		}
		if !strings.HasPrefix(words[i], "-") {
			rest = append(rest, words[i])
		}
	}
	if len(rest) != 2 {
		return nil, errors.New("it should have a name and a JSON object")
	}
	return entryOfJSON(rest[0], rest[1])
}

// entryOfJSON reads a server from JSON, and its name when it is not given.
func entryOfJSON(name, text string) (*newEntry, error) {
	if !json.Valid([]byte(text)) {
		return nil, errors.New("its JSON is broken, perhaps because of quotes; put single quotes around it")
	}
	doc, err := edit.Parse("pasted.json", []byte(text))
	if err != nil {
		return nil, err
	}
	root, _ := doc.Get()
	fields, _ := root.(edit.Fields)
	if given, ok := fields.Get("name").(string); ok && name == "" {
		name = given
	}
	if name == "" {
		return nil, errors.New("it has no name")
	}
	found := translate(fields)
	if found.skip != "" {
		return nil, errors.New(found.skip)
	}
	return &newEntry{name: name, more: found.entry}, nil
}

// splitWords splits a line as a shell does, quotes and backslashes taken away; nothing is expanded.
func splitWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quote := false, rune(0)
	escaped := false
	for _, r := range line {
		switch {
		case escaped:
			if quote == '"' && !strings.ContainsRune("$`\"\\\n", r) {
				word.WriteRune('\\')
			}
			if r != '\n' { // which only goes on in the next line
				word.WriteRune(r)
				inWord = true
			}
			escaped = false
		case r == '\\' && quote != '\'':
			escaped = true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, inWord = r, true
		case strings.ContainsRune(" \t\r\n", r):
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 || escaped {
		return nil, errors.New("a quote is not closed")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
