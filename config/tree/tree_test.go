package tree_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plait-mcp/plait/config/tree"
)

// TestParse parses the same content in each format: but for the places, the trees are the same.
func TestParse(t *testing.T) {
	want := &tree.Node{Kind: tree.Map, Members: []tree.Member{
		{Key: "b", Value: &tree.Node{Kind: tree.Text, Scalar: "x"}},
		{Key: "a", Value: &tree.Node{Kind: tree.List, Items: []*tree.Node{
			{Kind: tree.Bool, Scalar: "true"}, {Kind: tree.Number, Scalar: "1.50"},
		}}},
		{Key: "m", Value: &tree.Node{Kind: tree.Map, Members: []tree.Member{{Key: "é", Value: &tree.Node{Kind: tree.Text}}}}},
	}}
	for _, tt := range []struct {
		name, data string
		last       tree.Pos // of the key é
	}{
		{"f.yaml", "b: x\na: [true, 1.50]\nm: {é: ''}\n", tree.Pos{File: "f.yaml", Line: 3, Col: 5}},
		{"f.toml", "b = 'x'\na = [true, 1.50]\nm = {\"é\" = ''}\n", tree.Pos{File: "f.toml", Line: 3, Col: 6}},
		{"f.json", "// one\n{\"b\": \"x\",\n\"a\": [true, 1.50],\n\"m\": {\"é\": \"\"},}", tree.Pos{File: "f.json", Line: 4, Col: 7}},
	} {
		got, bad := tree.Parse(tt.name, []byte("\ufeff"+tt.data))
		if len(bad) > 0 {
			t.Fatal(bad)
		}
		if d := cmp.Diff(want, got, cmpopts.IgnoreTypes(tree.Pos{})); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
		if m, ok := got.Find([]string{"m"}); !ok || m.Members[0].Pos != tt.last {
			t.Errorf("%s: the last key stands at %v, want %v", tt.name, m.Members[0].Pos, tt.last)
		}
	}
}
