package catalog_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/aggregator/catalog"
	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

var (
	valid  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)
	hashed = regexp.MustCompile(`_[a-z2-7]{6}$`)
)

// T17 as decided in 0.0: where one prefix begins like another, the shorter one's names that enter the longer
// one's are hashed, whoever is there.
func TestT17JoinCollision(t *testing.T) {
	hashedName := ""
	for _, order := range [][]string{{"a", "a_b"}, {"a_b", "a"}} {
		both := servers(order...).tools("a", "b_c", "B_C", "bc").tools("a_b", "c")
		alone := servers(order...).tools("a", "b_c", "B_C", "bc")
		c := both.build()
		for e := range c.Entries(catalog.Tools) {
			switch e.Name {
			case "c", "bc":
				if e.Exposed != e.Server+"_"+e.Name {
					t.Errorf("%+v, want it unchanged", e)
				}
			default:
				if !hashed.MatchString(e.Exposed) || !strings.HasPrefix(strings.ToLower(e.Exposed), "a_b_c_") {
					t.Errorf("%+v, want it hashed", e)
				}
			}
			if e.Name == "b_c" && hashedName == "" {
				hashedName = e.Exposed
			}
			if e.Name == "b_c" && e.Exposed != hashedName {
				t.Errorf("%s in one order, %s in the other", hashedName, e.Exposed)
			}
		}
		checkTools(t, c)
		if e, err := alone.build().Tool(hashedName); err != nil || e.Name != "b_c" {
			t.Errorf("without a_b: Tool(%s) = %+v, %v", hashedName, e, err)
		}
	}
}

func TestPrefixesThatTouch(t *testing.T) {
	tests := []struct {
		name    string
		world   *world
		want    []string // in list order, "#" for a hash
		comment string
	}{
		{"unprefixed beside prefixed", servers("a", "b=").tools("a", "x").tools("b", "a_x", "A_y", "ax", "x"), []string{"a_x", "a_x_#", "A_y_#", "ax", "x"}, ""},
		{"same prefix", servers("a=p", "b=p").tools("a", "x").tools("b", "x", "y"), []string{"p_x", "p_x_#", "p_y_#"}, ""},
		{"same prefix in another case", servers("a=P", "b=p").tools("a", "x").tools("b", "x"), []string{"P_x", "p_x_#"}, ""},
		{"two unprefixed", servers("a=", "b=").tools("a", "x").tools("b", "y"), []string{"x", "y_#"}, ""},
		{"dotted prefix", servers("a.b", "c").tools("a.b", "x"), []string{"a_b_x"}, ""},
		{"digits in front", servers("a=", "c").tools("a", "1x", "_x", "x1"), []string{"t_1x_#", "t__x_#", "x1"}, ""},
		{"digits in a prefix", servers("9a", "c").tools("9a", "x"), []string{"t_9a_x"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.world.build()
			got := exposed(c, catalog.Tools)
			for i := range got {
				if i < len(tt.want) && strings.HasSuffix(tt.want[i], "#") {
					got[i] = hashed.ReplaceAllString(got[i], "_#")
				}
			}
			wantStrings(t, "tools", got, tt.want...)
			checkTools(t, c)
			if len(c.Warnings()) > 0 {
				t.Errorf("warnings: %v", c.Warnings())
			}
		})
	}
}

func TestSeparatorsAndLimits(t *testing.T) {
	w := servers("a", "b").tools("a", "get_thing", strings.Repeat("x", 30))
	w.naming = config.Naming{Separator: "__", MaxLength: 16}
	names := exposed(w.build(), catalog.Tools)
	if names[0] != "a__get_thing" || len(names[1]) != 16 || !hashed.MatchString(names[1]) {
		t.Errorf("names: %v", names)
	}
	w.naming = config.Naming{}
	if got := exposed(w.build(), catalog.Tools); got[0] != "a_get_thing" {
		t.Errorf("zero naming: %v", got)
	}
	if got := w.namer().Prefix("a"); got != "a_" {
		t.Errorf("Prefix(a) = %q", got)
	}
}

// T18: a long name is cut and hashed the same way whenever, and keeps the original as its title.
func TestT18LongName(t *testing.T) {
	long := strings.Repeat("very_long_", 10)
	w := servers("a", "b").tools("a", long)
	first := exposed(w.build(), catalog.Tools)[0]
	again := exposed(servers("c", "a").tools("a", "other", long).tools("c", long).build(), catalog.Tools)
	if len(first) > 48 || !valid.MatchString(first) || !hashed.MatchString(first) || !slices.Contains(again, first) {
		t.Errorf("exposed %q, later %q", first, again)
	}
	c := w.build()
	if title, _ := jsonrpc.GetString(jsonrpc.Raw(listed(t, c, catalog.Tools)[0]), "title"); title != long {
		t.Errorf("title %q", title)
	}
	if e, err := c.Tool(first); err != nil || e.Name != long {
		t.Errorf("Tool = %+v, %v", e, err)
	}
}

func TestTitleOfHashedTools(t *testing.T) {
	accents := strings.Repeat("é", 200)
	c := servers("a", "b").rawTools("a",
		`{"name":"x.1","inputSchema":{"type":"object"},"title":""}`,
		`{"name":"x.2","inputSchema":{"type":"object"},"annotations":{"title":"T"}}`,
		`{"name":"x.3","inputSchema":{"type":"object"},"title":null}`,
		`{"name":"`+accents+`","inputSchema":{"type":"object"}}`,
	).build()
	var titles []string
	for _, item := range listed(t, c, catalog.Tools) {
		title, ok := jsonrpc.Get(jsonrpc.Raw(item), "title")
		if !ok {
			title = jsonrpc.Raw("none")
		}
		titles = append(titles, string(title))
	}
	wantStrings(t, "titles", titles, `""`, `none`, `"x.3"`, `"`+accents[:256]+`"`)
}

