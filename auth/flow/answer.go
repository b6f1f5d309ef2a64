package flow

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/plait-mcp/plait/auth/store"
)

// oddities are requests that no browser of a person makes.
type oddities struct {
	count atomic.Int64
	told  sync.Once
}

// answer answers a request that came in on a port.
func (b *Broker) answer(ctx context.Context, w http.ResponseWriter, r *http.Request, port int) {
	guard(w.Header())
	path := r.URL.Path
	switch {
	case !b.hosts(port)[strings.ToLower(r.Host)] && !b.isExpected(ctx, r):
		b.refuse(w, http.StatusMisdirectedRequest)
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		b.refuse(w, http.StatusMethodNotAllowed)
	case r.URL.EscapedPath() != path:
		b.refuse(w, http.StatusNotFound)
	case strings.HasPrefix(path, "/signin/"):
		b.answerSignIn(ctx, w, r)
	case !isVisit(r):
		b.refuse(w, http.StatusForbidden)
	case strings.HasPrefix(path, "/connect/"):
		b.answerConnect(ctx, w, r)
	default:
		b.answerCallback(ctx, w, r)
	}
}

// hosts returns whom a request may be for. Names that others made point here are not among them (DNS rebinding).
func (b *Broker) hosts(port int) map[string]bool {
	hosts := map[string]bool{
		hostPort("127.0.0.1", port): true, hostPort("::1", port): true, hostPort("localhost", port): true,
	}
	if public, err := url.Parse(b.callback.PublicURL); err == nil && public.Host != "" {
		hosts[strings.ToLower(public.Host)] = true
	}
	if port == 80 { // browsers leave it out
		hosts["127.0.0.1"], hosts["[::1]"], hosts["localhost"] = true, true, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for uri, t := range b.targets {
		if u, err := url.Parse(uri); err == nil && t.port == port {
			hosts[strings.ToLower(u.Host)] = true
		}
	}
	return hosts
}

// isExpected reports whether a request is for the host that the sign-in it is about was told to come back to: by a
// process that is configured otherwise than this one.
func (b *Broker) isExpected(ctx context.Context, r *http.Request) bool {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/connect/"), "/")
	if state := r.URL.Query().Get("state"); state != "" {
		name = id(state)
	}
	sign := &record{}
	if !isID(name) {
		return false
	}
	if _, err := b.store.Load(ctx, store.Pending, name, sign); err != nil || !sign.open() {
		return false
	}
	to, err := url.Parse(sign.Pending.RedirectURI)
	return err == nil && strings.EqualFold(to.Host, r.Host)
}

// isVisit reports whether a request is a person's browser going to a page. Browsers tell that with Sec-Fetch headers;
// what only looks ahead must not use up an answer.
func isVisit(r *http.Request) bool {
	if dest := r.Header.Get("Sec-Fetch-Dest"); dest != "" && dest != "document" {
		return false
	}
	return r.Header.Get("Sec-Purpose") == "" && r.Header.Get("Purpose") == ""
}

// guard sets the headers of every answer.
func guard(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy(""))
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}

// refuse answers what no browser of a person asks. It is counted, and told of once.
func (b *Broker) refuse(w http.ResponseWriter, status int) {
	b.odd.count.Add(1)
	b.odd.told.Do(func() {
		b.log.Warn("refused a request at the port for sign-ins that is not from a person's browser", "status", status)
	})
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(http.StatusText(status) + "\n"))
}

// answerCallback answers the redirect of an authorization server.
func (b *Broker) answerCallback(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	var end *record
	answer, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		err = ErrStale
	} else {
		end, err = b.complete(ctx, r.URL.Path, answer)
	}
	switch {
	case errors.Is(err, errPath), errors.Is(err, ErrStale) && !b.hasPath(r.URL.Path):
		b.refuse(w, http.StatusNotFound)
	case errors.Is(err, ErrStale):
		b.odd.count.Add(1)
		show(w, http.StatusBadRequest, stalePage())
	case err != nil:
		b.log.Warn("an answer of an authorization server cannot be taken", "err", err)
		show(w, http.StatusInternalServerError, brokenPage())
	case b.hasPage(ctx, end.Pending.Page):
		back(w, r.URL.Path, end)
	default:
		show(w, statusOf(end), endPage(end))
	}
}

// hasPath reports whether answers come in at path.
func (b *Broker) hasPath(path string) bool {
	if path == callbackPath {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.targets {
		if t.path == path {
			return true
		}
	}
	return false
}

// hasPage reports whether there is a page to go back to.
func (b *Broker) hasPage(ctx context.Context, name string) bool {
	if name == "" {
		return false
	}
	_, err := b.list(ctx, name)
	return err == nil
}

// back sends the browser from path to the page that it came from.
func back(w http.ResponseWriter, path string, end *record) {
	to := strings.Repeat("../", strings.Count(path, "/")-1) + "signin/" + end.Pending.Page + "?from=" + end.Pending.ID
	if end.Pending.Chain {
		to += "&on"
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// statusOf returns the status of the page that tells an end.
func statusOf(end *record) int {
	switch end.Phase {
	case signedIn:
		return http.StatusOK
	case failed:
		return http.StatusBadGateway
	case declined, answered, foreign, canceled, open, exchanging:
	}
	return http.StatusBadRequest
}

// answerConnect answers /connect/ID, our page before the one of the authorization server, and /connect/ID/go, which
// leads there.
func (b *Broker) answerConnect(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	name, then, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/connect/"), "/")
	if !isID(name) || then != "" && then != "go" {
		b.refuse(w, http.StatusNotFound)
		return
	}
	sign := &record{}
	generation, err := b.store.Load(ctx, store.Pending, name, sign)
	switch {
	case errors.Is(err, store.ErrNotFound):
		show(w, http.StatusNotFound, stalePage())
	case err != nil:
		b.log.Warn("a sign-in under way cannot be read", "err", err)
		show(w, http.StatusInternalServerError, brokenPage())
	case sign.Phase == exchanging:
		show(w, http.StatusOK, busyPage(sign))
	case !sign.open() && sign.Phase != open && sign.Phase != canceled:
		show(w, http.StatusOK, endPage(sign))
	case !sign.open():
		show(w, http.StatusNotFound, stalePage())
	case then == "go":
		if !sign.Visited {
			sign.Visited = true
			_, _ = b.store.Save(ctx, store.Pending, name, generation, sign) // a conflict: it has just ended
		}
		lead(w, sign.Pending.AuthorizeURL)
	default:
		show(w, http.StatusOK, connectPage(sign))
	}
}

// lead sends the browser to an authorization server.
func lead(w http.ResponseWriter, to string) {
	if err := CheckURL(to); err != nil {
		show(w, http.StatusInternalServerError, brokenPage())
		return
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// link returns the address of one of our pages, as the person reaches it.
func (b *Broker) link(port int, path string) string {
	if public, err := url.Parse(b.callback.PublicURL); err == nil && public.Host != "" {
		return public.JoinPath(path).String()
	}
	return "http://" + hostPort(b.host(), port) + "/" + path
}
