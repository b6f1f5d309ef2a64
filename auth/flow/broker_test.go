package flow_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/auth/flow"
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
