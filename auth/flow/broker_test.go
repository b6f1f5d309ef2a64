package flow_test

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plait-mcp/plait/auth/flow"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

func TestSignIn(t *testing.T) {
	r := newRig(t, config.Callback{})
	p := r.pending("work")
	f := r.begin(p)
	got := visit(t, answer(p, "code", "c-1", "iss", issuer))
	if got.status != http.StatusOK || !strings.Contains(got.body, "Signed in to work-server") {
		t.Errorf("the page after the sign-in: %d %s", got.status, got.body)
	}
	if err := wait(t, f); err != nil {
		t.Errorf("Wait: %v", err)
	}
	if got := r.exchanged(); got != "work verifier-work c-1" {
		t.Errorf("exchanged %q", got)
	}
}

// TestM13PortHeldBySibling has another process hold the port: it finishes the sign-in, and whoever began it is woken.
func TestM13PortHeldBySibling(t *testing.T) {
	holder := newRig(t, config.Callback{})
	first := holder.pending("first")
	holder.begin(first)
	port := first.Port
	other := newSibling(t, holder.dir, config.Callback{Port: port})
	p := other.pending("second")
	f := other.begin(p)
	if p.Port != port {
		t.Fatalf("the second listens on %d, want %d", p.Port, port)
	}
	if got := visit(t, answer(p, "code", "c-2")); got.status != http.StatusOK {
		t.Errorf("the page after the sign-in: %d", got.status)
	}
	if err := wait(t, f); err != nil {
		t.Errorf("Wait: %v", err)
	}
	if got := holder.exchanged(); got != "second verifier-second c-2" {
		t.Errorf("the holder exchanged %q", got)
	}
	if got := other.exchanged(); got != "" {
		t.Errorf("the one that began exchanged %q", got)
	}
}

// TestM16LeaderDies lets go of the port while another process has joined the sign-in: that one takes the port over and
// finishes it by the address that was given out before.
func TestM16LeaderDies(t *testing.T) {
	leader := newRig(t, config.Callback{})
	p := leader.pending("work")
	leader.begin(p)
	follower := newSibling(t, leader.dir, config.Callback{Port: p.Port})
	f, err := follower.broker.Find(t.Context(), p.GrantKey)
	if err != nil || f == nil {
		t.Fatalf("Find: %v, %v", f, err)
	}
	if f.URL() != p.AuthorizeURL {
		t.Errorf("the follower has another URL")
	}
	leader.broker.Close()
	visitWhenServed(t, answer(p, "code", "c-3"))
	if err := wait(t, f); err != nil {
		t.Errorf("Wait: %v", err)
	}
	if got := follower.exchanged(); got != "work verifier-work c-3" {
		t.Errorf("the follower exchanged %q", got)
	}
}

// TestM16LeaderHasDied joins a sign-in whose process is gone already: its link works when it is shown again.
func TestM16LeaderHasDied(t *testing.T) {
	leader := newRig(t, config.Callback{})
	p := leader.pending("work")
	leader.begin(p)
	leader.broker.Close()
	follower := newSibling(t, leader.dir, config.Callback{Port: p.Port})
	f, err := follower.broker.Find(t.Context(), p.GrantKey)
	if err != nil || f == nil {
		t.Fatalf("Find: %v, %v", f, err)
	}
	if got := visit(t, f.Link()); got.status != http.StatusOK {
		t.Errorf("the page: %d", got.status)
	}
}

// visitWhenServed goes to a page again and again until somebody listens.
func visitWhenServed(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hung)
	defer cancel()
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			return
		}
	}
	t.Fatal("nobody listens")
}

func TestCancel(t *testing.T) {
	r := newRig(t, config.Callback{})
	p := r.pending("work")
	f := r.begin(p)
	if err := f.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, f); !errors.Is(err, flow.ErrCanceled) {
		t.Errorf("Wait: %v", err)
	}
	if got := visit(t, answer(p, "code", "c-4")); got.status != http.StatusBadRequest || r.exchanged() != "" {
		t.Errorf("after Cancel: %d, exchanged %q", got.status, r.exchanged())
	}
}

// TestVisited has a person look at our page, and then go on from there.
func TestVisited(t *testing.T) {
	r := newRig(t, config.Callback{})
	p := r.pending("work")
	f := r.begin(p)
	visit(t, f.Link())
	if f.Visited(t.Context()) {
		t.Error("to look at the page is to go on")
	}
	for range 2 {
		if got := visit(t, f.Link()+"/go"); got.status != http.StatusSeeOther || got.header.Get("Location") != p.AuthorizeURL {
			t.Errorf("on: %d to %s", got.status, got.header.Get("Location"))
		}
		if !f.Visited(t.Context()) {
			t.Error("nobody knows that the person has gone on")
		}
	}
	if got := visit(t, answer(p, "code", "c-5", "iss", issuer)); got.status != http.StatusOK {
		t.Errorf("the page after the sign-in: %d", got.status)
	}
	if err := wait(t, f); err != nil || f.Visited(t.Context()) {
		t.Errorf("Wait: %v, and whether somebody is at it still: %v", err, f.Visited(t.Context()))
	}
}