// T19: names that look alike when sanitised.
func TestT19SanitiseCollision(t *testing.T) {
	names := []string{"x.y", "x_y", "x/y", "x\u200by", "хy"}
	c := servers("a", "b").tools("a", names...).build()
	got := map[string]string{}
	for e := range c.Entries(catalog.Tools) {
		got[e.Name] = e.Exposed
		if e.Name != "x_y" && !hashed.MatchString(e.Exposed) || !valid.MatchString(e.Exposed) {
			t.Errorf("%q is exposed as %q", e.Name, e.Exposed)
		}
	}
	if got["x_y"] != "a_x_y" || len(got) != len(names) {
		t.Errorf("exposed: %v", got)
	}
	checkTools(t, c)
}

// T20: names differ even when case is ignored, and not by the order of the list.
func TestT20CaseFold(t *testing.T) {
	for _, names := range [][]string{{"Get", "get", "GET"}, {"get", "GET", "Get"}} {
		c := servers("a", "b").tools("a", names...).build()
		seen := map[string]bool{}
		for e := range c.Entries(catalog.Tools) {
			seen[strings.ToLower(e.Exposed)] = true
			if (e.Name == "get") != (e.Exposed == "a_get") {
				t.Errorf("%s is exposed as %s", e.Name, e.Exposed)
			}
		}
		if len(seen) != 3 {
			t.Errorf("names: %v", exposed(c, catalog.Tools))
		}
		checkTools(t, c)
	}
	if got := exposed(servers("a", "b").tools("a", "Get").build(), catalog.Tools); got[0] != "a_Get" {
		t.Errorf("alone: %v", got)
	}
}

// A server that lists what another of its names is hashed to does not get that name's calls.
func TestForgedHashWithinAServer(t *testing.T) {
	first := exposed(servers("a", "b").tools("a", "x.y").build(), catalog.Tools)[0]
	forged := strings.TrimPrefix(first, "a_")
	c := servers("a", "b").tools("a", "x.y", forged).build()
	if e, err := c.Tool(first); err != nil || e.Name != forged {
		t.Errorf("Tool(%s) = %+v, %v", first, e, err)
	}
	if got := len(exposed(c, catalog.Tools)); got != 2 {
		t.Errorf("%d tools", got)
	}
	checkTools(t, c)
}

// A server that lists what another server's name is hashed to takes nothing over: both are renamed.
func TestForgedHashBetweenServers(t *testing.T) {
	victim := exposed(servers("a", "a_b").tools("a", "b_c").build(), catalog.Tools)[0]
	c := servers("a", "a_b").tools("a", "b_c").tools("a_b", strings.TrimPrefix(victim, "a_b_")).build()
	if e, err := c.Tool(victim); err == nil {
		t.Errorf("Tool(%s) = %+v", victim, e)
	}
	if got := exposed(c, catalog.Tools); len(got) != 2 || len(c.Warnings()) != 2 {
		t.Errorf("tools %v, warnings %v", got, c.Warnings())
	}
	checkTools(t, c)
}

// T21: bare names.
func TestT21BareNames(t *testing.T) {
	one := servers("a").tools("a", "t").build()
	if e, err := one.Tool("t"); err != nil || e.Exposed != "a_t" || e.Name != "t" {
		t.Errorf("one server: %+v, %v", e, err)
	}
	w := servers("a", "b", "c").tools("a", "t", "u").tools("b", "t")
	if _, err := w.build().Tool("u"); err == nil {
		t.Error("several servers: a bare name was found")
	}
	w.naming.BareNames = true
	c := w.build()
	if e, err := c.Tool("u"); err != nil || e.Exposed != "a_u" {
		t.Errorf("bareNames: %+v, %v", e, err)
	}
	_, err := c.Tool("t")
	var ambiguous *catalog.AmbiguousError
	if !errors.As(err, &ambiguous) || !strings.Contains(err.Error(), "a_t, b_t") {
		t.Errorf("Tool(t): %v", err)
	}
	_, err = c.Tool("C_x")
	var unknown *catalog.UnknownError
	if !errors.As(err, &unknown) || !slices.Equal(unknown.Servers, []string{"c"}) || err.Error() != "unknown tool: C_x" {
		t.Errorf("Tool(C_x): %v", err)
	}
}

func TestPromptNames(t *testing.T) {
	long := strings.Repeat("p", 60)
	c := servers("a", "b").prompts("a", "p", "x.y", long, long+"qqqq").tools("a", "p").build()
	got := exposed(c, catalog.Prompts)
	if got[0] != "a_p" || !hashed.MatchString(got[1]) || got[2] != "a_"+long || len(got[3]) != 64 {
		t.Errorf("prompts: %v", got)
	}
	if title, _ := jsonrpc.GetString(jsonrpc.Raw(listed(t, c, catalog.Prompts)[1]), "title"); title != "x.y" {
		t.Errorf("title %q", title)
	}
	if e, err := c.Prompt("a_p"); err != nil || e.Name != "p" {
		t.Errorf("Prompt = %+v, %v", e, err)
	}
}
