package edit_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/plait-mcp/plait/config/edit"
)

// newServer is what the edits of the tests add.
var newServer = edit.Fields{
	{Key: "command", Value: "npx"},
	{Key: "args", Value: []any{"-y", "@acme/server", "true"}},
	{Key: "env", Value: edit.Fields{{Key: "LOG", Value: "warn"}, {Key: "KEY", Value: "${KEY}"}}},
}

// change makes the edit that words tell: "add a", "remove a", "enable a", "disable a".
func change(name string, data []byte, words string) ([]byte, error) {
	d, err := edit.Parse(name, data)
	if err != nil {
		return nil, err
	}
	verb, server, _ := strings.Cut(words, " ")
	keys := []string{d.ServersKey(), server}
	switch verb {
	case "add":
		return d.Put(keys, newServer)
	case "remove":
		return d.Remove(keys)
	case "enable":
		return d.Enable(server)
	default:
		return d.Disable(server)
	}
}

// TestEdits makes the edits in testdata. Each file of an archive is a text, followed by one with the edit in
// its name, which is the text after it, or the reason why it is not made.
func TestEdits(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal(archives, err)
	}
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var before txtar.File
		for i, f := range archive.Files {
			_, words, isEdit := strings.Cut(f.Name, ": ")
			if !isEdit {
				before = f
				continue
			}
			t.Run(filepath.Base(path)+"/"+f.Name, func(t *testing.T) {
				for _, eol := range []string{"\n", "\r\n"} {
					broken := func(s []byte) []byte { return bytes.ReplaceAll(s, []byte("\n"), []byte(eol)) }
					got, err := change(before.Name, broken(before.Data), words)
					if err != nil {
						got = []byte(err.Error() + "\n")
					} else {
						got = bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n"))
					}
					if os.Getenv("UPDATE") != "" {
						archive.Files[i].Data = got
						continue
					}
					if d := cmp.Diff(string(f.Data), string(got)); d != "" {
						t.Errorf("%q (-want +got):\n%s", eol, d)
					}
				}
			})
		}
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestEditKeepsLineBreaks adds to a file with CRLF and a byte order mark.
func TestEditKeepsLineBreaks(t *testing.T) {
	for _, name := range []string{"a.yaml", "a.toml", "a.json"} {
		mark := "\ufeff"
		before := map[string]string{
			"a.yaml": "mcpServers:\r\n  a: {url: x}\r\n",
			"a.toml": "[mcpServers.a]\r\nurl = \"x\"\r\n",
			"a.json": "{\r\n\t\"mcpServers\": {\r\n\t\t\"a\": {\"url\": \"x\"}\r\n\t}\r\n}\r\n",
		}[name]
		got, err := change(name, []byte(mark+before), "add b")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(got), "\n") != strings.Count(string(got), "\r\n") || !strings.HasPrefix(string(got), mark) {
			t.Errorf("%s: %q", name, got)
		}
		back, err := change(name, got, "remove b")
		if err != nil || string(back) != mark+before {
			t.Errorf("%s: after remove %q, %v", name, back, err)
		}
	}
}

// FuzzEdit checks that an edit changes what it should and nothing else, whatever the text: it is said to be proven, so
// here it is compared with what encoding/json makes of both trees.
func FuzzEdit(f *testing.F) {
	names := []string{"a.yaml", "a.toml", "a.json"}
	archives, _ := filepath.Glob("testdata/*.txtar")
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			for i, name := range names {
				if filepath.Ext(file.Name) == filepath.Ext(name) {
					for kind := range 4 {
						f.Add(uint8(i), uint8(kind), "a", file.Data)
					}
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, format, kind uint8, server string, data []byte) {
		name := names[int(format)%len(names)]
		before, err := edit.Parse(name, data)
		if err != nil {
			return
		}
		verb := []string{"add", "remove", "enable", "disable"}[kind%4]
		text, err := change(name, data, verb+" "+server)
		if err != nil {
			return
		}
		after, err := edit.Parse(name, text)
		if err != nil {
			t.Fatalf("after %s: %v\n%s", verb, err, text)
		}
		if verb == "add" && !contains(text, bytes.TrimSpace(data)) || (verb == "remove" || verb == "enable") && !contains(data, text) {
			t.Errorf("%s changed comments or form:\n%s", verb, text)
		}
		key := before.ServersKey() // another one may take its place when it is gone
		if d := cmp.Diff(others(before, key, server), others(after, key, server)); d != "" {
			t.Errorf("%s changed more:\n%s\n%s", verb, d, text)
		}
	})
}

// contains tells whether every byte of part is in whole, in that order; white space and "{}" do not count.
func contains(whole, part []byte) bool {
	at := 0
	for _, b := range part {
		if strings.IndexByte(" \t\r\n{}", b) >= 0 {
			continue
		}
		i := bytes.IndexByte(whole[at:], b)
		if i < 0 {
			return false
		}
		at += i + 1
	}
	return true
}

// others returns everything of a document but that server, which is under a key.
func others(d *edit.Document, key, server string) map[string]string {
	all := map[string]string{}
	root, _ := d.Get()
	fields, _ := root.(edit.Fields)
	for _, f := range fields {
		servers, ok := f.Value.(edit.Fields)
		if f.Key != key || !ok {
			if f.Key != key {
				text, _ := json.Marshal(f.Value)
				all[f.Key] += string(text)
			}
			continue
		}
		for _, s := range servers {
			if s.Key != server {
				text, _ := json.Marshal(s.Value)
				all[f.Key+" "+s.Key] += string(text)
			}
		}
	}
	return all
}
