package wallet

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/register"
)

// Record is one grant: what an authorization server allowed one identity as one client, for one or several resources
// of it. It marshals with its secrets, for the sealed store; however it is printed, they do not show. One that is kept
// is never changed, only replaced.
type Record struct {
	Who       string              `json:"who"` // names the identity in keys
	Identity  string              `json:"identity"`
	Issuer    string              `json:"issuer"`
	Metadata  *discovery.Metadata `json:"metadata,omitempty"`
	Client    *register.Client    `json:"client,omitempty"`
	Resources []string            `json:"resources,omitempty"` // that were named in the sign-in
	Asked     []string            `json:"asked,omitempty"`     // scopes, of the sign-in
	Granted   []string            `json:"granted,omitempty"`   // scopes, when the server said other ones
	Account   string              `json:"account,omitempty"`
	SignedIn  time.Time           `json:"signedIn,omitzero"`

	Refresh        string    `json:"refresh,omitempty"`
	RefreshExpires time.Time `json:"refreshExpires,omitzero"`
	ID             string    `json:"id,omitempty"` // the ID token, where it is what other tokens are made from

	Tokens     map[string]*grant.Token `json:"tokens,omitempty"` // by resource; without refresh and ID tokens
	NoResource bool                    `json:"noResource,omitempty"`
	State      string                  `json:"state,omitempty"`  // "expired"; see Expired
	Reason     string                  `json:"reason,omitempty"` // of it
	Seed       string                  `json:"seed,omitempty"`   // of the refresh token or code that was given from outside
}

// Expired returns why somebody has to sign in anew, nil while the grant is good as far as is known.
func (r *Record) Expired() *ExpiredError {
	if r.State == "" {
		return nil
	}
	return &ExpiredError{Reason: r.Reason}
}

// Format implements fmt.Formatter, for every verb.
func (r *Record) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "grant of "+r.Identity) }

// secrets returns what nobody may read of a grant.
func (r *Record) secrets() []string {
	all := []string{r.Refresh, r.ID}
	if r.Client != nil {
		all = append(all, r.Client.Secret, r.Client.ManageToken)
	}
	for _, t := range r.Tokens {
		all = append(all, t.Access)
	}
	return all
}

// Clone returns a copy that may be changed.
func (r *Record) Clone() *Record {
	c := *r
	c.Tokens = maps.Clone(r.Tokens)
	c.Asked, c.Granted = slices.Clone(r.Asked), slices.Clone(r.Granted)
	return &c
}

// Take puts a token of the authorization server in, for a resource.
func (r *Record) Take(resource string, t *grant.Token) {
	if r.Tokens == nil {
		r.Tokens = map[string]*grant.Token{}
	}
	if t.Refresh != "" {
		r.Refresh = t.Refresh
	}
	if !t.RefreshExpires.IsZero() {
		r.RefreshExpires = t.RefreshExpires
	}
	own := *t
	own.Refresh, own.ID = "", ""
	r.Tokens[resource] = &own
	r.State, r.Reason = "", ""
}

// usable returns the token for a resource, nil when there is none that lives and is not among the refused ones.
func (r *Record) usable(resource string, now time.Time, refused []string) *grant.Token {
	t := r.Tokens[resource]
	if t == nil || t.Access == "" || isOver(t, now) || slices.Contains(refused, t.Access) {
		return nil
	}
	return t
}
