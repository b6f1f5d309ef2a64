package flow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/plait-mcp/plait/auth/store"
)

// view is what the page shows.
type view struct {
	ID     string
	Title  string
	Note   string // how the last sign-in went
	Status string
	Groups []group
	Left   int // how many wait for the person
	Ended  bool
	On     *row // where the browser goes by itself, nil for nowhere

	shown string
}

// group are the identities of one authorization server.
type group struct {
	AuthServer string
	Rows       []*row

	issuer string
}

// row is an identity.
type row struct {
	Identity string
	Servers  string
	Mark     string // "good", "bad", "wait", "ask", "none"
	State    string
	Detail   string
	To       string // where its button leads, "" for none

	flow    string
	waiting bool
}

// view returns what the page of l shows now.
func (b *Broker) view(ctx context.Context, l *list) *view {
	v := &view{ID: l.ID, shown: l.Shown}
	done, busy := 0, false
	for i := range l.Entries {
		e := &l.Entries[i]
		r := b.row(ctx, l.ID, e)
		v.group(e).Rows = append(v.group(e).Rows, r)
		switch {
		case r.waiting:
			v.Left++
		case r.Mark == "good":
			done++
		case r.Mark == "wait":
			busy = true
		}
	}
	v.Ended = v.Left == 0 && !busy
	v.Title = "Sign in to your servers"
	v.Status = fmt.Sprintf("%d of %d signed in", done, len(l.Entries))
	if v.Ended {
		v.Title = "Done"
	}
	return v
}

// group returns the group of an entry, which it makes when there is none yet.
func (v *view) group(e *Entry) *group {
	for i := range v.Groups {
		if v.Groups[i].issuer == e.Issuer {
			return &v.Groups[i]
		}
	}
	v.Groups = append(v.Groups, group{AuthServer: e.AuthServer, issuer: e.Issuer})
	return &v.Groups[len(v.Groups)-1]
}

// row returns the row of an entry. How far a sign-in is says its record, for any process may have finished it.
func (b *Broker) row(ctx context.Context, page string, e *Entry) *row {
	r := &row{Identity: e.Identity, Servers: enumerate(e.Servers), Detail: e.Detail, flow: e.Flow}
	switch e.State {
	case Preparing:
		r.Mark, r.State = "wait", "getting ready"
	case Running:
		r.Mark, r.State = "wait", "signing in"
	case SignedIn:
		r.Mark, r.State = "good", "signed in"
	case Unneeded:
		r.Mark, r.State = "none", "needs no sign-in"
	case Failed:
		r.Mark, r.State = "bad", "did not work"
	case Waiting:
		b.fill(ctx, page, r)
	}
	return r
}

// fill fills in a row from the record of its flow.
func (b *Broker) fill(ctx context.Context, page string, r *row) {
	sign := &record{}
	_, err := b.store.Load(ctx, store.Pending, r.flow, sign)
	switch how, ended := sign.end(); {
	case err != nil:
		r.Mark, r.State = "bad", "no longer valid"
	case !ended && sign.Phase == exchanging:
		r.Mark, r.State = "wait", "signing in"
	case !ended:
		r.Mark, r.State, r.waiting, r.To = "ask", "not signed in", true, page+"/go/"+r.flow
	case how == nil:
		r.Mark, r.State = "good", "signed in"
	case sign.Phase == declined:
		r.Mark, r.State = "bad", "you declined"
	default:
		r.Mark, r.State, r.Detail = "bad", "did not work", how.Error()
	}
}

// next returns the first row that waits for the person, nil for none.
func (v *view) next() *row {
	for _, g := range v.Groups {
		for _, r := range g.Rows {
			if r.waiting {
				return r
			}
		}
	}
	return nil
}

// find returns the row of a flow, nil for none.
func (v *view) find(flow string) *row {
	for _, g := range v.Groups {
		for _, r := range g.Rows {
			if r.flow != "" && r.flow == flow {
				return r
			}
		}
	}
	return nil
}

// look tells how the sign-in went that the browser comes from, and with on has it go on to the next after a good one.
func (v *view) look(from string, on bool) {
	r := v.find(from)
	if r == nil || r.waiting {
		return
	}
	v.Note = r.Identity + ": " + r.State
	if on && r.Mark == "good" {
		v.On = v.next()
	}
}

// digest names what the page shows but for what belongs to one visit.
func (v *view) digest() string {
	text, err := json.Marshal([]any{v.Title, v.Status, v.Groups})
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
