package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
)

// parseYAML parses one YAML document. Anchors, aliases and merge keys are followed, within maxNodes.
func parseYAML(name string, data []byte) (*Node, Problems) {
	in := lines{name, data}
	limits := &yamlLimits{}
	loader, err := yaml.NewLoader(bytes.NewReader(data), yaml.WithPlugin(limits))
	if err != nil {
		return nil, Problems{yamlProblem(in, err)}
	}
	var doc, more yaml.Node
	switch err := loader.Load(&doc); {
	case limits.exceeded:
		return nil, Problems{depthProblem(yamlProblem(in, err).Pos)}
	case errors.Is(err, io.EOF):
		return &Node{Pos: Pos{name, 1, 1}}, nil
	case err != nil:
		return nil, Problems{yamlProblem(in, err)}
	}
	switch err := loader.Load(&more); {
	case err == nil:
		return nil, Problems{{ID: IDSyntax, Pos: Pos{name, more.Line, more.Column}, Msg: "a second document starts", Hint: "write one document"}}
	case !errors.Is(err, io.EOF):
		return nil, Problems{yamlProblem(in, err)}
	}
	t := yamlTree{file: name, open: map[*yaml.Node]bool{}}
	n := t.build(&doc, 0)
	return n, t.problems
}

// yamlLimits bounds the depth of a document while it is parsed.
type yamlLimits struct{ exceeded bool }

// CheckDepth implements yaml.LoaderLimitsPlugin.
func (l *yamlLimits) CheckDepth(depth int, _ *yaml.DepthContext) error {
	if depth > maxDepth {
		l.exceeded = true
		return errors.New("too deep")
	}
	return nil
}

// CheckAlias implements yaml.LoaderLimitsPlugin. yamlTree counts for itself.
func (*yamlLimits) CheckAlias(_, _ int) error { return nil }

func yamlProblem(in lines, err error) Problem {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		return Problem{ID: IDSyntax, Pos: Pos{File: in.file}, Msg: "is not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	mark := load.Mark
	if mark.Line == 0 {
		mark = load.ContextMark
	}
	pos := Pos{in.file, mark.Line, max(mark.Column, 1)}
	if line, col := tabbed(in.data, mark.Line); line > 0 {
		return Problem{ID: IDSyntax, Pos: Pos{in.file, line, col}, Msg: "a tab stands in the indentation", Hint: "indent with spaces"}
	}
	msg, hint := load.Message, ""
	switch { // some messages quote a value, which may be a secret
	case strings.Contains(msg, "unknown anchor"):
		msg, hint = "an alias without its anchor", `put text that starts with "*" into quotes`
	case strings.Contains(msg, "`"):
		msg = "a value that does not fit its tag"
	case strings.Contains(msg, "cannot start any token"):
		hint = "put text that starts with a special character into quotes"
	case strings.Contains(msg, "mapping values are not allowed"):
		hint = `put text with ": " into quotes, or correct the indentation`
	}
	return Problem{ID: IDSyntax, Pos: pos, Msg: "is not YAML: " + msg, Hint: hint}
}

// tabbed returns where a tab stands in the indentation of that line or the one before.
func tabbed(data []byte, line int) (int, int) {
	all := bytes.Split(data, []byte("\n"))
	for _, at := range []int{line, line - 1} {
		if at < 1 || at > len(all) {
			continue
		}
		indent := all[at-1][:len(all[at-1])-len(bytes.TrimLeft(all[at-1], " \t"))]
		if i := bytes.IndexByte(indent, '\t'); i >= 0 {
			return at, i + 1
		}
	}
	return 0, 0
}

// yamlTree builds the tree of a parsed YAML document.
type yamlTree struct {
	file     string
	nodes    int
	open     map[*yaml.Node]bool // aliases that are being followed
	problems Problems
}

func (t *yamlTree) build(y *yaml.Node, depth int) *Node {
	n := &Node{Pos: Pos{t.file, y.Line, y.Column}}
	if t.nodes++; t.nodes > maxNodes || depth > maxDepth {
		if t.problems == nil {
			t.problems = Problems{t.overflow(n.Pos, depth)}
		}
		return n
	}
	switch y.Kind {
	case yaml.DocumentNode, yaml.StreamNode:
		if len(y.Content) > 0 {
			return t.build(y.Content[0], depth)
		}
	case yaml.AliasNode:
		if y.Alias == nil {
			return n
		}
		if t.open[y.Alias] {
			t.problems = append(t.problems, Problem{ID: IDSyntax, Pos: n.Pos, Msg: "an alias stands inside what it stands for"})
			return n
		}
		t.open[y.Alias] = true
		defer delete(t.open, y.Alias)
		return t.build(y.Alias, depth+1)
	case yaml.SequenceNode:
		n.Kind = List
		for _, item := range y.Content {
			n.Items = append(n.Items, t.build(item, depth+1))
		}
	case yaml.MappingNode:
		n.Kind = Map
		n.Members = t.members(y, depth)
	case yaml.ScalarNode:
		n.Kind, n.Scalar = yamlScalar(y)
	}
	return n
}

func (t *yamlTree) overflow(pos Pos, depth int) Problem {
	if depth > maxDepth {
		return depthProblem(pos)
	}
	return Problem{ID: IDBounds, Pos: pos, Msg: fmt.Sprintf("holds more than %d values once its aliases are followed", maxNodes)}
}

// members returns the members of a mapping, then those of the mappings it merges with "<<".
func (t *yamlTree) members(y *yaml.Node, depth int) []Member {
	var own, merged []Member
	have := map[string]bool{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := y.Content[i], y.Content[i+1]
		pos := Pos{t.file, key.Line, key.Column}
		if key.Kind == yaml.AliasNode && key.Alias != nil {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			t.problems = append(t.problems, Problem{ID: IDSyntax, Pos: pos, Msg: "a key is not text"})
			continue
		}
		child := t.build(value, depth+1)
		if key.ShortTag() == "!!merge" {
			merged = append(merged, mergedMembers(child)...)
			continue
		}
		have[key.Value] = true
		own = append(own, Member{key.Value, pos, child})
	}
	for _, m := range merged {
		if !have[m.Key] {
			have[m.Key] = true
			own = append(own, m)
		}
	}
	return own
}

// mergedMembers returns the members of a map, or of the maps of a list.
func mergedMembers(n *Node) []Member {
	all := n.Members
	for _, item := range n.Items {
		all = append(all, item.Members...)
	}
	return all
}

func yamlScalar(y *yaml.Node) (Kind, string) {
	switch y.ShortTag() {
	case "!!null":
		return Null, ""
	case "!!bool":
		return Bool, strings.ToLower(y.Value)
	case "!!int", "!!float":
		return Number, y.Value
	default:
		return Text, y.Value
	}
}
