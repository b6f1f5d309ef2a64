package config_test

import (
	"testing"

	"github.com/plait-mcp/plait/config"
)

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		match, folded bool
	}{
		{"get_*", "get_issue", true, true},
		{"get_*", "Get_issue", false, true},
		{"get_*", "forget_it", false, false},
		{"*", "", true, true},
		{"*", "a/b", true, true},
		{"file:///*.md", "file:///a/b/c.md", true, true},
		{"file:///?/b", "file:///a/b", true, true},
		{"a?b", "a/b", true, true},
		{"[a-c]x", "bx", true, true},
		{"[a-c]x", "Bx", false, true},
		{"[!a-c]x", "bx", false, false},
		{"{get,list}_*", "list_issues", true, true},
		{"{get,list}_*", "delete_issues", false, false},
		{`a\*`, "a*", true, true},
		{`a\*`, "ab", false, false},
		{"delete_*", "ｄｅｌｅｔｅ_all", false, true},
		{"delete_*", "delete\u200b_all", false, true},
		{"*_straße", "die_STRASSE", false, true},
		{"STRASSE", "straße", false, true},
		{"[", "[", false, false},
	} {
		g := config.Glob{Text: tt.pattern}
		if got := g.Match(tt.name); got != tt.match {
			t.Errorf("%q.Match(%q) = %t", tt.pattern, tt.name, got)
		}
		if got := g.MatchFold(tt.name); got != tt.folded {
			t.Errorf("%q.MatchFold(%q) = %t", tt.pattern, tt.name, got)
		}
	}
}
