package flow_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plait-mcp/plait/auth/flow"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

// hung bounds what would otherwise wait for ever.
const hung = 30 * time.Second

// leaderRole is the variable that makes this test binary a process that begins a sign-in in the folder of its value,
// prints the address of its answer, and waits to be killed.
const leaderRole = "PLAIT_TEST_LEADER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(leaderRole); dir != "" {
		lead(dir)
	}
	goleak.VerifyTestMain(m)
}

func lead(dir string) {
	s, err := store.Open(store.Options{Credentials: config.Credentials{Store: "file", Path: dir}})
	if err != nil {
		panic(err)
	}
	b := flow.NewBroker(context.Background(), flow.Options{Store: s})
	uri, err := b.RedirectURI(context.Background(), flow.Redirect{AnyPort: true})
	if err != nil {
		panic(err)
	}
	p := &flow.Pending{State: flow.NewState(), Verifier: "verifier-work", RedirectURI: uri, Identity: "work", GrantKey: "grant-work", AuthorizeURL: issuer}
	if _, err := b.Begin(context.Background(), p); err != nil {
		panic(err)
	}
	fmt.Fprintln(os.Stdout, answer(p, "code", "c"))
	select {}
}

// issuer is the authorization server of all sign-ins here; nobody asks it.
const issuer = "https://login.example.com/tenant"

// rig is one plait process: a store on disk that it may share with others, and a broker.
type rig struct {
	tb     testing.TB
	dir    string
	store  *store.Store
	broker *flow.Broker

	mu    sync.Mutex
	codes []string // what was exchanged
	fail  error    // what Finish returns
}

func newRig(tb testing.TB, callback config.Callback) *rig {
	tb.Helper()
	return newSibling(tb, filepath.Join(tb.TempDir(), "auth"), callback)
}

// newSibling returns another process with the same store.
func newSibling(tb testing.TB, dir string, callback config.Callback) *rig {
	tb.Helper()
	r := &rig{tb: tb, dir: dir}
	var err error
	r.store, err = store.Open(store.Options{Credentials: config.Credentials{Store: "file", Path: dir}})
	if err != nil {
		tb.Fatal(err)
	}
	r.broker = flow.NewBroker(tb.Context(), flow.Options{Store: r.store, Callback: callback, Finish: r.finish})
	tb.Cleanup(func() {
		r.broker.Close()
		r.store.Close()
	})
	return r
}

func (r *rig) finish(_ context.Context, p *flow.Pending, code string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.codes = append(r.codes, p.Identity+" "+p.Verifier+" "+code)
	return r.fail
}

func (r *rig) exchanged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.codes, ", ")
}

// pending returns a sign-in that can be begun.
func (r *rig) pending(identity string) *flow.Pending {
	r.tb.Helper()
	uri, err := r.broker.RedirectURI(r.tb.Context(), flow.Redirect{AnyPort: true})
	if err != nil {
		r.tb.Fatal(err)
	}
	state := flow.NewState()
	return &flow.Pending{
		State: state, Verifier: "verifier-" + identity, RedirectURI: uri, Issuer: issuer, GrantKey: "grant-" + identity,
		AuthorizeURL: issuer + "/authorize?" + url.Values{"state": {state}, "redirect_uri": {uri}}.Encode(),
		Identity:     identity, Servers: []string{identity + "-server"}, Scopes: []string{"read", "write"}, AuthServer: "login.example.com",
	}
}

func (r *rig) begin(p *flow.Pending) *flow.Flow {
	r.tb.Helper()
	f, err := r.broker.Begin(r.tb.Context(), p)
	if err != nil {
		r.tb.Fatal(err)
	}
	return f
}

// wait waits until a flow has ended.
func wait(tb testing.TB, f *flow.Flow) error {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), hung)
	defer cancel()
	return f.Wait(ctx)
}

// answer returns the address of an answer with the state of p and the given pairs of parameters.
func answer(p *flow.Pending, pairs ...string) string {
	q := url.Values{"state": {p.State}}
	for i := 0; i < len(pairs); i += 2 {
		q.Add(pairs[i], pairs[i+1])
	}
	return p.RedirectURI + "?" + q.Encode()
}

// reply is what a browser got.
type reply struct {
	status int
	header http.Header
	body   string
}

// visit goes to a page as a browser does, without following redirects.
func visit(tb testing.TB, address string, change ...func(*http.Request)) reply {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, address, nil)
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Dest", "document")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	for _, c := range change {
		c(req)
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       hung,
	}
	resp, err := client.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return reply{status: resp.StatusCode, header: resp.Header, body: string(body)}
}
