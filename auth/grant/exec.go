package grant

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/oauth2"

	"github.com/plait-mcp/plait/config"
)

const (
	commandTime  = 30 * time.Second // some ask a server themselves
	commandGrace = 2 * time.Second  // for the pipes of a command that was stopped
)

// Exec runs the command of an identity and returns the token that it prints: a bare one, or a token answer of RFC 6749
// in JSON (access_token, expires_in …). What the programs of clouds print is understood too: token, accessToken and
// an instant as expiry, expiresOn, expiration or expirationTimestamp. learn hears of the token; nil for nobody.
func Exec(ctx context.Context, i *config.Identity, learn func(secret string)) (*Token, error) {
	if len(i.Command) == 0 {
		return nil, &SetupError{Key: "command", Err: errors.New("the grant exec needs one; set it")}
	}
	out, err := run(ctx, i.Command, i.Dir)
	if err != nil {
		return nil, sourceError(ctx, "command", err)
	}
	t, err := printed(out, i)
	if err != nil {
		return nil, &SetupError{Key: "command", Err: fmt.Errorf("command %q %w", program(i.Command), err)}
	}
	if learn != nil {
		learn(t.Access)
	}
	return t, nil
}

// printed reads what a command printed.
func printed(out string, i *config.Identity) (*Token, error) {
	w := &wire{received: time.Now()}
	if !strings.HasPrefix(out, "{") {
		if out == "" || strings.ContainsFunc(out, unicode.IsSpace) {
			return nil, errors.New("does not print a token; print the token alone, or JSON with access_token")
		}
		return newToken(&oauth2.Token{AccessToken: out}, w, "")
	}
	fields := parseAnswer([]byte(out))
	if fields == nil {
		return nil, errors.New("prints JSON that cannot be read")
	}
	if status, ok := fields["status"].(map[string]any); ok { // an ExecCredential of Kubernetes
		fields = status
	}
	w.fields = mend(fields, i.TokenPath)
	access := textOf(w.fields, "access_token", "accessToken", "token", "id_token")
	if access == "" {
		return nil, errors.New("prints JSON without access_token")
	}
	got := &oauth2.Token{AccessToken: access, TokenType: textOf(w.fields, "token_type", "tokenType")}
	t, err := newToken(got.WithExtra(w.fields), w, i.Bearer)
	if err != nil {
		return nil, err
	}
	if at, ok := instant(w.fields); ok && w.fields["expires_in"] == nil {
		t.Expires = at
	}
	return t, nil
}

// instant returns when a token ends by what the programs of clouds print.
func instant(fields map[string]any) (time.Time, bool) {
	for _, name := range []string{"expires_at", "expires_on", "expiry", "expiresOn", "expiration", "Expiration", "expirationTimestamp"} {
		var text string
		switch value := fields[name].(type) {
		case string:
			text = value
		case json.Number:
			text = value.String()
		}
		if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds > 0 {
			return time.Unix(seconds, 0), true
		}
		for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05.999999"} { // the second is of az, in local time
			if at, err := time.ParseInLocation(layout, text, time.Local); err == nil { //nolint:gosmopolitan // az prints that
				return at, true
			}
		}
	}
	return time.Time{}, false
}

// run returns what a command prints, without the line break at its end. No shell is between. No error shows what it
// printed, or its arguments.
func run(ctx context.Context, command config.CommandLine, dir string) (string, error) {
	limited, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	cmd := exec.CommandContext(limited, command[0], command[1:]...)
	var out bounded
	cmd.Dir, cmd.Stdout, cmd.WaitDelay = dir, &out, commandGrace
	err := cmd.Run()
	name := program(command)
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("command %q was stopped: %w", name, ctx.Err())
	case limited.Err() != nil:
		return "", fmt.Errorf("command %q does not end within %s; run it by hand to see why", name, commandTime)
	case out.full:
		return "", fmt.Errorf("command %q prints more than 1 MiB; print the token alone", name)
	case errors.As(err, &exit):
		return "", fmt.Errorf("command %q fails (%s); run it by hand to see why", name, exit.ProcessState)
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("command %q is not found; install it, or write its path", name)
	case err != nil:
		return "", fmt.Errorf("command %q cannot be run; run it by hand to see why", name)
	}
	return strings.TrimSpace(out.String()), nil
}

// program returns of a command what may be shown.
func program(command config.CommandLine) string { return filepath.Base(command[0]) }

// bounded keeps what is written to it, up to 1 MiB.
type bounded struct {
	bytes.Buffer

	full bool
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if b.full = b.full || b.Len()+len(p) > maxAnswer; b.full {
		return 0, errTooLong
	}
	return b.Buffer.Write(p)
}
