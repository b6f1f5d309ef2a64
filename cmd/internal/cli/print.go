package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// column is one column of a table of items.
type column struct {
	title string
	cell  func(item jsonrpc.Raw) string
}

// text is the column that shows the string at a path, or the first of several.
func text(title string, paths ...[]string) column {
	return column{title, func(item jsonrpc.Raw) string {
		for _, p := range paths {
			if s, ok := jsonrpc.GetString(item, p...); ok && s != "" {
				return s
			}
		}
		return ""
	}}
}

// longest is how much of a cell is shown.
const longest = 100

// table prints items, one a line.
func (a *app) table(items []jsonrpc.Raw, columns []column) {
	rows := make([][]string, 1, len(items)+1)
	for _, c := range columns {
		rows[0] = append(rows[0], c.title)
	}
	for _, item := range items {
		row := make([]string, len(columns))
		for i, c := range columns {
			row[i] = c.cell(item)
		}
		rows = append(rows, row)
	}
	table(a.env.Out, rows)
}

// table prints aligned rows; cells come from anywhere, so they are made harmless.
func table(out io.Writer, rows [][]string) {
	var page strings.Builder
	w := tabwriter.NewWriter(&page, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = oneLine(cell)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	_ = w.Flush()
	for line := range strings.Lines(page.String()) {
		fmt.Fprintln(out, strings.TrimRight(line, " \n"))
	}
}

// oneLine returns the first line of s, not too long and without control characters.
func oneLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if r := []rune(s); len(r) > longest {
		s = string(r[:longest-1]) + "…"
	}
	return harmless(s)
}

// harmless returns s without the characters that command a terminal.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s)
}

// raw prints JSON as it is.
func (a *app) raw(text jsonrpc.Raw) {
	_, _ = a.env.Out.Write(text)
	fmt.Fprintln(a.env.Out)
}

// pretty prints JSON for a person.
func (a *app) pretty(text jsonrpc.Raw) {
	var b bytes.Buffer
	if json.Indent(&b, text, "", "  ") != nil {
		b.Reset()
		b.Write(text)
	}
	fmt.Fprintln(a.env.Out, b.String())
}

// prose prints text that a server wrote, on a terminal without its commands.
func (a *app) prose(s string) {
	if isTerminal(a.env.Out) {
		s = harmless(s)
	}
	fmt.Fprintln(a.env.Out, strings.TrimSuffix(s, "\n"))
}

// content prints one content block of a result.
func (a *app) content(block jsonrpc.Raw) {
	get := func(path ...string) string {
		s, _ := jsonrpc.GetString(block, path...)
		return s
	}
	switch kind := get("type"); kind {
	case "text":
		a.prose(get("text"))
	case "image", "audio":
		a.prose(fmt.Sprintf("[%s %s, %d bytes; --json shows it]", kind, get("mimeType"), decodedSize(get("data"))))
	case "resource_link":
		a.prose(fmt.Sprintf("[%s %s]", get("uri"), get("name")))
	case "resource":
		resource, _ := jsonrpc.Get(block, "resource")
		a.contents(resource)
	default:
		a.pretty(block)
	}
}

// contents prints the contents of a resource.
func (a *app) contents(resource jsonrpc.Raw) {
	if s, ok := jsonrpc.GetString(resource, "text"); ok {
		a.prose(s)
		return
	}
	blob, _ := jsonrpc.GetString(resource, "blob")
	uri, _ := jsonrpc.GetString(resource, "uri")
	kind, _ := jsonrpc.GetString(resource, "mimeType")
	a.prose(fmt.Sprintf("[%s %s, %d bytes; --json shows it]", uri, kind, decodedSize(blob)))
}

// decodedSize is how many bytes a base64 text holds.
func decodedSize(base64 string) int { return len(strings.TrimRight(base64, "=")) * 3 / 4 }
