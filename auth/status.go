package auth

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/plait-mcp/plait/auth/wallet"
	"github.com/plait-mcp/plait/config"
)

// State is the condition of an identity.
type State string

// The states.
const (
	StateAnonymous     State = "anonymous"     // no server of it has asked for credentials
	StateReady         State = "ready"         // there is a token, or what is needed to get one
	StateNeedsLogin    State = "needs_login"   // a person has to sign in
	StateNeedsStepUp   State = "needs_step_up" // a call needs more rights than there are
	StateDeclined      State = "declined"      // a person said no
	StateMisconfigured State = "misconfigured" // credentials or configuration are refused
	StateUnavailable   State = "unavailable"   // no token can be had right now, and later attempts may work
)

// IdentityStatus is what is known of an identity without asking anybody.
type IdentityStatus struct {
	Identity    string       `json:"identity"`
	Implicit    bool         `json:"implicit,omitempty"` // nobody wrote it: it is the one of its server
	Grant       config.Grant `json:"grant"`
	State       State        `json:"state"`
	Issuer      string       `json:"issuer,omitempty"`
	ClientID    string       `json:"clientId,omitempty"`
	Servers     []string     `json:"servers"`
	Account     string       `json:"account,omitempty"` // as whom, when the sign-in told
	Scopes      []string     `json:"scopes,omitempty"`  // what was granted
	SignedIn    time.Time    `json:"signedIn,omitzero"`
	Expires     time.Time    `json:"expires,omitzero"`        // of the access token; zero when that is not known
	Refreshable bool         `json:"refreshable"`             // it is renewed without a person
	RefreshEnds time.Time    `json:"refreshExpires,omitzero"` // when that ends, as far as known
	Store       string       `json:"store"`                   // where it is kept
	ID          string       `json:"id,omitempty"`            // of the error
	Err         string       `json:"error,omitempty"`
	Next        string       `json:"next,omitempty"` // what to do
}

// Interactive tells whether a person can sign in as the identity.
func (s *IdentityStatus) Interactive() bool { return s.Grant.NeedsPerson() }

// Status returns what is known of the identities of servers, in the order of their first server. It reads the store and
// asks nobody else.
func (m *Manager) Status(ctx context.Context, servers []*config.Server) []IdentityStatus {
	var all []IdentityStatus
	index := map[string]int{}
	for _, server := range servers {
		if server.URL == "" || server.Identity == nil {
			continue
		}
		s := newSite(m, server, nil)
		one := m.status(ctx, s)
		i, known := index[s.who]
		if !known {
			index[s.who] = len(all)
			all = append(all, one)
			continue
		}
		all[i].add(&one)
	}
	return all
}

// add takes the status for another server of the same identity in.
func (s *IdentityStatus) add(o *IdentityStatus) {
	s.Servers = append(s.Servers, o.Servers...)
	if urgency(o.State) > urgency(s.State) {
		o.Servers = s.Servers
		*s = *o
	}
}

// urgency orders states: those that a person has to do something about come first.
func urgency(s State) int {
	return slices.Index([]State{
		StateAnonymous, StateReady, StateUnavailable, StateNeedsStepUp, StateMisconfigured, StateDeclined, StateNeedsLogin,
	}, s)
}

// status returns what is known of the identity of one server.
func (m *Manager) status(ctx context.Context, s *site) IdentityStatus {
	i := s.identity
	out := IdentityStatus{
		Identity: i.Name, Implicit: i.Implicit, Grant: i.Grant, State: StateAnonymous, Servers: []string{s.server.Name}, Store: m.opts.Store.Backend(),
	}
	if len(i.Problems) > 0 {
		out.State, out.Err, out.Next = StateMisconfigured, i.Problems.Error(), "correct the configuration: plait validate"
		return out
	}
	if !s.usesOAuth() {
		if i.Grant != config.GrantNone {
			out.State = StateReady
		}
		return out
	}
	b, err := s.bond(ctx)
	switch {
	case err != nil:
		out.blame(s.typed(err))
	case b != nil && b.Grant != "":
		out.describe(s, b, m.signedIn(ctx, b))
	case b != nil && b.State == declined:
		out.State, out.ID, out.Err = StateDeclined, IDDeclined, reasonDeclined
	case s.isMachine() || s.isGiven():
		out.State = StateReady
	case i.Grant != config.GrantAuto || b != nil && b.Found != nil:
		out.State, out.ID = StateNeedsLogin, IDSignIn
	}
	if b != nil && b.Found != nil && out.Issuer == "" {
		out.Issuer = b.Found.Server.Issuer
	}
	out.blame(m.blockedBy(s))
	if out.Next == "" && (out.State == StateNeedsLogin || out.State == StateNeedsStepUp || out.State == StateDeclined) {
		out.Next = "run plait auth login " + i.Name
	}
	return out
}

// describe adds what a grant tells.
func (s *IdentityStatus) describe(at *site, b *bond, rec *wallet.Record) {
	if rec == nil {
		s.State, s.ID = StateNeedsLogin, IDSignIn
		if at.isMachine() || at.isGiven() {
			s.State, s.ID = StateReady, ""
		}
		return
	}
	s.Issuer, s.Account, s.SignedIn, s.RefreshEnds = rec.Issuer, rec.Account, rec.SignedIn, rec.RefreshExpires
	if rec.Client != nil {
		s.ClientID = rec.Client.ID
	}
	if s.Scopes = rec.Granted; s.Scopes == nil {
		s.Scopes = rec.Asked
	}
	over := rec.Expired()
	s.Refreshable = over == nil && (rec.Refresh != "" || at.isMachine())
	if t := rec.Tokens[at.resource(b)]; t != nil {
		s.Expires = t.Expires
	}
	switch {
	case over != nil:
		s.State, s.ID, s.Err = StateNeedsLogin, IDExpired, over.Reason
	case b.Moved != "":
		s.State, s.ID, s.Err = StateNeedsLogin, IDMoved, (&movedError{from: rec.Issuer, to: b.Moved}).Error()
	case !s.Refreshable && !s.Expires.IsZero() && time.Now().After(s.Expires):
		s.State, s.ID, s.Err = StateNeedsLogin, IDExpired, "the token is over and nothing renews it"
	case !at.isEnterprise() && !within(b.Wanted, rec.Asked):
		s.State, s.ID = StateNeedsStepUp, IDStepUp
	default:
		s.State = StateReady
	}
}

// blame adds why requests of this process do not reach a server.
func (s *IdentityStatus) blame(err error) {
	var state State
	var reason string
	switch e := err.(type) { //nolint:errorlint // it is as blame made it
	case *LoginRequiredError:
		state, reason = StateNeedsLogin, e.Reason
		if e.ID == IDDeclined {
			state = StateDeclined
		}
	case *StepUpRequiredError:
		state, reason = StateNeedsStepUp, "a call needs more rights: "+strings.Join(e.Missing, " ")
	case *RefusedError:
		state, reason = StateMisconfigured, e.Reason
	case *UnavailableError:
		state, reason = StateUnavailable, e.Reason
	default:
		return
	}
	if urgency(state) <= urgency(s.State) && s.State != StateReady {
		return
	}
	s.State, s.Err = state, reason
	s.ID, s.Next = Advice(err)
}

// blockedBy returns why requests of this process do not reach a server, nil when they do as far as is known.
func (m *Manager) blockedBy(s *site) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.clients {
		if c.site.key() == s.key() {
			c.mu.Lock()
			err := c.blocked
			c.mu.Unlock()
			if err != nil {
				return err
			}
		}
	}
	return nil
}
