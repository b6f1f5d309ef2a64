package auth

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/plait-mcp/plait/auth/challenge"
	"github.com/plait-mcp/plait/auth/discovery"
	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/auth/register"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

const (
	// bonds say which grant a server is used with, by identity and URL.
	bonds store.Kind = "bonds"
	// tabs say when a browser was opened for an identity.
	tabs store.Kind = "tabs"
)

// condition is how a grant stands.
type condition string

const (
	valid    condition = ""         // there is a token, or what gives one
	expired  condition = "expired"  // it was revoked or is too old
	declined condition = "declined" // a person said no
)

// bond leads from a server, as an identity comes to it, to the grant that is used there. It is made by a sign-in, or by
// the first token that needs none, so that the next process asks nobody.
type bond struct {
	Who    string           `json:"who"` // of the identity, see who
	Server string           `json:"server"`
	URL    string           `json:"url"`
	Grant  string           `json:"grant"` // key of its record; "" when there is none but something is known
	Found  *discovery.Found `json:"found,omitempty"`
	Client string           `json:"client,omitempty"` // its id
	Print  string           `json:"print,omitempty"`  // of an identity that needs no person: another one has other tokens
	State  condition        `json:"state,omitempty"`  // declined: the person said no to the first sign-in
	Wanted []string         `json:"wanted,omitempty"` // what calls needed and the grant does not have
	Moved  string           `json:"moved,omitempty"`  // the issuer that the server names instead of that of the grant

	// Asked is the challenge to a request without a token, of a server that lets anybody in until they want something.
	Asked *challenge.Challenge `json:"asked,omitempty"`

	// What its authorization server does not take: a sign-in for several resources, `resource`, offline_access.
	Alone      bool `json:"alone,omitempty"`
	NoResource bool `json:"noResource,omitempty"`
	NoOffline  bool `json:"noOffline,omitempty"`
}

// record is one grant: what an authorization server allowed one identity as one client, for one or several resources
// of it. It marshals with its secrets, for the sealed store; however it is printed, they do not show.
type record struct {
	Who       string              `json:"who"`
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
	State      condition               `json:"state,omitempty"`
	Reason     string                  `json:"reason,omitempty"`
	Seed       string                  `json:"seed,omitempty"` // of the refresh token or code that was given from outside
}

// Format implements fmt.Formatter, for every verb.
func (r *record) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "grant of "+r.Identity) }

// secrets returns what nobody may read of a grant.
func (r *record) secrets() []string {
	all := []string{r.Refresh, r.ID}
	if r.Client != nil {
		all = append(all, r.Client.Secret, r.Client.ManageToken)
	}
	for _, t := range r.Tokens {
		all = append(all, t.Access)
	}
	return all
}

// clone returns a copy that may be changed.
func (r *record) clone() *record {
	c := *r
	c.Tokens = maps.Clone(r.Tokens)
	c.Asked, c.Granted = slices.Clone(r.Asked), slices.Clone(r.Granted)
	return &c
}

// take puts a token of the authorization server in.
func (r *record) take(resource string, t *grant.Token) {
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
	r.State, r.Reason = valid, ""
}

// who names an identity in keys of records. The implicit identity of a server is another one at another URL.
func who(server, url string, i *config.Identity) string {
	if i.Implicit {
		return store.Key("server", server, url)
	}
	return store.Key("identity", i.Name)
}

// bondKey names the bond of a server.
func bondKey(who, url string) string { return store.Key(who, url) }

// clientKey names the registration of an identity at an authorization server (MCP 2026-07-28, AS Binding: credentials
// are kept by issuer).
func clientKey(who, issuer string) string { return store.Key(who, issuer) }

// deviceKey names the registration that signs in by codes where the other one is for browsers.
func deviceKey(who, issuer string) string { return store.Key(who, issuer, "device") }

// grantKey names a grant. Resources are part of it: a sign-in for other servers does not replace one.
func grantKey(who, issuer, clientID string, resources []string) string {
	sorted := slices.Sorted(slices.Values(resources))
	return store.Key(append([]string{who, issuer, clientID}, sorted...)...)
}
