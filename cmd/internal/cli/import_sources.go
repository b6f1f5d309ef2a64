package cli

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/config/edit"
)

// offers returns the servers of a client, of a file, or of standard input.
func (o *importOptions) offers(from string) ([]offer, error) {
	client, unknown := findClient(from)
	if unknown == nil {
		return o.clientOffers(client)
	}
	var data []byte
	there := true
	var err error
	if from == "-" {
		const most = 4 << 20
		data, err = io.ReadAll(io.LimitReader(o.env.In, most))
	} else {
		data, there, err = edit.ReadFile(from)
	}
	switch {
	case err != nil:
		return nil, err
	case !there && !strings.ContainsAny(from, `./\`):
		return nil, unknown
	case !there:
		return nil, usagef("%s does not exist; check the path", from)
	}
	doc, err := parseAny(from, data)
	if err != nil {
		return nil, err
	}
	o.learnSecrets(doc)
	var found []offer
	for _, keys := range o.shapes(doc) {
		found = append(found, o.entries(doc, clientFile{path: from, keys: keys})...)
	}
	if len(found) == 0 {
		return nil, coded(idNoServers, "no servers are found in %s; plait looks for mcpServers, servers, mcp_servers, context_servers and mcp", from)
	}
	return found, nil
}

// clientOffers returns the servers of all files of a client. A server that is in several counts once: the first wins.
func (o *importOptions) clientOffers(client mcpClient) ([]offer, error) {
	p, err := o.places()
	if err != nil {
		return nil, err
	}
	var found []offer
	var looked []string
	exists := false
	for _, file := range client.files(p) {
		if o.all && file.keys[0] == "projects" {
			file.keys[1] = "*"
		}
		data, there, err := edit.ReadFile(file.path)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(looked, file.path) {
			looked = append(looked, file.path)
		}
		if exists = exists || there; !there {
			continue
		}
		doc, err := parseAny(file.path, data)
		if err != nil {
			return nil, err
		}
		o.learnSecrets(doc)
		for _, f := range o.expanded(doc, file) {
			found = append(found, o.entries(doc, f)...)
		}
	}
	switch {
	case !exists:
		return nil, coded(idNoClient, "%s has no file here; plait looked for %s", client.title, strings.Join(looked, " and "))
	case len(found) == 0:
		return nil, coded(idNoServers, "no servers are found in %s", strings.Join(looked, " and "))
	}
	return found, nil
}

// expanded returns a file once for each project when its keys say all of them.
func (o *importOptions) expanded(doc *edit.Document, file clientFile) []clientFile {
	if file.keys[0] != "projects" || file.keys[1] != "*" {
		return []clientFile{file}
	}
	var files []clientFile
	for _, project := range fieldsOf(doc.Get("projects")) {
		files = append(files, clientFile{file.path, []string{"projects", project.Key, file.keys[2]}, project.Key})
	}
	return files
}

// entries returns the servers under the keys of a document.
func (o *importOptions) entries(doc *edit.Document, file clientFile) []offer {
	var found []offer
	for _, f := range fieldsOf(doc.Get(file.keys...)) {
		raw, ok := f.Value.(edit.Fields)
		at := offer{name: f.Key, from: doc.Pos(append(slices.Clone(file.keys), f.Key)...).String()}
		switch {
		case !ok:
			at.skip = "is no map"
		case o.isPlait(raw):
			at.skip = "is plait itself"
		default:
			at.translated = translateFor(raw, file.project)
		}
		found = append(found, at)
	}
	return found
}

// shapes returns the keys under which a document of some client holds servers.
func (o *importOptions) shapes(doc *edit.Document) [][]string {
	var found [][]string
	for _, keys := range [][]string{{doc.ServersKey()}, {"context_servers"}, {"mcp", "servers"}, {"mcp"}, {"projects"}, {}} {
		fields := fieldsOf(doc.Get(keys...))
		switch {
		case len(keys) == 1 && keys[0] == "projects":
			for _, project := range fields {
				if o.all {
					found = append(found, []string{"projects", project.Key, "mcpServers"})
				}
			}
		case slices.ContainsFunc(fields, isServer) && (len(keys) > 0 || len(found) == 0):
			found = append(found, keys)
		}
	}
	return found
}

// isServer tells whether a field looks like a server with its name.
func isServer(f edit.Field) bool {
	entry, ok := f.Value.(edit.Fields)
	if !ok {
		return false
	}
	for _, key := range []string{"command", "url", "serverUrl", "httpUrl"} {
		if entry.Get(key) != nil {
			return true
		}
	}
	return false
}

func fieldsOf(value any, _ bool) edit.Fields {
	fields, _ := value.(edit.Fields)
	return fields
}

// parseAny parses a document whose name may not tell its format.
func parseAny(name string, data []byte) (*edit.Document, error) {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".json", ".jsonc", ".yaml", ".yml", ".toml":
		return edit.Parse(name, data)
	}
	first := bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\ufeff")), " \t\r\n")
	if bytes.HasPrefix(first, []byte("{")) || bytes.HasPrefix(first, []byte("/")) {
		return parseAs(name, "json", data)
	}
	doc, err := parseAs(name, "toml", data)
	if err == nil {
		return doc, nil
	}
	if doc, err := parseAs(name, "yaml", data); err == nil {
		return doc, nil
	}
	return nil, coded(idNoServers, "%s is neither JSON nor TOML nor YAML", name)
}

// parseAs parses a document in a format that its name does not tell.
func parseAs(name, format string, data []byte) (*edit.Document, error) {
	if name == "-" {
		name = "stdin"
	}
	return edit.Parse(fmt.Sprintf("%s.%s", name, format), data)
}
