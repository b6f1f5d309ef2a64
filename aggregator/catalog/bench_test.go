package catalog_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/aggregator/catalog"
)

// hundred is a world of 100 servers with 20 tools, 20 resources and 2 templates each.
func hundred() *world {
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("server%02d", i))
	}
	w := servers(names...)
	for i, name := range names {
		var tools, uris []string
		for j := range 20 {
			tools = append(tools, fmt.Sprintf(
				`{"name":"tool_%02d","description":%q,"inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}}`,
				j, strings.Repeat("what it does ", 25)))
			uris = append(uris, fmt.Sprintf("memo%d://notes/%d", i, j))
		}
		w.rawTools(name, tools...).resources(name, uris...)
		w.templates(name, fmt.Sprintf("memo%d://{a}/b", i), fmt.Sprintf("shared://%d/{a}", i))
	}
	return w
}

// fragments prepares all lists of a world.
func (w *world) fragments(n *catalog.Namer) []*catalog.Fragment {
	var all []*catalog.Fragment
	for _, s := range w.servers {
		all = append(all, n.Fragment(s.Name, w.lists[s.Name]))
	}
	return all
}

// BenchmarkFragment prepares the lists of one server: 20 tools, 20 resources.
func BenchmarkFragment(b *testing.B) {
	w := hundred()
	n := w.namer()
	b.ReportAllocs()
	for b.Loop() {
		n.Fragment("server00", w.lists["server00"])
	}
}

// BenchmarkBuild2000 is what a change of one of 100 servers costs: its fragment is new, the others are there.
func BenchmarkBuild2000(b *testing.B) {
	w := hundred()
	n := w.namer()
	all := w.fragments(n)
	pins := catalog.Build(n, all, nil).Pins()
	b.ReportAllocs()
	for b.Loop() {
		all[50] = n.Fragment("server50", w.lists["server50"])
		catalog.Build(n, all, pins)
	}
}

// BenchmarkBuildFirst2000 is the same from nothing.
func BenchmarkBuildFirst2000(b *testing.B) {
	w := hundred()
	n := w.namer()
	b.ReportAllocs()
	for b.Loop() {
		catalog.Build(n, w.fragments(n), nil)
	}
}

// BenchmarkToolLookup finds one of 2,000 tools.
func BenchmarkToolLookup(b *testing.B) {
	w := hundred()
	c := w.build()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Tool("server73_tool_13"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkToolsList2000 serves the list of 2,000 tools: made once, then from memory.
func BenchmarkToolsList2000(b *testing.B) {
	w := hundred()
	n := w.namer()
	all := w.fragments(n)
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			c := catalog.Build(n, all, nil)
			b.StartTimer()
			b.SetBytes(int64(len(c.List(catalog.Tools))))
		}
	})
	b.Run("again", func(b *testing.B) {
		c := catalog.Build(n, all, nil)
		b.ReportAllocs()
		for b.Loop() {
			c.List(catalog.Tools)
		}
	})
}

// BenchmarkResourceLookup finds one of 2,000 resources, and one that only a template of 200 has.
func BenchmarkResourceLookup(b *testing.B) {
	w := hundred()
	c := w.build()
	for name, uri := range map[string]string{"listed": "memo73://notes/13", "template": "shared://73/x"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if c.Resource(uri).Step == catalog.Nowhere {
					b.Fatal("not found")
				}
			}
		})
	}
}