// TestM15OtherInstanceIsSigningIn finds what another process has begun, and waits for it without a second link.
func TestM15OtherInstanceIsSigningIn(t *testing.T) {
	first := newRig(t, config.Callback{})
	p := first.pending("work")
	f := first.begin(p)
	second := newSibling(t, first.dir, config.Callback{Port: p.Port})
	got, err := second.broker.Find(t.Context(), "grant-work")
	if err != nil || got == nil {
		t.Fatal(got, err)
	}
	if got.Link() != f.Link() || got.URL() != f.URL() || got.PID != os.Getpid() || !got.Created.Equal(p.Created) {
		t.Errorf("another sign-in was found: %s of process %d", got.ID, got.PID)
	}
	if other, err := second.broker.Find(t.Context(), "grant-home"); other != nil || err != nil {
		t.Errorf("for something else: %v, %v", other, err)
	}
	visit(t, answer(p, "code", "c"))
	if err := wait(t, got); err != nil {
		t.Error(err)
	}
	if over, err := second.broker.Find(t.Context(), "grant-work"); over != nil || err != nil {
		t.Errorf("after it has ended: %v, %v", over, err)
	}
}

// TestM17NoCallbackInTime stops waiting before the link ends to be valid: a late click still signs in.
func TestM17NoCallbackInTime(t *testing.T) {
	r := newRig(t, config.Callback{})
	p := r.pending("work")
	f := r.begin(p)
	ctx, cancel := context.WithCancelCause(t.Context())
	late := errors.New("the time of the caller is over")
	cancel(late)
	if err := f.Wait(ctx); !errors.Is(err, late) {
		t.Errorf("Wait: %v", err)
	}
	if again, err := r.broker.Find(t.Context(), p.GrantKey); again != f || err != nil {
		t.Errorf("the sign-in is not under way any more: %v, %v", again, err)
	}
	if got := visit(t, answer(p, "code", "c")); got.status != http.StatusOK {
		t.Errorf("the late answer: %d", got.status)
	}
	if err := wait(t, f); err != nil {
		t.Error(err)
	}
}

// TestM17LinkExpires has the time of a link end.
func TestM17LinkExpires(t *testing.T) {
	r := newRig(t, config.Callback{})
	p := r.pending("work")
	p.Expires = time.Now().Add(300 * time.Millisecond)
	f := r.begin(p)
	if err := wait(t, f); !errors.Is(err, flow.ErrExpired) {
		t.Errorf("Wait: %v", err)
	}
	next := r.pending("home")
	r.begin(next) // holds the port, and sweeps
	if got := visit(t, answer(p, "code", "c")); got.status != http.StatusBadRequest {
		t.Errorf("the late answer: %d", got.status)
	}
	keys, err := r.store.List(t.Context(), store.Pending)
	if err != nil || len(keys) != 1 {
		t.Errorf("the store has %q, %v", keys, err)
	}
}

// TestM16LeaderIsKilled kills the process that holds the port, with -9.
func TestM16LeaderIsKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a process")
	}
	dir := filepath.Join(t.TempDir(), "auth")
	leader := exec.CommandContext(t.Context(), os.Args[0])
	leader.Env = append(os.Environ(), leaderRole+"="+dir)
	stdout, err := leader.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := leader.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		t.Fatal("the leader began nothing")
	}
	address := lines.Text()
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(at.Port())
	if err != nil {
		t.Fatal(err)
	}
	follower := newSibling(t, dir, config.Callback{Port: port})
	f, err := follower.broker.Find(t.Context(), "grant-work")
	if err != nil || f == nil {
		t.Fatal(f, err)
	}
	if f.PID != leader.Process.Pid {
		t.Errorf("begun by %d, want %d", f.PID, leader.Process.Pid)
	}
	_ = leader.Process.Kill()
	_ = leader.Wait()
	visitWhenServed(t, address)
	if err := wait(t, f); err != nil {
		t.Error(err)
	}
	if got := follower.exchanged(); got != "work verifier-work c" {
		t.Errorf("the follower exchanged %q", got)
	}
}

// TestPortIsLetGo ends the listening when no sign-in is under way any more.
func TestPortIsLetGo(t *testing.T) {
	r := newRig(t, config.Callback{})
	p := r.pending("work")
	f := r.begin(p)
	if err := f.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.broker.Close()
	l := occupy(t, "127.0.0.1:"+strconv.Itoa(p.Port))
	l.Close()
	if _, err := r.broker.RedirectURI(t.Context(), flow.Redirect{}); err == nil {
		t.Error("a closed broker listens")
	}
	ctx, cancel := context.WithTimeout(t.Context(), hung)
	defer cancel()
	other := newSibling(t, r.dir, config.Callback{})
	q := other.pending("work")
	open := other.begin(q)
	other.broker.Close()
	if err := open.Wait(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("Wait after Close: %v", err)
	}
}

