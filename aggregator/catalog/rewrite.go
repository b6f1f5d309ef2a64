package catalog

import (
	"bytes"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// HasAliases reports whether any URI of a server is exposed under another. Without, Rewrite changes nothing.
func (c *Catalog) HasAliases(serverName string) bool { return len(c.exposed[serverName]) > 0 }

// Expose returns the URI by which a client knows a server's URI.
func (c *Catalog) Expose(serverName, uri string) string {
	aliases := c.exposed[serverName]
	if len(aliases) == 0 {
		return uri
	}
	if alias := aliases[normalize(uri)]; alias != "" {
		return alias
	}
	return uri
}

// Rewrite returns what a server sent with the URIs that a client knows under an alias: the result of a request of
// that method, or the params of a request or notification of the server. Text is never touched, nor anything of
// a server without aliases.
func (c *Catalog) Rewrite(serverName, method string, body jsonrpc.Raw) jsonrpc.Raw {
	if !c.HasAliases(serverName) {
		return body
	}
	edited, _ := c.rewriter(serverName).body(method)(body)
	return edited
}

// RewriteError returns the data of a server's error, rewritten likewise.
func (c *Catalog) RewriteError(serverName string, data jsonrpc.Raw) jsonrpc.Raw {
	if !c.HasAliases(serverName) {
		return data
	}
	edited, _ := at(c.rewriter(serverName).uri, "uri")(data)
	return edited
}

// RewriteRead returns the result of resources/read, in which the contents of the target itself bear the URI that
// the client asked for.
func (c *Catalog) RewriteRead(t Target, asked string, result jsonrpc.Raw) jsonrpc.Raw {
	if t.URI == asked && !c.HasAliases(t.Server) {
		return result
	}
	edited, _ := rewriter{func(uri string) string {
		if uri == t.URI {
			return asked
		}
		return c.Expose(t.Server, uri)
	}}.body("resources/read")(result)
	return edited
}

// edit returns a value changed, and whether it was.
type edit func(jsonrpc.Raw) (jsonrpc.Raw, bool)

// rewriter knows where URIs stand.
type rewriter struct {
	expose func(uri string) string
}

func (c *Catalog) rewriter(serverName string) rewriter {
	return rewriter{func(uri string) string { return c.Expose(serverName, uri) }}
}

// body returns the edit for what belongs to a method. A method that is not known carries no URIs that we see.
func (r rewriter) body(method string) edit {
	switch method {
	case "tools/call", "tasks/result":
		edits := []edit{at(each(r.block), "content")}
		for _, path := range metaPaths() {
			edits = append(edits, at(r.uri, path...))
		}
		return all(edits...)
	case "prompts/get", "sampling/createMessage":
		return at(each(at(each(r.block), "content")), "messages")
	case "resources/read":
		return at(each(at(r.uri, "uri")), "contents")
	case "notifications/resources/updated":
		return at(r.uri, "uri")
	case "resources/directory/read":
		return at(each(at(r.uri, "uri")), "resources")
	}
	if strings.HasPrefix(method, "skills/") {
		skill := all(at(r.uri, "uri"), at(each(at(r.uri, "uri")), "resources"))
		return all(skill, at(each(skill), "skills"))
	}
	return func(v jsonrpc.Raw) (jsonrpc.Raw, bool) { return v, false }
}

// block rewrites a content block; a tool_result holds more of them.
func (r rewriter) block(v jsonrpc.Raw) (jsonrpc.Raw, bool) {
	if kind, _ := jsonrpc.GetString(v, "type"); kind == "tool_result" {
		return at(each(r.leaf), "content")(v)
	}
	return r.leaf(v)
}

func (r rewriter) leaf(v jsonrpc.Raw) (jsonrpc.Raw, bool) {
	switch kind, _ := jsonrpc.GetString(v, "type"); kind {
	case "resource":
		return at(r.uri, "resource", "uri")(v)
	case "resource_link":
		return at(r.uri, "uri")(v)
	}
	return v, false
}

func (r rewriter) uri(v jsonrpc.Raw) (jsonrpc.Raw, bool) {
	uri, ok := jsonrpc.ReadString(v)
	if !ok {
		return v, false
	}
	exposed := r.expose(uri)
	if exposed == uri {
		return v, false
	}
	return jsonrpc.Quote(exposed), true
}

// at applies an edit to the value at a path.
func at(do edit, path ...string) edit {
	return func(v jsonrpc.Raw) (jsonrpc.Raw, bool) {
		old, ok := jsonrpc.Get(v, path...)
		if !ok {
			return v, false
		}
		edited, changed := do(old)
		if !changed {
			return v, false
		}
		return jsonrpc.Set(v, edited, path...), true
	}
}

// each applies an edit to the elements of an array, or to a value that stands where an array may.
func each(do edit) edit {
	return func(v jsonrpc.Raw) (jsonrpc.Raw, bool) {
		if len(v) == 0 || v[0] != '[' {
			return do(v)
		}
		var elements [][]byte
		changed := false
		for element := range jsonrpc.Elements(v) {
			edited, now := do(element)
			elements, changed = append(elements, edited), changed || now
		}
		if !changed {
			return v, false
		}
		return slices.Concat([]byte{'['}, bytes.Join(elements, []byte{','}), []byte{']'}), true
	}
}

// all applies edits one after the other.
func all(edits ...edit) edit {
	return func(v jsonrpc.Raw) (jsonrpc.Raw, bool) {
		changed := false
		for _, do := range edits {
			edited, now := do(v)
			v, changed = edited, changed || now
		}
		return v, changed
	}
}
