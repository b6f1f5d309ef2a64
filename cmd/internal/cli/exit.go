package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/config"
)

// code is how the process ends.
type code int

const (
	exitOK          code = 0
	exitInternal    code = 1 // anything that has no code of its own
	exitUsage       code = 2 // the command line or the configuration is wrong
	exitSignIn      code = 3 // a person has to sign in
	exitUnreachable code = 4 // a server that is needed cannot be reached
	exitToolError   code = 6 // the tool was called and said isError
	exitTimeout     code = 7
)

// exitError is an error that knows how the process ends. A nil err has been said already.
type exitError struct {
	code code
	err  error
}

// Error implements error.
func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

// Unwrap returns the reason.
func (e *exitError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// exitCode is the one place that maps errors to exit codes.
func exitCode(err error) code {
	var exit *exitError
	var problems config.Problems
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &problems):
		return exitUsage
	case needsSignIn(err):
		return exitSignIn
	case errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	}
	if _, refused := errors.AsType[*auth.RefusedError](err); refused {
		return exitUsage
	}
	if _, unavailable := errors.AsType[*auth.UnavailableError](err); unavailable {
		return exitUnreachable
	}
	return exitInternal
}

// needsSignIn reports whether a person can put an error right by signing in.
func needsSignIn(err error) bool {
	_, login := errors.AsType[*auth.LoginRequiredError](err)
	_, more := errors.AsType[*auth.StepUpRequiredError](err)
	return login || more
}

// complain says on w what went wrong, if anything did. What a server said may be part of it.
func complain(w io.Writer, err error) {
	if err == nil {
		return
	}
	var exit *exitError
	var problems config.Problems
	switch {
	case errors.As(err, &exit) && exit.err == nil:
	case exit == nil && errors.As(err, &problems):
		fmt.Fprintf(w, "%s\n%s\n", harmless(problems.Error()), count(len(problems), "problem"))
	default:
		fmt.Fprintln(w, "plait:", harmless(err.Error()))
	}
}

// count returns "1 problem" or "2 problems".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
