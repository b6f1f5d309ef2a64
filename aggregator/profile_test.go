package aggregator

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/upstreamtest"
)

// at opens a client of a profile.
func (s *strand) at(profile string) *client {
	s.t.Helper()
	return s.admit(Visitor{Profile: profile}, latest, allCapabilities)
}

// Each client sees what its profile shows, and can use no more; plain clients see the profile of the configuration.
func TestProfiles(t *testing.T) {
	a := (&upstreamtest.Server{Handle: echo, Results: map[string]string{"tools/list": tools("x", "y"), "resources/list": `{"resources":[{"uri":"r://1","name":"a"}]}`}}).Start(t)
	b := (&upstreamtest.Server{Handle: echo, Results: map[string]string{"tools/list": tools("x"), "resources/list": `{"resources":[{"uri":"r://1","name":"b"}]}`}}).Start(t)
	s := plait(t, `mcpServers: {a: {url: $a}, b: {url: $b}}
profiles: {default: {servers: [b, a], tools: {deny: [y]}}, one: {servers: [b]}, all: {}, ro: {tools: {readOnly: true}}}`, a, b)
	for profile, want := range map[string]string{"": "a_x b_x", "default": "a_x b_x", "one": "b_x", "all": "a_x a_y b_x", "ro": ""} {
		c := s.at(profile)
		equal(t, "profile "+profile, strings.Join(c.listed(), " "), want)
		for _, name := range []string{"a_x", "a_y", "b_x"} {
			if slices.Contains(strings.Fields(want), name) {
				c.result("tools/call", `{"name":"`+name+`"}`)
			} else {
				c.fails("tools/call", `{"name":"`+name+`"}`, jsonrpc.CodeInvalidParams)
			}
		}
	}
	// Who owns a URI that two servers have is a matter of the profile, too.
	for profile, owner := range map[string]*upstreamtest.Server{"all": a, "one": b, "": a} {
		c := s.at(profile)
		c.result("resources/list", "")
		before := len(owner.Received("resources/read"))
		c.result("resources/read", `{"uri":"r://1"}`)
		if got := len(owner.Received("resources/read")); got != before+1 {
			t.Errorf("profile %q reads another's resource", profile)
		}
	}
	if _, err := s.agg.Admit(Visitor{Profile: "none"}, &client{t: t}); err == nil || err.Error() != "there is no such profile; there are all, default, one, ro" {
		t.Errorf("a profile that is not there: %v", err)
	}
	var seen []string
	for _, c := range s.agg.Status().Clients {
		if c.Since.IsZero() {
			t.Errorf("since when is not known of %+v", c)
		}
		if !slices.Contains(seen, c.Profile) {
			seen = append(seen, c.Profile)
		}
	}
	if slices.Sort(seen); strings.Join(seen, " ") != " all default one ro" {
		t.Errorf("the status tells of the profiles %q", seen)
	}
}

// Profiles share what is known of a server, and its connection when that is shared.
func TestProfilesShareServers(t *testing.T) {
	a := (&upstreamtest.Server{Results: map[string]string{"tools/list": tools("x")}}).Start(t)
	dead := (&upstreamtest.Server{Intercept: func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) bool {
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}}).Start(t)
	s := plait(t, `mcpServers: {a: {url: $a, shared: true}, b: {url: $b}}
profiles: {p: {tools: {deny: [x]}}, q: {}}`, a, dead)
	for profile, want := range map[string]string{"": "a_x", "p": "", "q": "a_x"} {
		equal(t, "profile "+profile, strings.Join(s.at(profile).listed(), " "), want)
	}
	if got := len(a.Received("initialize")); got != 1 {
		t.Errorf("the shared server was greeted %d times", got)
	}
	if got := len(dead.Received("initialize")); got != 1 {
		t.Errorf("the server that refuses was tried %d times", got)
	}
}

