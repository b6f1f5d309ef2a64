package tree

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// parseTOML parses TOML. The library checks the text first, duplicate keys and redefined tables among it;
// then its parser, which knows positions, gives the tree.
func parseTOML(name string, data []byte) (*Node, Problems) {
	in := lines{name, data}
	if bad := tomlBounds(in); bad != nil {
		return nil, bad
	}
	var values map[string]any
	if err := toml.Unmarshal(data, &values); err != nil {
		return nil, Problems{tomlProblem(in, err)}
	}
	t := tomlTree{at: walkLines{lines: in}, tables: map[tableKey]*Node{}}
	var parser unstable.Parser
	parser.Reset(data)
	root := &Node{Kind: Map, Pos: Pos{name, 1, 1}}
	table := root
	for parser.NextExpression() {
		switch e := parser.Expression(); e.Kind {
		case unstable.Table:
			table = t.descend(root, e.Key())
		case unstable.ArrayTable:
			table = t.push(root, e.Key())
		case unstable.KeyValue:
			t.assign(table, e)
		default: // a comment
		}
	}
	return root, nil
}

// maxTOML bounds the values of a TOML file: the library compares each key with all others.
const maxTOML = 20_000

// tomlBounds reports a key of too many parts and too many values, before they cost stack or time.
func tomlBounds(in lines) Problems {
	var p unstable.Parser
	p.Reset(in.data)
	table, nodes := 0, 0
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind == unstable.Comment {
			continue
		}
		parts, last := 0, e
		for it := e.Key(); it.Next(); {
			parts, last = parts+1, it.Node()
		}
		switch {
		case e.Kind != unstable.KeyValue:
			table = parts
		default:
			parts += table
		}
		if parts > maxDepth {
			return Problems{depthProblem(in.at(int(last.Raw.Offset)))}
		}
		if nodes += tomlCount(e); nodes > maxTOML {
			return WholeFile(in.file, IDBounds, fmt.Sprintf("holds more than %d values", maxTOML), "")
		}
	}
	return nil
}

func tomlCount(n *unstable.Node) int {
	count := 1
	for it := n.Children(); it.Next(); {
		count += tomlCount(it.Node())
	}
	return count
}

func tomlProblem(in lines, err error) Problem {
	msg := strings.TrimPrefix(err.Error(), "toml: ")
	var decode *toml.DecodeError
	if !errors.As(err, &decode) {
		return Problem{ID: IDSyntax, Pos: Pos{File: in.file}, Msg: "is not TOML: " + msg}
	}
	line, col := decode.Position()
	return Problem{ID: IDSyntax, Pos: in.column(line, col), Msg: "is not TOML: " + msg}
}

// tomlTree builds the tree of a TOML text that is known to be right.
type tomlTree struct {
	at     walkLines
	tables map[tableKey]*Node // every table and list of tables, by the table it stands in
}

type tableKey struct {
	in  *Node
	key string
}

// add puts a value into a table.
func (t *tomlTree) add(table *Node, key *unstable.Node, pos Pos, value *Node) {
	name := string(key.Data)
	table.Members = append(table.Members, Member{name, pos, value})
	if value.Kind == Map || value.Kind == List {
		t.tables[tableKey{table, name}] = value
	}
}

// descend returns the table under at that the key leads to, made where missing.
func (t *tomlTree) descend(at *Node, key unstable.Iterator) *Node {
	for key.Next() {
		at = t.child(at, key.Node())
	}
	return at
}

// child returns the table of that key, made when missing; of a list of tables the last one.
func (t *tomlTree) child(at *Node, key *unstable.Node) *Node {
	next := t.tables[tableKey{at, string(key.Data)}]
	if next == nil {
		pos := t.at.at(int(key.Raw.Offset))
		next = &Node{Kind: Map, Pos: pos}
		t.add(at, key, pos, next)
	}
	if next.Kind == List && len(next.Items) > 0 {
		return next.Items[len(next.Items)-1]
	}
	return next
}

// push appends a table to the list of tables that the key leads to.
func (t *tomlTree) push(at *Node, key unstable.Iterator) *Node {
	for key.Next() {
		k := key.Node()
		if !key.IsLast() {
			at = t.child(at, k)
			continue
		}
		pos := t.at.at(int(k.Raw.Offset))
		tables := t.tables[tableKey{at, string(k.Data)}]
		if tables == nil {
			tables = &Node{Kind: List, Pos: pos}
			t.add(at, k, pos, tables)
		}
		at = &Node{Kind: Map, Pos: pos}
		tables.Items = append(tables.Items, at)
	}
	return at
}

// assign puts the value of "a.b.c = value" where it belongs under table.
func (t *tomlTree) assign(table *Node, e *unstable.Node) {
	key := e.Key()
	for key.Next() {
		k := key.Node()
		if !key.IsLast() {
			table = t.child(table, k)
			continue
		}
		pos := t.at.at(int(k.Raw.Offset))
		t.add(table, k, pos, t.value(e.Value(), pos))
	}
}

// value builds a value; key is where its key stands.
func (t *tomlTree) value(v *unstable.Node, key Pos) *Node {
	n := &Node{Pos: key}
	if v.Raw.Length > 0 {
		n.Pos = t.at.at(int(v.Raw.Offset))
	}
	switch v.Kind {
	case unstable.Array:
		n.Kind = List
		for it := v.Children(); it.Next(); {
			if it.Node().Kind != unstable.Comment {
				n.Items = append(n.Items, t.value(it.Node(), n.Pos))
			}
		}
	case unstable.InlineTable:
		n.Kind = Map
		for it := v.Children(); it.Next(); {
			if it.Node().Kind == unstable.KeyValue {
				t.assign(n, it.Node())
			}
		}
	case unstable.Bool:
		n.Kind, n.Scalar = Bool, string(v.Data)
	case unstable.Integer, unstable.Float:
		n.Kind, n.Scalar = Number, string(v.Data)
	default:
		n.Kind, n.Scalar = Text, string(v.Data)
	}
	return n
}
