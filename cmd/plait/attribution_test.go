package main_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// Each client has so many calls in flight; two of them have the same tokens of progress but for their type.
var attributionTokens = []any{1, "1", 2, "2"}

const attributionClients = 50

// TestAttribution has 50 clients at once use the same servers, with questions, progress, log messages, updates and
// cancellation, while others guess their ids: all that a client gets is about its own calls, on their own streams, and
// it gets it once. PLAIT_TEST_ATTRIBUTION is how many calls they make together.
func TestAttribution(t *testing.T) {
	t.Parallel()
	short(t)
	calls, err := strconv.Atoi(os.Getenv("PLAIT_TEST_ATTRIBUTION"))
	if err != nil {
		calls = 1000
	}
	web, webURL := serveTeller(t, "web")
	_, commonURL := serveTeller(t, "common")
	pipe := tellerEntry("pipe")
	pipe["shared"] = true
	base, _ := listen(t, nil, "serve", "--stdio=false", "--http", "127.0.0.1:0", "--config", configFile(t, map[string]any{
		"web":    map[string]any{"url": webURL},
		"common": map[string]any{"url": commonURL, "shared": true},
		"child":  tellerEntry("child"),
		"pipe":   pipe,
	}))
	var all sync.WaitGroup
	pals := make([]*pal, attributionClients)
	for i := range pals {
		pals[i] = newPal()
		wire := "http"
		if i%5 == 0 {
			wire = "sse"
		}
		all.Go(func() {
			pals[i].comesIn(t, base, wire)
			pals[i].moveIn(t)
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	stop := make(chan struct{})
	var others sync.WaitGroup
	for range 2 {
		others.Go(func() { newRogue(t, base, pals).run(stop) })
	}
	for _, p := range pals {
		for worker, token := range attributionTokens {
			all.Go(func() {
				for i := worker; i < calls/len(pals); i += len(attributionTokens) {
					p.errand(t, i, token)
				}
			})
		}
	}
	all.Wait()
	close(stop)
	others.Wait()
	for _, p := range pals {
		all.Go(func() { p.sumUp(t, calls/len(pals)) })
	}
	all.Wait()
	until(t, "the server to hear of all cancelled calls", func() bool {
		web.mu.Lock()
		defer web.mu.Unlock()
		return len(web.gone) >= attributionClients*len(cancelled("web", calls/len(pals)))
	})
	for _, p := range pals {
		for _, wrong := range p.wrong {
			t.Error(wrong)
		}
		if err := p.session.Close(); err != nil {
			t.Error(err)
		}
	}
	web.mu.Lock()
	defer web.mu.Unlock()
	for mark, n := range web.gone {
		if n != 1 {
			t.Errorf("call %s was cancelled %d times", mark, n)
		}
	}
}

// room is the resource of a server that a client subscribes to: a shared server has one for each.
func (p *pal) room(server string) string {
	if server == "web" || server == "child" {
		return server + "://rooms/all"
	}
	return server + "://rooms/" + p.name
}

var attributionServers = []string{"web", "child", "common", "pipe"}

// moveIn subscribes to a room of each server, and waits until news of it come.
func (p *pal) moveIn(t *testing.T) {
	t.Helper()
	for _, server := range attributionServers {
		if err := p.session.Subscribe(t.Context(), &sdk.SubscribeParams{URI: p.room(server)}); err != nil {
			t.Errorf("%s: %v", server, err)
			return
		}
		warm := p.mark("warm" + server)
		until(t, "news of "+server, func() bool {
			_, err := p.tell(t.Context(), server, 1, errand{Mark: warm, Update: p.room(server)})
			return err == nil && p.count("update "+warm) > 0
		})
	}
}

// plan is what a client does with its call number i.
func (p *pal) plan(i int) (server string, e errand) {
	server = []string{"web", "web", "web", "child", "common", "web", "web", "common", "child", "pipe"}[i%10]
	e = errand{Mark: p.mark(i), Ask: []string{"sampling", "elicitation", "roots", ""}[i/3%4]}
	switch {
	case i%20 == 6:
		return server, errand{Mark: e.Mark, Wait: true}
	case i%4 == 1:
		e.Update = p.room(server)
	}
	return server, e
}

// cancelled returns the numbers of the calls of a server that are cancelled, of so many.
func cancelled(of string, calls int) (all []int) {
	for i := range calls {
		if server, e := (&pal{}).plan(i); server == of && e.Wait {
			all = append(all, i)
		}
	}
	return all
}

// errand makes call number i.
func (p *pal) errand(t *testing.T, i int, token any) {
	t.Helper()
	server, e := p.plan(i)
	ctx, cancel := context.WithTimeoutCause(t.Context(), hung, errors.New("it hangs"))
	defer cancel()
	if e.Wait {
		ended := make(chan error, 1)
		go func() {
			_, err := p.tell(ctx, server, token, e)
			ended <- err
		}()
		until(t, "progress of "+e.Mark, func() bool { return p.count("progress "+e.Mark) > 0 })
		cancel()
		<-ended
		return
	}
	got, err := p.tell(ctx, server, token, e)
	want := fmt.Sprintf("%s heard %s", e.Mark, p.heard(server, e))
	if err != nil || got != want {
		p.blame("%s answers %q %v, want %q", server, got, err, want)
	}
}

// heard is what a server hears that asks the client: a shared one may not.
func (p *pal) heard(server string, e errand) string {
	switch {
	case e.Ask == "":
		return "nothing"
	case server == "common" || server == "pipe":
		return "no"
	case e.Ask == "roots":
		return p.name
	default:
		return p.says(e.Mark)
	}
}

// sumUp expects everything to have come, once.
func (p *pal) sumUp(t *testing.T, calls int) {
	t.Helper()
	for _, server := range attributionServers { // what is said to all comes in order: this is the last of it
		last := p.mark("last" + server)
		if _, err := p.tell(t.Context(), server, 1, errand{Mark: last, Update: p.room(server)}); err != nil {
			t.Error(err)
		}
		until(t, "the last news of "+server, func() bool { return p.count("update "+last) > 0 })
	}
	for i := range calls {
		server, e := p.plan(i)
		if e.Wait {
			continue
		}
		want := map[string]int{"progress": 2, "answer": 1, "log": 1, "sampling": 0, "elicitation": 0, "roots": 0, "update": 0}
		if e.Ask != "" && p.heard(server, e) != "no" {
			want[e.Ask] = 1
		}
		if e.Update != "" {
			want["update"] = 1
		}
		if server == "pipe" {
			delete(want, "log") // nobody knows whose it is
		}
		for kind, n := range want {
			if got := p.count(kind + " " + e.Mark); got != n {
				p.blame("%d times %s of %s of %s, want %d", got, kind, e.Mark, server, n)
			}
		}
	}
}
