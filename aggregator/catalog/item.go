package catalog

import (
	"bytes"
	"errors"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

const maxTitle = 128 // code points of a title that stands for a hashed name

// item is one item of a fragment.
type item struct {
	Entry

	own    string      // the name that the exposed one is made from: Name, unless the rules rename it
	folded string      // Exposed, folded
	text   jsonrpc.Raw // as it is listed
}

// nameMember returns the member that an item is known by.
func nameMember(k Kind) string {
	switch k {
	case Resources:
		return "uri"
	case Templates:
		return "uriTemplate"
	default:
		return "name"
	}
}

// nameOf returns what the server calls an item, and whether it is an object that has such a name.
func nameOf(k Kind, text jsonrpc.Raw) (string, bool) {
	if !isObject(text) {
		return "", false
	}
	return jsonrpc.GetString(text, nameMember(k))
}

// checkTool returns a tool's text with its schemas as every client can read them, and what was wrong with them.
// An error means that the tool cannot be listed: one such tool would make a client refuse the whole list.
func checkTool(text jsonrpc.Raw) (jsonrpc.Raw, []string, error) {
	if err := jsonrpc.CheckMembers(text, "name", "inputSchema", "outputSchema", "_meta"); err != nil {
		return nil, nil, err
	}
	input, ok := jsonrpc.Get(text, "inputSchema")
	if !ok || !isObject(input) {
		return nil, nil, errors.New("inputSchema is no object")
	}
	if err := jsonrpc.CheckMembers(input, "type"); err != nil {
		return nil, nil, err
	}
	var repairs []string
	root, typed := jsonrpc.Get(input, "type")
	if word, _ := jsonrpc.ReadString(root); word != "object" {
		text = jsonrpc.Set(text, jsonrpc.Raw(`"object"`), "inputSchema", "type")
		if typed {
			repairs = append(repairs, `inputSchema.type is not "object"; set`)
		}
	}
	if output, ok := jsonrpc.Get(text, "outputSchema"); ok {
		word, _ := jsonrpc.GetString(output, "type")
		if word != "object" || jsonrpc.CheckMembers(output, "type") != nil {
			text = jsonrpc.Delete(text, "outputSchema")
			repairs = append(repairs, `outputSchema.type is not "object"; left out`)
		}
	}
	return text, repairs, checkMeta(text)
}

// checkMeta returns an error when two readers could find different URIs in a tool's metadata.
func checkMeta(tool jsonrpc.Raw) error {
	meta, ok := jsonrpc.Get(tool, "_meta")
	if !ok {
		return nil
	}
	if err := jsonrpc.CheckMembers(meta, "ui", "ui/resourceUri", "openai/outputTemplate"); err != nil {
		return err
	}
	ui, _ := jsonrpc.Get(meta, "ui")
	return jsonrpc.CheckMembers(ui, "resourceUri")
}

// rename returns an item's text under another name; a hashed one leaves the original as its title.
func rename(text jsonrpc.Raw, it item, hashed bool) jsonrpc.Raw {
	if it.Exposed != it.Name {
		text = jsonrpc.Set(text, jsonrpc.Quote(it.Exposed), "name")
	}
	if !hashed {
		return text
	}
	if _, ok := jsonrpc.GetString(text, "title"); ok {
		return text
	}
	if _, ok := jsonrpc.GetString(text, "annotations", "title"); ok {
		return text
	}
	return jsonrpc.Set(text, jsonrpc.Quote(firstRunes(it.own, maxTitle)), "title")
}

func firstRunes(s string, count int) string {
	for i := range s {
		if count--; count < 0 {
			return s[:i]
		}
	}
	return s
}

// metaPaths returns where in the _meta of a tool, or of its result, URIs of resources stand.
func metaPaths() [][]string {
	return [][]string{
		{"_meta", "ui", "resourceUri"},
		{"_meta", "ui/resourceUri"},
		{"_meta", "openai/outputTemplate"},
	}
}

func isObject(text jsonrpc.Raw) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 0 && text[0] == '{'
}
