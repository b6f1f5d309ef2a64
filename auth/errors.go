package auth

import (
	"errors"
	"fmt"
	"strings"
	"time"
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
