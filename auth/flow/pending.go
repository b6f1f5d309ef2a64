package flow

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// lasting is how long a sign-in without an end may take.
const lasting = 15 * time.Minute

// Pending is a sign-in under way. It holds secrets: however it is printed, only its ID and its identity come out.
// It is saved in the store, so all of it has to survive JSON.
type Pending struct {
	// ID is the name in our links. It follows from State and does not tell it; Begin fills it in.
	ID string
	// State is the parameter of that name, from NewState. It is the only thing that leads from an answer to here.
	State string
	// Verifier is the one of PKCE.
	Verifier string
	// RedirectURI is where the answer goes, byte for byte as the authorization server was told.
	RedirectURI string
	// AuthorizeURL is where the person has to go.
	AuthorizeURL string
	// Issuer is the validated one of the metadata, with which the parameter iss of the answer is compared (RFC 9207).
	Issuer string
	// IssRequired says that the metadata promises the parameter iss, so that an answer without it is refused.
	IssRequired bool
	// GrantKey names what is signed in; two processes that want the same find one another by it.
	GrantKey string
	// Identity, Servers, Scopes and AuthServer (a host) are what a person is told.
	Identity   string
	Servers    []string
	Scopes     []string
	AuthServer string
	// Created, Expires and PID are filled in by Begin when they are zero.
	Created, Expires time.Time
	PID              int
	// Finish is all that is needed to exchange the code in any process.
	Finish json.RawMessage

	// Port and Path are where a process has to listen for the answer; Begin fills them in.
	Port int
	Path string
	// Page is the ID of the page that the person is sent back to, "" for none; with Chain it goes on from there to the
	// next identity.
	Page  string
	Chain bool
}

// Format implements fmt.Formatter, for every verb.
func (p Pending) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "sign-in "+p.ID+" of "+p.Identity)
}

// NewState returns a state that nobody can guess.
func NewState() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // it never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

const idLength = 20

// id returns the ID of the sign-in with the given state.
func id(state string) string {
	sum := sha256.Sum256([]byte("plait sign-in " + state))
	return hex.EncodeToString(sum[:idLength/2])
}

// isID reports whether s looks like an ID, so that it may be the key of a record.
func isID(s string) bool {
	return len(s) == idLength && strings.Trim(s, "0123456789abcdef") == ""
}

// phase is how far a sign-in is.
type phase string

const (
	open       phase = "open"       // waits for the answer
	exchanging phase = "exchanging" // the answer is there and its code is exchanged
	signedIn   phase = "signed in"
	declined   phase = "declined" // access_denied
	answered   phase = "answered" // with another error
	foreign    phase = "foreign"  // from another authorization server
	failed     phase = "failed"   // the exchange did not work
	canceled   phase = "canceled"
)

// record is what the store has of a sign-in. When it ended its secrets are gone: what is left says how it ended to
// whoever waits, and that the link was used.
type record struct {
	Pending Pending
	Visited bool // a person has gone on from our page to the authorization server
	Phase   phase
	Since   time.Time // of the phase
	Code    string    // of the error
	Text    string    // for a person
}

// stuck is how long an exchange may take until nobody believes in it any more: its process has died.
const stuck = 2 * time.Minute

// open reports whether the answer may still come.
func (r *record) open() bool { return r.Phase == open && time.Now().Before(r.Pending.Expires) }

// end returns how the sign-in ended, and whether it has.
func (r *record) end() (error, bool) { //nolint:revive // the error is the value here, not a failure of end
	switch r.Phase {
	case signedIn:
		return nil, true
	case declined:
		return &DeniedError{Identity: r.Pending.Identity}, true
	case answered:
		return &ResponseError{Identity: r.Pending.Identity, Code: r.Code, Description: r.Text}, true
	case foreign:
		return &IssuerError{Identity: r.Pending.Identity}, true
	case failed:
		return &FailedError{Code: r.Code, Message: r.Text}, true
	case canceled:
		return ErrCanceled, true
	case exchanging:
		if time.Since(r.Since) > stuck {
			return &FailedError{Message: "the process that exchanged the code has died"}, true
		}
		return nil, false
	case open:
	}
	if !time.Now().Before(r.Pending.Expires) {
		return ErrExpired, true
	}
	return nil, false
}

// ended returns the record of how the sign-in ended, without what was secret.
func (r *record) ended(as phase) *record {
	e := &record{Phase: as, Since: time.Now(), Pending: r.Pending}
	e.Pending.Verifier, e.Pending.AuthorizeURL, e.Pending.Finish = "", "", nil
	return e
}
