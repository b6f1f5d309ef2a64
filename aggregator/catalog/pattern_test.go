package catalog

import (
	"strings"
	"testing"
)

func TestPattern(t *testing.T) {
	tests := []struct {
		template string
		yes, no  []string
	}{
		{"x://a", []string{"x://a", "x://%61"}, []string{"x://ab", "x://", "y://a"}},
		{"x://{a}/b", []string{"x://1/b", "x:///b", "x://1%2F2/b", "x://a,b/b"}, []string{"x://1/2/b", "x://1?q/b", "x://1/b/"}},
		{"x://{a}-{b}", []string{"x://1-2", "x://1-2-3"}, []string{"x://12"}},
		{"x://{+a}/b", []string{"x://1/2/b", "x://?/b"}, []string{"x://1/2/c"}},
		{"x://a{#f}", []string{"x://a", "x://a#s/t"}, []string{"x://a/t"}},
		{"x://a{.e}", []string{"x://a", "x://a.md"}, []string{"x://amd"}},
		{"x://a{/p*}", []string{"x://a", "x://a/b/c"}, []string{"x://ab"}},
		{"x://a{;m,n}", []string{"x://a", "x://a;m=1;n"}, []string{"x://a/;m"}},
		{"x://a{?p,q}", []string{"x://a", "x://a?p=1", "x://a?q=1&p=2", "x://a?q"}, []string{"x://a?r=1", "x://a?", "x://a?p=1&r"}},
		{"x://a{?p*}", []string{"x://a?any=1&other=2"}, []string{"x://ab"}},
		{"x://a?f=1{&p}", []string{"x://a?f=1", "x://a?f=1&p=2"}, []string{"x://a?f=1&q=2", "x://a"}},
		{"x://{a:3}", []string{"x://abc", "x://abcd"}, []string{"x://a/b"}},
		{"x://{a*}", []string{"x://a,b"}, []string{"x://a/b"}},
		{"x://é/{a.b}", []string{"x://é/1", "x://%c3%a9/1", "x://%C3%A9/%e2%82%ac"}, []string{"x://e/1"}},
		{"x://a.b+(c)/{d}", []string{"x://a.b+(c)/1"}, []string{"x://aXb+(c)/1", "x://a.bb(c)/1"}},
		{"{+all}", []string{"", "anything://x\ny"}, nil},
	}
	for _, tt := range tests {
		p, err := parsePattern(tt.template)
		if err != nil {
			t.Errorf("parsePattern(%q): %v", tt.template, err)
			continue
		}
		for _, uri := range tt.yes {
			if !p.match(normalize(uri)) {
				t.Errorf("%q does not match %q", tt.template, uri)
			}
		}
		for _, uri := range tt.no {
			if p.match(normalize(uri)) {
				t.Errorf("%q matches %q", tt.template, uri)
			}
		}
	}
}

func TestBadPatterns(t *testing.T) {
	bad := []string{
		"{", "}", "x{a", "x}a", "{}", "{a{b}}", "{a,}", "{=a}", "{!a}", "{a b}", "{a:}", "{a:x}", "{a:99999}", "{+}",
		strings.Repeat("{a}", maxExpressions+1), strings.Repeat("x", maxTemplate+1),
	}
	for _, template := range bad {
		if _, err := parsePattern(template); err == nil {
			t.Errorf("parsePattern(%.20q) succeeded", template)
		}
	}
	p, err := parsePattern("x://{+a}")
	if err != nil || p.match("x://"+strings.Repeat("y", maxMatched)) {
		t.Errorf("a URI beyond the limit is matched: %v", err)
	}
}

func TestNormalize(t *testing.T) {
	for uri, want := range map[string]string{
		"x://%61%2f%7e":   "x://a%2F~",
		"x://%c3%A9é":     "x://%C3%A9%C3%A9",
		"x:// \x00\x7f\n": "x://%20%00%7F%0A",
		"x://%":           "x://%",
		"x://%2":          "x://%2",
		"x://%zz%2541":    "x://%zz%2541",
		"X://Host/Path":   "X://Host/Path",
		"x://\xff":        "x://%FF",
	} {
		got := normalize(uri)
		if got != want {
			t.Errorf("normalize(%q) = %q, want %q", uri, got, want)
		}
	}
}

func TestRoots(t *testing.T) {
	for uri, want := range map[string]string{
		"ui://App/main.html": "ui://app", "ui://app": "ui://app", "ui://app?x": "ui://app", "memo:///x": "memo://",
		"file:///x": "", "https://h/x": "", "urn:a:b": "", "//h/x": "", "1x://h": "", "x": "", "": "", "x y://h": "",
	} {
		if got := affinityRoot(uri); got != want {
			t.Errorf("affinityRoot(%q) = %q, want %q", uri, got, want)
		}
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("repo://{owner}/{name}/contents{/path*}", "repo://a/b/contents/c")
	f.Add("x://é{?a,b}{&c}", "x://%C3%A9?b=1")
	f.Add("{+a}{#b}{.c}{;d}", "%")
	f.Fuzz(func(t *testing.T, template, uri string) {
		p, err := parsePattern(template)
		if err != nil {
			return
		}
		key := normalize(uri)
		if p.match(key) && !strings.HasPrefix(key, p.prefix) {
			t.Errorf("%q matches %q without its prefix", template, uri)
		}
		if p.syntax != "" && p.match(p.prefix) && p.compiled == nil {
			t.Errorf("%q: %q does not compile", template, p.syntax)
		}
		if !strings.Contains(template, "{") && !p.match(normalize(template)) && len(template) <= maxTemplate {
			t.Errorf("%q does not match itself", template)
		}
	})
}

func FuzzURI(f *testing.F) {
	f.Add("ui://app/%7Emain%2fx")
	f.Add("x+y.z:é %")
	f.Fuzz(func(t *testing.T, uri string) {
		once := normalize(uri)
		if root, rest := splitRoot(uri); root+rest != uri {
			t.Errorf("splitRoot(%q) = %q, %q", uri, root, rest)
		}
		if strings.ContainsFunc(once, unprintable) {
			t.Errorf("normalize(%q) = %q", uri, once)
		}
		if strings.HasPrefix(uri, "ui://") && !strings.HasPrefix(aliasURI("b", uri), "ui://b+") {
			t.Errorf("aliasURI = %q", aliasURI("b", uri))
		}
	})
}
