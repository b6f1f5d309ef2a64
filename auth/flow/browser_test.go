package flow_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/auth/flow"
	"github.com/plait-mcp/plait/auth/flow/flowtest"
	"github.com/plait-mcp/plait/config"
)

// authorize is an authorization server that asks a person one question.
func authorize(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.Header.Get("Referer") != "" {
			t.Errorf("the authorization server was told where the browser comes from")
		}
		link := func(pairs ...string) string {
			a := url.Values{"state": {q.Get("state")}}
			for i := 0; i < len(pairs); i += 2 {
				a.Set(pairs[i], pairs[i+1])
			}
			return q.Get("redirect_uri") + "?" + a.Encode()
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><link rel="icon" href="data:,"><h1>Allow %s?</h1><a id="yes" href="%s">Yes</a> <a id="no" href="%s">No</a>`,
			q.Get("who"), strings.ReplaceAll(link("code", "c-"+q.Get("who"), "iss", q.Get("iss")), "&", "&amp;"),
			strings.ReplaceAll(link("error", "access_denied", "iss", q.Get("iss")), "&", "&amp;"))
	}))
	t.Cleanup(s.Close)
	return s
}

// at has the person of p asked by s.
func at(s *httptest.Server, p *flow.Pending) *flow.Pending {
	p.Issuer, p.AuthServer = s.URL, strings.TrimPrefix(s.URL, "http://")
	p.AuthorizeURL = s.URL + "/authorize?" + url.Values{
		"state": {p.State}, "redirect_uri": {p.RedirectURI}, "iss": {s.URL}, "who": {p.Identity},
	}.Encode()
	return p
}

func TestBrowserConnects(t *testing.T) {
	t.Parallel()
	as, r, b := authorize(t), newRig(t, config.Callback{}), flowtest.Start(t)
	p := at(as, r.pending("work"))
	p.Servers, p.Scopes = []string{"github"}, []string{"repo", "read:org", "workflow", "offline_access", "https://graph.example.com/.default"}
	f := r.begin(p)
	b.Go(f.Link())
	b.AwaitTitle("Sign in to github")
	for _, want := range []string{"github", "work", p.AuthServer, "repo", "read:org", "Continue to " + p.AuthServer} {
		if !strings.Contains(b.Text(), want) {
			t.Errorf("the page does not say %q:\n%s", want, b.Text())
		}
	}
	b.Look("connect")
	b.Click("a.button")
	b.AwaitTitle("Allow work?")
	b.Click("#yes")
	b.AwaitTitle("Signed in to github")
	b.Look("signed-in")
	if err := wait(t, f); err != nil {
		t.Errorf("Wait: %v", err)
	}
	if got := r.exchanged(); got != "work verifier-work c-work" {
		t.Errorf("exchanged %q", got)
	}
	b.Go(f.Link())
	b.AwaitTitle("Signed in to github")
}

func TestBrowserShowsEnds(t *testing.T) {
	t.Parallel()
	as, r, b := authorize(t), newRig(t, config.Callback{}), flowtest.Start(t)
	for _, row := range []struct {
		name, title string
		fail        error
		to          func(*flow.Pending) string
	}{
		{name: "declined", title: "You declined access", to: func(p *flow.Pending) string { return answer(p, "error", "access_denied", "iss", as.URL) }},
		{name: "refused", title: "The sign-in was refused", to: func(p *flow.Pending) string {
			return answer(p, "error", "invalid_scope", "error_description", "the scope admin:everything is not for you <b>", "iss", as.URL)
		}},
		{name: "foreign", title: "The sign-in was stopped", to: func(p *flow.Pending) string { return answer(p, "code", "c", "iss", "https://evil.example") }},
		{
			name: "failed", title: "The sign-in did not work", fail: errors.New("the token endpoint of login.example.com answered 503"),
			to: func(p *flow.Pending) string { return answer(p, "code", "c", "iss", as.URL) },
		},
		{name: "stale", title: "no longer valid", to: func(p *flow.Pending) string { return p.RedirectURI + "?state=nobody&code=c" }},
	} {
		r.mu.Lock()
		r.fail = row.fail
		r.mu.Unlock()
		p := at(as, r.pending(row.name))
		r.begin(p)
		b.Go(row.to(p))
		b.AwaitTitle(row.title)
		b.Look(row.name)
		b.Problems() // that the status is 400 is an error for the browser
	}
}

// TestBrowserSignsInToAll goes through the page of `plait auth login --all` in one tab.
func TestBrowserSignsInToAll(t *testing.T) {
	t.Parallel()
	one, two, r, b := authorize(t), authorize(t), newRig(t, config.Callback{}), flowtest.Start(t)
	var entries []flow.Entry
	var flows []*flow.Flow
	for i, name := range []string{"github-work", "github-personal", "jira"} {
		as := one
		if i == 2 {
			as = two
		}
		p := at(as, r.pending(name))
		f := r.begin(p)
		flows = append(flows, f)
		entries = append(entries, flow.Entry{
			Identity: name, Servers: []string{name + "-server"}, Issuer: as.URL, AuthServer: p.AuthServer, State: flow.Waiting, Flow: f.ID,
		})
	}
	entries = append(entries,
		flow.Entry{Identity: "ci-robot", Servers: []string{"builds", "artifacts"}, Issuer: two.URL, State: flow.Running},
		flow.Entry{Identity: "docs", Servers: []string{"docs"}, State: flow.Unneeded},
		flow.Entry{Identity: "warehouse", Servers: []string{"warehouse"}, Issuer: "https://idp.example.com", AuthServer: "idp.example.com", State: flow.Failed, Detail: "idp.example.com does not register clients. Set clientId."},
	)
	page, err := r.broker.NewPage(t.Context(), entries)
	if err != nil {
		t.Fatal(err)
	}
	b.Go(page.Link())
	b.AwaitTitle("Sign in to your servers")
	b.Look("all-before")
	entries[3].State = flow.SignedIn
	if err := page.Set(t.Context(), entries[3]); err != nil {
		t.Fatal(err)
	}
	b.Await("document.querySelector('[role=status]').textContent.includes('1 of 5')") // without a click
	b.Click("#next")
	b.AwaitTitle("Allow github-work?")
	b.Click("#yes")
	b.AwaitTitle("Sign in to your servers")
	b.Look("all-on")
	b.AwaitTitle("Allow github-personal?") // by itself
	b.Click("#yes")
	b.AwaitTitle("Allow jira?")
	b.Click("#no")
	b.AwaitTitle("Not everything is signed in")
	b.Look("all-after")
	for i, f := range flows {
		var denied *flow.DeniedError
		if err := wait(t, f); (err != nil) != (i == 2) || i == 2 && !errors.As(err, &denied) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if err := page.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
