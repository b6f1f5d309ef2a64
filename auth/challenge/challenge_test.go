package challenge_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/auth/challenge"
)

type params = map[string]string

func one(scheme string, p params) []challenge.Challenge {
	return []challenge.Challenge{{Scheme: scheme, Params: p}}
}

func TestA6WWWAuthenticate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lines []string
		want  []challenge.Challenge
	}{
		"none":         {nil, nil},
		"empty":        {[]string{"", " , ,"}, nil},
		"scheme alone": {[]string{"Bearer"}, one("Bearer", params{})},
		"RFC 9728, section 5.1": {
			[]string{`Bearer resource_metadata="https://resource.example.com/.well-known/oauth-protected-resource"`},
			one("Bearer", params{"resource_metadata": "https://resource.example.com/.well-known/oauth-protected-resource"}),
		},
		"RFC 6750, section 3": {
			[]string{"Bearer realm=\"example\",\r\n error=\"invalid_token\",\n error_description=\"The access token expired\""},
			one("Bearer", params{"realm": "example", "error": "invalid_token", "error_description": "The access token expired"}),
		},
		"names in any case, spaces around equals signs": {
			[]string{`bearer SCOPE = "a b" , Error=invalid_token`}, one("bearer", params{"scope": "a b", "error": "invalid_token"}),
		},
		"commas, escapes and equals signs in quotes": {
			[]string{`Bearer realm="a, Basic b=\"c\"", scope="x=y\\z"`}, one("Bearer", params{"realm": `a, Basic b="c"`, "scope": `x=y\z`}),
		},
		"several in a line": {
			[]string{`Newauth realm="apps", type=1, title="Login to \"apps\"", Basic realm="simple"`},
			[]challenge.Challenge{
				{Scheme: "Newauth", Params: params{"realm": "apps", "type": "1", "title": `Login to "apps"`}},
				{Scheme: "Basic", Params: params{"realm": "simple"}},
			},
		},
		"several lines": {
			[]string{`Negotiate`, `Bearer scope="s"`},
			[]challenge.Challenge{{Scheme: "Negotiate", Params: params{}}, {Scheme: "Bearer", Params: params{"scope": "s"}}},
		},
		"token68": {
			[]string{"Negotiate YII/+a==, Bearer error=x, NTLM TlRM"},
			[]challenge.Challenge{
				{Scheme: "Negotiate", Token68: "YII/+a==", Params: params{}},
				{Scheme: "Bearer", Params: params{"error": "x"}},
				{Scheme: "NTLM", Token68: "TlRM", Params: params{}},
			},
		},
		"a URL without quotes": {
			[]string{`Bearer resource_metadata=https://h/x?a=b, error="invalid_token"`},
			one("Bearer", params{"resource_metadata": "https://h/x?a=b", "error": "invalid_token"}),
		},
		"no commas":               {[]string{`Bearer realm="r" error="e" scope=s`}, one("Bearer", params{"realm": "r", "error": "e", "scope": "s"})},
		"a quote that never ends": {[]string{`Bearer realm="r, error=x`}, one("Bearer", params{"realm": "r, error=x"})},
		"a name twice":            {[]string{`Bearer scope="a", scope="b"`}, one("Bearer", params{"scope": "a"})},
		"an empty value":          {[]string{`Bearer realm="", scope="s"`}, one("Bearer", params{"realm": "", "scope": "s"})},
		"no scheme":               {[]string{`realm="x", Bearer scope="s"`}, one("Bearer", params{"scope": "s"})},
		"what nobody can read":    {[]string{"\"\x00 @ é Bearer ;scope=s"}, one("Bearer", params{"scope": "s"})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(c.want, challenge.Parse(http.Header{"Www-Authenticate": c.lines})); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	header := func(lines ...string) http.Header { return http.Header{"Www-Authenticate": lines} }
	if c, ok := challenge.Bearer(header(`Basic realm="x"`)); ok {
		t.Errorf("%v of Basic", c)
	}
	c, ok := challenge.Bearer(header(`Basic realm="x", bearer error="invalid_token", scope="a  b"`))
	if !ok || c.Code() != "invalid_token" || !reflect.DeepEqual(c.Scopes(), []string{"a", "b"}) || c.ResourceMetadata() != "" {
		t.Errorf("%v, %t", c, ok)
	}
	c, ok = challenge.Bearer(header(`Bearer realm="old"`, `Bearer resource_metadata="https://h/m", scope=" "`))
	if !ok || c.ResourceMetadata() != "https://h/m" || c.Scopes() != nil {
		t.Errorf("%v, %t", c, ok)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`Bearer realm="a\"", scope=b, Negotiate YII==, x`)
	f.Add("Bearer resource_metadata=https://h/x?a=b=, error")
	f.Add("a=\"\\")
	f.Fuzz(func(t *testing.T, line string) {
		all := challenge.Parse(http.Header{"Www-Authenticate": {line}})
		size := 0
		for _, c := range all {
			if c.Scheme == "" || c.Params == nil {
				t.Fatalf("%q: a challenge without a scheme or parameters: %+v", line, c)
			}
			size += len(c.Scheme) + len(c.Token68)
			for name, value := range c.Params {
				size += len(name) + len(value)
				if name != strings.ToLower(name) || name == "" {
					t.Fatalf("%q: name %q", line, name)
				}
			}
		}
		if size > len(line) {
			t.Fatalf("%q: read more than there is: %+v", line, all)
		}
		// Written in the way of RFC 9110, it reads the same.
		var lines []string
		for _, c := range all {
			if c.Token68 != "" && len(c.Params) > 0 {
				t.Skip("no such challenge can be written")
			}
			words := []string{}
			for name, value := range c.Params {
				words = append(words, name+`="`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value)+`"`)
			}
			lines = append(lines, strings.TrimSpace(c.Scheme+" "+c.Token68+strings.Join(words, ", ")))
		}
		if d := cmp.Diff(all, challenge.Parse(http.Header{"Www-Authenticate": lines})); d != "" {
			t.Fatalf("%q read again (-want +got):\n%s", line, d)
		}
	})
}
