package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tailscale/hujson"
)

// parseJSON parses JSON with comments and trailing commas.
func parseJSON(name string, data []byte) (*Node, Problems) {
	in := lines{name, data}
	if len(bytes.TrimSpace(data)) == 0 {
		return &Node{Pos: Pos{name, 1, 1}}, nil
	}
	if offset := tooDeep(data); offset >= 0 {
		return nil, Problems{depthProblem(in.at(offset))}
	}
	v, err := hujson.Parse(data)
	if err != nil {
		return nil, Problems{jsonProblem(in, err)}
	}
	p := jsonTree{at: walkLines{lines: in}}
	n := p.build(&v)
	if p.nodes > maxNodes {
		return nil, WholeFile(name, IDBounds, fmt.Sprintf("holds more than %d values", maxNodes), "")
	}
	return n, nil
}

func jsonProblem(in lines, err error) Problem {
	var line, col int
	pos := Pos{File: in.file}
	if _, scan := fmt.Sscanf(err.Error(), "hujson: line %d, column %d:", &line, &col); scan == nil {
		pos = in.column(line, col)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return Problem{ID: IDSyntax, Pos: pos, Msg: "the file ends too early", Hint: "close every bracket and quote"}
	}
	msg := err.Error()
	if inner := errors.Unwrap(err); inner != nil {
		msg = inner.Error()
	}
	if literal, ok := strings.CutPrefix(msg, "invalid literal: "); ok { // which may be a secret
		if strings.HasPrefix(literal, `"`) {
			return Problem{ID: IDSyntax, Pos: pos, Msg: "is not JSON: a text with a wrong escape or a line break", Hint: `write \\ for a backslash`}
		}
		return Problem{ID: IDSyntax, Pos: pos, Msg: "is not JSON: an unknown word", Hint: "put text into double quotes"}
	}
	return Problem{ID: IDSyntax, Pos: pos, Msg: "is not JSON: " + msg}
}

func depthProblem(pos Pos) Problem {
	return Problem{ID: IDBounds, Pos: pos, Msg: fmt.Sprintf("is nested deeper than %d levels", maxDepth)}
}

// tooDeep returns the offset of the bracket that nests too deep for a recursive parser, or -1.
func tooDeep(data []byte) int {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case '/':
			i = skipComment(data, i)
		case '[', '{':
			if depth++; depth > maxDepth {
				return i
			}
		case ']', '}':
			depth--
		}
	}
	return -1
}

// skipComment returns the offset of the last byte of the comment that starts at i, or i when none does.
func skipComment(data []byte, i int) int {
	var closing string
	switch rest := data[i:]; {
	case bytes.HasPrefix(rest, []byte("//")):
		closing = "\n"
	case bytes.HasPrefix(rest, []byte("/*")):
		closing = "*/"
	default:
		return i
	}
	end := bytes.Index(data[i+2:], []byte(closing))
	if end < 0 {
		return len(data)
	}
	return i + 2 + end + len(closing) - 1
}

// jsonTree builds the tree of a parsed JSON text.
type jsonTree struct {
	at    walkLines
	nodes int
}

func (p *jsonTree) build(v *hujson.Value) *Node {
	n := &Node{Pos: p.at.at(v.StartOffset)}
	if p.nodes++; p.nodes > maxNodes {
		return n
	}
	switch value := v.Value.(type) {
	case *hujson.Object:
		n.Kind = Map
		for i := range value.Members {
			m := &value.Members[i]
			pos := p.at.at(m.Name.StartOffset)
			key, _ := m.Name.Value.(hujson.Literal)
			n.Members = append(n.Members, Member{key.String(), pos, p.build(&m.Value)})
		}
	case *hujson.Array:
		n.Kind = List
		for i := range value.Elements {
			n.Items = append(n.Items, p.build(&value.Elements[i]))
		}
	case hujson.Literal:
		switch value.Kind() {
		case '"':
			n.Kind, n.Scalar = Text, value.String()
		case 't', 'f':
			n.Kind, n.Scalar = Bool, string(value)
		case '0':
			n.Kind, n.Scalar = Number, string(value)
		}
	}
	return n
}