// A reload is felt by the clients of the profiles that it changes, and by no others. One that is gone says so.
func TestProfilesReload(t *testing.T) {
	a := (&upstreamtest.Server{Handle: echo, Results: map[string]string{"tools/list": tools("x", "y")}}).Start(t)
	b := (&upstreamtest.Server{Handle: echo, Results: map[string]string{"tools/list": tools("x")}}).Start(t)
	const servers = "mcpServers: {a: {url: $a, shared: true}, b: {url: $b}}\nreload: {drain: 30s}\n"
	s := plait(t, servers+"profiles: {p: {}, q: {servers: [a]}, r: {tools: {deny: [x]}}}", a, b)
	plain, p, q, r := s.open(), s.at("p"), s.at("q"), s.at("r")
	for _, c := range []*client{plain, p, q, r} {
		c.listed()
	}
	plan := s.apply(servers+"profiles: {p: {servers: [b]}, q: {servers: [a], tools: {allow: [y]}}, new: {}}", a, b)
	equal(t, "plan", strings.Join(plan.Global, " "), "profiles.new profiles.p profiles.q profiles.r")
	for _, c := range []*client{p, q, r} {
		c.await("notifications/tools/list_changed", 1)
	}
	equal(t, "p", strings.Join(p.listed(), " "), "b_x")
	equal(t, "q", strings.Join(q.listed(), " "), "a_y")
	equal(t, "new", strings.Join(s.at("new").listed(), " "), "a_x a_y b_x")
	e := r.fails("tools/list", "", jsonrpc.CodeInternal)
	equal(t, "r", e.Message, "there is no such profile; there are new, p, q")
	// p has lost the shared server, which goes on for the others.
	q.result("tools/call", `{"name":"a_y"}`)
	plain.result("tools/call", `{"name":"a_x"}`)
	if x, y := len(a.Received("initialize")), len(b.Received("initialize")); x != 1 || y != 4 { // q has no b, new has
		t.Errorf("the servers were greeted %d and %d times", x, y)
	}
	if got := plain.received("notifications/tools/list_changed"); len(got) > 0 {
		t.Error("a client was told of what changed for others")
	}
	// What comes back is as if it had never gone.
	s.apply(servers+"profiles: {r: {servers: [b]}}", a, b)
	r.await("notifications/tools/list_changed", 2)
	equal(t, "r", strings.Join(r.listed(), " "), "b_x")
	p.fails("tools/list", "", jsonrpc.CodeInternal)
}

// What a client that runs elsewhere is told of a sign-in leads nowhere there, and so is no link.
func TestNoLinkForOtherMachines(t *testing.T) {
	t.Parallel()
	front := guard(t, oneOfEach("t"))
	here, elsewhere := Visitor{}, Visitor{Remote: true}
	for _, tt := range []struct {
		name, auth   string
		visitor      Visitor
		capabilities string
		code         int // 0: a result
		link         string
	}{
		{"here", "", here, allCapabilities, -32042, "http://127.0.0.1:"},
		{"here, without links", "", here, noLinks, 0, "http://127.0.0.1:"},
		{"elsewhere", "", elsewhere, allCapabilities, 0, ""},
		{"elsewhere, without links", "", elsewhere, noLinks, 0, ""},
		{"elsewhere, which is reached", ", publicUrl: 'https://plait.example/in'", elsewhere, allCapabilities, -32042, "https://plait.example/in/connect/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k := guardedPlait(t, t.TempDir(), "mcpServers: {a: {url: $a}}\nauth: {callback: {port: 0"+tt.auth+"}, callWait: 0s}\n", front...)
			c := k.admit(tt.visitor, latest, tt.capabilities)
			m := c.call("tools/call", `{"name":"a_t"}`)
			text := string(m.Text().Bytes())
			code := 0
			if m.Error() != nil {
				code = m.Error().Code
			}
			if code != tt.code || !strings.Contains(text, "plait auth login a") {
				t.Errorf("got %s", text)
			}
			if tt.link == "" && (strings.Contains(text, "://") || !strings.Contains(text, "on the machine where plait runs")) || !strings.Contains(text, tt.link) {
				t.Errorf("got %s, want the link %q", text, tt.link)
			}
			needed, err := c.session.SignIn(t.Context(), "a")
			said, _ := json.Marshal(needed) //nolint:errchkjson // strings
			if err != nil || !strings.HasPrefix(needed.URL, tt.link) || tt.link == "" && strings.Contains(string(said)+needed.Text(), "://") {
				t.Errorf("the tool says %s, %s, %v", said, needed.Text(), err)
			}
		})
	}
}
