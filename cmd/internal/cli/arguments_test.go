package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/config"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

func TestArguments(t *testing.T) {
	schema := jsonrpc.Raw(`{"type":"object","properties":{
		"text":{"type":"string"},"count":{"type":"integer"},"deep":{"type":["array","null"]},"both":{"type":["number","string"]},
		"any":{},"either":{"anyOf":[{"type":"integer"},{"type":"boolean"}]},"choice":{"enum":["1","2"]},"level":{"enum":[1,2]}}}`)
	for _, c := range []struct {
		words, in, want, wantErr string
	}{
		{words: "", want: `{}`},
		{words: "text=5", want: `{"text":"5"}`},
		{words: "text=", want: `{"text":""}`},
		{words: "text=a=b", want: `{"text":"a=b"}`},
		{words: "count=5", want: `{"count":5}`},
		{words: "count=9007199254740993", want: `{"count":9007199254740993}`},
		{words: "count=five", want: `{"count":"five"}`},
		{words: "deep=[1,{}]", want: `{"deep":[1,{}]}`},
		{words: "both=5 any=5 unknown=5", want: `{"both":"5","any":"5","unknown":"5"}`},
		{words: "either=true choice=1 level=1", want: `{"either":true,"choice":"1","level":1}`},
		{words: `{"count":"x"}`, want: `{"count":"x"}`},
		{words: "-", in: ` {"a": 1} `, want: `{"a": 1}`},
		{words: "-", in: `5`, wantErr: "standard input holds no JSON object"},
		{words: `{"a":`, wantErr: "not valid JSON"},
		{words: "text", wantErr: `"text" is no argument`},
		{words: "text=1 text=2", wantErr: `"text" is there twice`},
	} {
		a, err := readArguments(strings.NewReader(c.in), strings.Fields(c.words))
		if err != nil || c.wantErr != "" {
			if err == nil || c.wantErr == "" || !strings.Contains(err.Error(), c.wantErr) || exitCode(err) != exitUsage {
				t.Errorf("%q: error %v, want a usage error with %q", c.words, err, c.wantErr)
			}
			continue
		}
		if got := string(a.encode(schema)); got != c.want {
			t.Errorf("%q: %s, want %s", c.words, got, c.want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	names := []string{"github_search_issues", "github_get_issue", "notes_search", "desk_sum"}
	for word, want := range map[string]string{
		"github_serch_issues": "; did you mean github_search_issues?",
		"search":              "; did you mean notes_search or github_search_issues?",
		"desk_Sum":            "; did you mean desk_sum?",
		"weather":             "",
	} {
		if got := didYouMean(word, names); got != want {
			t.Errorf("didYouMean(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestLoggingTakesFlagThenVariableThenFile(t *testing.T) {
	file := config.Log{Level: "info", Format: "json", File: "/a.log"}
	variable := map[string]string{}
	a := &app{env: Env{LookupEnv: func(name string) (string, bool) { v, ok := variable[name]; return v, ok }}}
	check := func(want logging) {
		t.Helper()
		if d := cmp.Diff(want, a.logging(file), cmp.AllowUnexported(logging{})); d != "" {
			t.Errorf("logging (-want +got):\n%s", d)
		}
	}
	check(logging{"info", "json", "/a.log"})
	variable["PLAIT_LOG"] = "debug"
	check(logging{"debug", "json", "/a.log"})
	a.logLevel, a.logFile = "trace", "/b.log"
	check(logging{"trace", "json", "/b.log"})
}