// TestConnectPage names what is signed in to, and leads on without telling from where.
func TestConnectPage(t *testing.T) {
	r := newRig(t, config.Callback{})
	p := r.pending("work")
	p.Servers = []string{"github", "<b>gists</b>"}
	f := r.begin(p)
	got := visit(t, f.Link())
	safe(t, p, got)
	for _, want := range []string{"Sign in to github and &lt;b&gt;gists&lt;/b&gt;", "login.example.com", "read", "write", f.ID + "/go"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the page has no %q:\n%s", want, got.body)
		}
	}
	lead := visit(t, f.Link()+"/go")
	safe(t, nil, lead)
	if lead.status != http.StatusSeeOther || lead.header.Get("Location") != p.AuthorizeURL {
		t.Errorf("the way on: %d %s", lead.status, lead.header.Get("Location"))
	}
	for _, path := range []string{"/x", "/go/", "/go/x", "/../" + f.ID} {
		if got := visit(t, f.Link()+path); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	unknown := strings.Replace(f.Link(), f.ID, strings.Repeat("0", len(f.ID)), 1)
	if got := visit(t, unknown); got.status != http.StatusNotFound || !strings.Contains(got.body, "no longer valid") {
		t.Errorf("an unknown link: %d", got.status)
	}
	if err := f.Cancel(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{f.Link(), f.Link() + "/go"} {
		if got := visit(t, link); got.status != http.StatusNotFound || got.header.Get("Location") != "" {
			t.Errorf("after Cancel: %d", got.status)
		}
	}
}

// TestPageOfAllByOtherProcess has the process that holds the port show the page of another one, and has it lead on and
// back.
func TestPageOfAllByOtherProcess(t *testing.T) {
	holder := newRig(t, config.Callback{})
	held := holder.pending("held")
	holder.begin(held)
	r := newSibling(t, holder.dir, config.Callback{Port: held.Port})
	one, two := r.pending("one"), r.pending("two")
	flows := []*flow.Flow{r.begin(one), r.begin(two)}
	page, err := r.broker.NewPage(t.Context(), []flow.Entry{
		{Identity: "one", Issuer: issuer, AuthServer: "login.example.com", State: flow.Waiting, Flow: flows[0].ID},
		{Identity: "two", Issuer: issuer, AuthServer: "login.example.com", State: flow.Waiting, Flow: flows[1].ID},
		{Identity: "three", State: flow.Preparing},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := visit(t, page.Link()); got.status != http.StatusOK || !strings.Contains(got.body, "0 of 3 signed in") {
		t.Fatalf("the page: %d %s", got.status, got.body)
	}
	poll := func(site string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Dest", "empty")
			r.Header.Set("Sec-Fetch-Site", site)
		}
	}
	if got := visit(t, page.Link(), poll("same-origin")); got.status != http.StatusOK {
		t.Errorf("our script: %d", got.status)
	}
	if got := visit(t, page.Link(), poll("cross-site")); got.status != http.StatusNotFound {
		t.Errorf("a script of others: %d", got.status)
	}
	if got := visit(t, page.Link()+"/next", poll("same-origin")); got.status != http.StatusNotFound {
		t.Errorf("a script that goes on: %d", got.status)
	}
	if got := visit(t, page.Link()+"/next"); got.header.Get("Location") != one.AuthorizeURL {
		t.Errorf("the first: %d %s", got.status, got.header.Get("Location"))
	}
	back := visit(t, answer(one, "code", "c"))
	at, err := url.Parse(one.RedirectURI)
	if err != nil {
		t.Fatal(err)
	}
	if at, err = at.Parse(back.header.Get("Location")); err != nil || back.status != http.StatusSeeOther {
		t.Fatal(back.status, err)
	}
	got := visit(t, at.String())
	if !strings.Contains(got.body, "Signed in as one. Going on to") || !strings.Contains(got.body, "1 of 3 signed in") {
		t.Errorf("back on the page: %s", got.body)
	}
	if got := visit(t, page.Link()+"/go/"+flows[1].ID); got.header.Get("Location") != two.AuthorizeURL {
		t.Errorf("the second: %d", got.status)
	}
	if got := visit(t, page.Link()+"/go/"+held.ID); got.status != http.StatusSeeOther || strings.Contains(got.header.Get("Location"), "login") {
		t.Errorf("a sign-in that is not on the page: %d %s", got.status, got.header.Get("Location"))
	}
	visit(t, answer(two, "code", "c"))
	if err := page.Set(t.Context(), flow.Entry{Identity: "three", State: flow.Failed, Detail: "it did not answer"}); err != nil {
		t.Fatal(err)
	}
	if got := visit(t, page.Link()); !strings.Contains(got.body, "2 of 3 signed in") || !strings.Contains(got.body, "it did not answer") {
		t.Errorf("at the end: %s", got.body)
	}
	for _, f := range flows {
		if err := wait(t, f); err != nil {
			t.Error(err)
		}
	}
	if err := page.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if got := visit(t, page.Link()); got.status != http.StatusNotFound {
		t.Errorf("after Close: %d", got.status)
	}
}
