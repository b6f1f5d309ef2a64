package auth

import (
	"time"

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
