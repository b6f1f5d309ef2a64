package flow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/plait-mcp/plait/auth/store"
)

// view is what the page shows.
type view struct {
	ID     string
	Title  string
	Mark   string // of Note
	Note   string // how the last sign-in went
	Status string
	Hint   string // when everything has ended
	Groups []group
	All    int // rows with something to sign in to
	Done   int // of them
	Left   int // of them wait for the person
	Ended  bool
	On     *row // where the browser goes by itself, nil for nowhere

	Command string // what to type, after Hint

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
	var bad []string
	busy := false
	for i := range l.Entries {
		r := b.row(ctx, l.ID, &l.Entries[i])
		g := v.group(&l.Entries[i])
		g.Rows = append(g.Rows, r)
		if r.Mark == "none" {
			continue
		}
		v.All++
		switch {
		case r.waiting:
			v.Left++
		case r.Mark == "good":
			v.Done++
		case r.Mark == "wait":
			busy = true
		default:
			bad = append(bad, r.Identity)
		}
	}
	slices.SortStableFunc(v.Groups, func(a, b group) int { return a.rank() - b.rank() })
	v.Ended = v.Left == 0 && !busy
	v.Status = fmt.Sprintf("%d of %d signed in", v.Done, v.All)
	switch {
	case !v.Ended:
		v.Title = "Sign in to your servers"
	case len(bad) == 0:
		v.Title, v.Hint = "You are signed in everywhere", "You can close this tab."
	default:
		v.Title, v.Hint, v.Command = "Not everything is signed in", "To try again, run", "plait auth login "+strings.Join(bad, " ")
	}
	return v
}

// rank has those without an authorization server come last.
func (g *group) rank() int {
	if g.AuthServer == "" {
		return 1
	}
	return 0
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
	r := &row{Identity: e.Identity, Detail: e.Detail, flow: e.Flow}
	if len(e.Servers) != 1 || e.Servers[0] != e.Identity {
		r.Servers = enumerate(e.Servers)
	}
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
// The row may have forgotten its flow already.
func (v *view) look(from *record, on bool) {
	how, ended := from.end()
	if !ended {
		return
	}
	name := from.Pending.Identity
	switch {
	case how == nil:
		v.Mark, v.Note = "good", "Signed in as "+name+"."
		if on {
			v.On = v.next()
		}
	case from.Phase == declined:
		v.Mark, v.Note = "bad", name+": you declined."
	default:
		v.Mark, v.Note = "bad", name+": the sign-in did not work."
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
