package flow

import (
	"context"
	_ "embed" // the pages
	"errors"
	"net/http"
	"strings"

	"github.com/plait-mcp/plait/auth/store"
)

//go:embed page.js
var pageJS string

// answerSignIn answers /signin/ID, the page of all identities; /signin/ID/next, which leads to the next one that waits
// for the person; and /signin/ID/go/FLOW, which leads to that one.
func (b *Broker) answerSignIn(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/signin/"), "/")
	asked := isVisit(r) || len(parts) == 1 && isPoll(r)
	if !isID(parts[0]) || !asked {
		b.refuse(w, http.StatusNotFound)
		return
	}
	l, err := b.list(ctx, parts[0])
	switch {
	case errors.Is(err, ErrStale):
		show(w, http.StatusNotFound, stalePage())
		return
	case err != nil:
		b.log.Warn("the page of all sign-ins cannot be read", "err", err)
		show(w, http.StatusInternalServerError, brokenPage())
		return
	}
	back := strings.Repeat("../", len(parts)-1) + l.ID
	switch v := b.view(ctx, l); {
	case len(parts) == 1:
		b.showView(ctx, w, r, v)
	case len(parts) == 2 && parts[1] == "next":
		b.leadOn(ctx, w, leading{page: l.ID, to: v.next(), back: back, chain: true})
	case len(parts) == 3 && parts[1] == "go":
		b.leadOn(ctx, w, leading{page: l.ID, to: v.find(parts[2]), back: back})
	default:
		b.refuse(w, http.StatusNotFound)
	}
}

// isPoll reports whether a request is of our script on the page.
func isPoll(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Dest") == "empty" && r.Header.Get("Sec-Fetch-Site") == "same-origin"
}

// showView answers with the page, and remembers what was shown.
func (b *Broker) showView(ctx context.Context, w http.ResponseWriter, r *http.Request, v *view) {
	query, from := r.URL.Query(), &record{}
	if name := query.Get("from"); isID(name) {
		if _, err := b.store.Load(ctx, store.Pending, name, from); err == nil && from.Pending.Page == v.ID {
			v.look(from, query.Has("on"))
		}
	}
	html, err := render(v.markup())
	if err != nil {
		write(w, http.StatusInternalServerError, []byte("plait cannot show its page\n"))
		return
	}
	w.Header().Set("Content-Security-Policy", policy(pageJS))
	write(w, http.StatusOK, html)
	if d := v.digest(); d != v.shown {
		if err := b.changeList(ctx, v.ID, func(l *list) { l.Shown = d }); err != nil {
			b.log.Debug("cannot remember what a page shows", "err", err)
		}
	}
}

// leading is a way from a page to an authorization server and back.
type leading struct {
	page  string
	to    *row // nil when there is nowhere to go
	back  string
	chain bool // the browser goes on to the next by itself
}

// leadOn sends the browser to an authorization server, from where it comes back to the page.
func (b *Broker) leadOn(ctx context.Context, w http.ResponseWriter, way leading) {
	if way.to != nil && way.to.waiting {
		r := &record{}
		generation, err := b.store.Load(ctx, store.Pending, way.to.flow, r)
		if err == nil && r.open() {
			r.Pending.Page, r.Pending.Chain, r.Visited = way.page, way.chain, true
			_, err = b.store.Save(ctx, store.Pending, way.to.flow, generation, r)
		}
		if err == nil && r.open() {
			lead(w, r.Pending.AuthorizeURL)
			return
		}
	}
	w.Header().Set("Location", way.back)
	w.WriteHeader(http.StatusSeeOther)
}
