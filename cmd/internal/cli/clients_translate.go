package cli

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/config/edit"
)

// translated is a server of a client's file as plait writes it.
type translated struct {
	entry   edit.Fields
	skip    string   // why it is not taken over, "" when it is
	notes   []string // what a person should know
	project string   // the folder it is for, "" for all
}

// translate turns the entry of a client's file into one of plait. It knows the spellings of all clients; keys that
// mean nothing to plait are left out.
func translate(raw edit.Fields) translated { return translateFor(raw, "") }

// translateFor is translate for a server of the project in a folder, whose relative paths start there.
func translateFor(raw edit.Fields, project string) translated {
	t := translated{project: project}
	var rules edit.Fields
	for _, f := range flat(raw) {
		key := strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(f.Key))
		switch key {
		case "disabledtools", "excludetools":
			rules = append(rules, edit.Field{Key: "deny", Value: f.Value})
		case "enabledtools", "includetools":
			rules = append(rules, edit.Field{Key: "allow", Value: f.Value})
		default:
			t.take(key, f)
		}
	}
	rules = slices.DeleteFunc(rules, func(f edit.Field) bool { items, ok := f.Value.([]any); return !ok || len(items) == 0 })
	if len(rules) > 0 && t.entry.Get("tools") == nil {
		t.add("tools", rules)
	}
	t.settle()
	return t
}

// flat returns an entry with the command of Zed and of opencode as others write it.
func flat(raw edit.Fields) edit.Fields {
	var out edit.Fields
	for _, f := range raw {
		inner, isMap := f.Value.(edit.Fields)
		words, isList := f.Value.([]any)
		switch {
		case f.Key == "command" && isMap:
			for _, g := range inner {
				if g.Key == "path" {
					g.Key = "command"
				}
				out = append(out, g)
			}
		case f.Key == "command" && isList && len(words) > 0:
			out = append(out, edit.Field{Key: "command", Value: words[0]}, edit.Field{Key: "args", Value: words[1:]})
		default:
			out = append(out, f)
		}
	}
	return out
}

// take takes one key over.
func (t *translated) take(key string, f edit.Field) {
	own := map[string]string{
		"command": "command", "args": "args", "env": "env", "environment": "env", "url": "url", "serverurl": "url", "httpurl": "url",
		"headers": "headers", "httpheaders": "headers", "cwd": "cwd", "envfile": "envFile", "envvars": "inheritEnv",
		"inheritenv": "inheritEnv", "type": "type", "transport": "transport", "startuptimeoutsec": "connectTimeout",
		"tooltimeoutsec": "callTimeout", "prefix": "prefix", "cafile": "caFile", "clientcert": "clientCert", "allowhttp": "allowHttp",
		"connecttimeout": "connectTimeout", "calltimeout": "callTimeout", "ping": "ping", "shared": "shared", "methods": "methods",
		"lazy": "lazy", "idletimeout": "idleTimeout", "maxconcurrent": "maxConcurrent", "maxresultbytes": "maxResultBytes",
	}[key]
	value := f.Value
	switch {
	case key == "disabled" && value == true, (key == "enabled" || key == "isactive") && value == false:
		t.add("disabled", true)
		return
	case key == "bearertokenenvvar":
		t.header("Authorization", fmt.Sprintf("Bearer ${%s}", value))
		return
	case key == "envhttpheaders":
		if names, ok := value.(edit.Fields); ok {
			for _, n := range names {
				t.header(n.Key, fmt.Sprintf("${%s}", n.Value))
			}
		}
		return
	case key == "tools" && isRules(value):
		own = "tools"
	case strings.HasSuffix(key, "timeoutsec"):
		value = fmt.Sprint(value) + "s"
	case own == "type" && !slices.Contains([]any{"http", "sse", "streamable-http", "streamableHttp"}, value):
		own = ""
	}
	if own == "" || value == nil || isEmpty(value) {
		return
	}
	if headers, ok := value.(edit.Fields); ok && own == "headers" {
		for _, h := range headers {
			t.header(h.Key, fmt.Sprint(t.text(h.Value, own, h.Key)))
		}
		return
	}
	t.add(own, t.text(value, own, ""))
}

