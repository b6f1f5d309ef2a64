package auth

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/plait-mcp/plait/auth/wallet"
)

// The stable ids of what goes wrong with sign-ins. They stand behind the texts of errors, and `plait help ID`
// explains each.
const (
	// IDSignIn: nobody has signed in yet as the identity of the server.
	IDSignIn = "PLAIT-AUTH-001"
	// IDExpired: the sign-in ended: it expired, was revoked, or its refresh token was refused.
	IDExpired = "PLAIT-AUTH-002"
	// IDNotOAuth: the server answers 401 and says nothing of OAuth.
	IDNotOAuth = "PLAIT-AUTH-003"
	// IDStepUp: a call needs more rights than the sign-in has.
	IDStepUp = "PLAIT-AUTH-004"
	// IDDeclined: the person, or the server in their name, declined access.
	IDDeclined = "PLAIT-AUTH-005"
	// IDClientRefused: the authorization server refuses the client, its secret, its key or its assertion.
	IDClientRefused = "PLAIT-AUTH-006"
	// IDUnavailable: a token cannot be had or renewed right now; nothing is lost and plait tries again.
	IDUnavailable = "PLAIT-AUTH-007"
	// IDTokenRefused: the server refuses tokens that its own authorization server has just issued.
	IDTokenRefused = "PLAIT-AUTH-008" //nolint:gosec // it is no token
	// IDMoved: the server names another authorization server than the one where the sign-in is from.
	IDMoved = "PLAIT-AUTH-009"
	// IDMetadata: the metadata of the server or of its authorization server cannot be trusted or used.
	IDMetadata = "PLAIT-AUTH-010"
	// IDRegistration: the authorization server does not register plait as a client.
	IDRegistration = "PLAIT-AUTH-011"
	// IDNotKept: a sign-in was renewed and could not be saved.
	IDNotKept = wallet.IDNotKept
	// IDFlow: a sign-in did not come to its end.
	IDFlow = "PLAIT-AUTH-013"
	// IDRequest: the authorization server refuses what was asked for: a scope, a resource, a grant.
	IDRequest = "PLAIT-AUTH-014"
	// IDSource: the command, file or variable that a token or an assertion comes from gives none.
	IDSource = "PLAIT-AUTH-015"
)

// LoginRequiredError says that a person has to sign in before the server can be used. It is returned at once: nobody
// has been asked, no browser was opened.
type LoginRequiredError struct {
	Server   string   // its name
	Identity string   // what `plait auth login` takes
	ID       string   // IDSignIn, IDExpired, IDDeclined, IDMoved …
	Reason   string   // a clause for a person
	Scopes   []string // what the sign-in will ask for; nil when that is not known yet
}

// Error implements error.
func (e *LoginRequiredError) Error() string {
	return fmt.Sprintf("%s needs you to sign in: %s; %s", e.Server, e.Reason, e.Next())
}

// Next says what to do.
func (e *LoginRequiredError) Next() string { return "run plait auth login " + e.Identity }

// StepUpRequiredError says that a call needs more rights than the sign-in has (RFC 6750 §3.1). A new sign-in asks for
// all of Scopes; renewing the token never gives more.
type StepUpRequiredError struct {
	Server, Identity string
	ID               string   // IDStepUp
	Missing          []string // what the server named
	Scopes           []string // what the sign-in will ask for: Missing and all that was asked for before
	// Again says that a sign-in for these scopes took place already and the server refuses still: asking once more
	// would not help.
	Again bool
}

// Error implements error.
func (e *StepUpRequiredError) Error() string {
	what := "more rights"
	if len(e.Missing) > 0 {
		what = "the right " + strings.Join(e.Missing, " ")
	}
	if e.Again {
		return fmt.Sprintf("%s needs %s and the sign-in that asked for it was not given it; %s", e.Server, what, e.Next())
	}
	return fmt.Sprintf("%s needs %s for this; %s", e.Server, what, e.Next())
}

// Next says what to do.
func (e *StepUpRequiredError) Next() string {
	if e.Again {
		return "sign in as somebody who has it: plait auth login " + e.Identity + " --force"
	}
	return "run plait auth login " + e.Identity
}

// RefusedError says that the credentials or the configuration are wrong: no sign-in and no second attempt helps before
// they change.
type RefusedError struct {
	Server, Identity string
	ID               string
	Reason           string // a clause for a person
	Advice           string // what to do
}

// Error implements error.
func (e *RefusedError) Error() string { return fmt.Sprintf("%s: %s; %s", e.Server, e.Reason, e.Advice) }

// Next says what to do.
func (e *RefusedError) Next() string { return e.Advice }

// UnavailableError says that a token cannot be had right now: network, a server error, a limit. Nothing is lost, no
// sign-in is needed, and a later attempt may work.
type UnavailableError struct {
	Server, Identity string
	ID               string        // IDUnavailable
	Reason           string        // a clause for a person
	Advice           string        // what to do; "" when time will do it
	RetryAfter       time.Duration // how long plait itself waits before it asks again; 0 when it does not wait
}

// Error implements error.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("%s: cannot renew the sign-in right now (%s); %s", e.Server, e.Reason, e.Next())
}

// Next says what to do.
func (e *UnavailableError) Next() string {
	switch {
	case e.Advice != "":
		return e.Advice
	case e.RetryAfter > 0:
		return fmt.Sprintf("plait tries again in %s", e.RetryAfter.Round(time.Second))
	}
	return "try again"
}

// Advice returns the id of the sign-in error in the chain of err and what a person can do about it, or nothing when
// there is none.
func Advice(err error) (id, next string) {
	if e, ok := errors.AsType[*LoginRequiredError](err); ok {
		return e.ID, e.Next()
	}
	if e, ok := errors.AsType[*StepUpRequiredError](err); ok {
		return e.ID, e.Next()
	}
	if e, ok := errors.AsType[*RefusedError](err); ok {
		return e.ID, e.Next()
	}
	if e, ok := errors.AsType[*UnavailableError](err); ok {
		return e.ID, e.Next()
	}
	return "", ""
}