// isRules tells whether the tools of an entry are plait's, not a client's list.
func isRules(value any) bool {
	_, ok := value.(edit.Fields)
	return ok
}

func isEmpty(value any) bool {
	switch v := value.(type) {
	case edit.Fields:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

// add sets a key that is not set yet.
func (t *translated) add(key string, value any) {
	if t.entry.Get(key) == nil {
		t.entry = append(t.entry, edit.Field{Key: key, Value: value})
	}
}

func (t *translated) header(name, value string) {
	for i, f := range t.entry {
		if f.Key == "headers" {
			headers, _ := f.Value.(edit.Fields)
			headers = append(headers, edit.Field{Key: name, Value: value})
			t.entry[i].Value = headers
			return
		}
	}
	t.add("headers", edit.Fields{{Key: name, Value: value}})
}

// text returns a value with its texts as plait reads them; in names the variable that an input of an editor becomes.
func (t *translated) text(value any, key, in string) any {
	switch v := value.(type) {
	case edit.Fields:
		out := edit.Fields{}
		for _, f := range v {
			out = append(out, edit.Field{Key: f.Key, Value: t.text(f.Value, key, f.Key)})
		}
		return out
	case []any:
		out := []any{}
		for _, item := range v {
			out = append(out, t.text(item, key, ""))
		}
		return out
	case string:
		return t.expand(v, key, in)
	case json.Number, bool:
		if key == "env" || key == "args" || key == "headers" {
			return fmt.Sprint(v)
		}
	}
	return value
}

// expand turns the ${…} of a client into those of plait.
func (t *translated) expand(s, key, in string) string {
	s = strings.ReplaceAll(s, "$$", "$$$$")
	return regexp.MustCompile(`\$\{[^}]*\}`).ReplaceAllStringFunc(s, func(ref string) string {
		inside := ref[2 : len(ref)-1]
		kind, rest, _ := strings.Cut(inside, ":")
		switch {
		case kind == "input":
			name := variableName(rest)
			if key == "env" && ref == s {
				name = in
			}
			t.note("asks for " + rest + ": set " + name)
			return "${" + name + "}"
		case kind == "workspaceFolder" && t.project != "":
			return t.project
		case strings.HasPrefix(kind, "workspaceFolder"), kind == "file", kind == "command", kind == "config":
			t.skip = ref + " is known to the editor only"
		case kind == "exec":
			return "$" + ref // to a client it is no more than text
		}
		return ref
	})
}

// variableName turns the name of an input into one of a variable.
func variableName(input string) string {
	return strings.ToUpper(regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(input, "_"))
}

func (t *translated) note(text string) {
	if !slices.Contains(t.notes, text) {
		t.notes = append(t.notes, text)
	}
}

// settle completes an entry and finds out whether it can be used.
func (t *translated) settle() {
	command, _ := t.entry.Get("command").(string)
	url, _ := t.entry.Get("url").(string)
	if command == "" && url == "" {
		t.skip = "has neither a command nor a URL"
		return
	}
	if t.project == "" || command == "" {
		return
	}
	for i, f := range t.entry {
		path, ok := f.Value.(string)
		isPath := f.Key == "cwd" || f.Key == "envFile" || f.Key == "command" && strings.ContainsAny(path, `/\`)
		if ok && isPath && !filepath.IsAbs(path) && !strings.HasPrefix(path, "~") && !strings.HasPrefix(path, "${") {
			t.entry[i].Value = filepath.Join(t.project, path)
		}
	}
	t.add("cwd", t.project) // where the client would start it
}

// isPlait tells whether an entry of a client starts plait, which would serve itself.
func (a *app) isPlait(raw edit.Fields) bool {
	raw = flat(raw)
	command, _ := raw.Get("command").(string)
	args, _ := raw.Get("args").([]any)
	name := strings.TrimSuffix(strings.ToLower(filepath.Base(filepath.FromSlash(command))), ".exe")
	own, err := a.env.Executable()
	if name != "plait" && (err != nil || command != own) {
		return false
	}
	return len(args) > 0 && args[0] == "serve"
}
