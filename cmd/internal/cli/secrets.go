package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/plait-mcp/plait/auth/store"
)

// maxSecret bounds what is read for a secret.
const maxSecret = 1 << 20

func newSecrets(a *app) *cobra.Command {
	c := group("secrets", "Keep secrets in the OS keyring, for ${keyring:SERVICE/KEY} in the configuration",
		newSecretsSet(a), newSecretsGet(a), newSecretsList(a), newSecretsRemove(a), newSecretsUnlock(a))
	c.Long = `Keep secrets in the OS keyring, for ${keyring:SERVICE/KEY} in any text of the configuration. Where there is no keyring
they are kept beside the sign-ins, in files that are sealed with a key that only you can read.`
	return c
}

func newSecretsSet(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "set SERVICE/KEY", Short: "Keep a secret, read from standard input or asked for",
		Long: `Keep a secret. On a terminal it is asked for, and not shown; else standard input is the secret, without the line break
at its end. It is never taken from the command line, where other programs could see it.`,
		Example: "  plait secrets set github/token < token.txt",
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return runSecretsSet(c.Context(), a, args[0]) },
	}
	a.configFlag(c)
	return c
}

func runSecretsSet(ctx context.Context, a *app, name string) error {
	service, key, err := secretName(name)
	if err != nil {
		return err
	}
	s, err := a.openSecrets(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	value, err := a.readSecret(name)
	if err != nil {
		return err
	}
	place, err := s.SetSecret(ctx, service, key, value)
	if err != nil {
		return fmt.Errorf("%s cannot be kept: %w", name, err)
	}
	a.say("kept %s in the %s; write ${keyring:%s} where it is needed", name, place, name)
	return nil
}

// readSecret asks a person for a secret, or reads it from standard input.
func (a *app) readSecret(name string) (string, error) {
	var data []byte
	var err error
	if in, ok := a.env.In.(*os.File); ok && isTerminal(in) {
		data, err = a.askSecret(in, name)
	} else {
		data, err = io.ReadAll(io.LimitReader(a.env.In, maxSecret+1))
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case err != nil:
		return "", fmt.Errorf("read the secret: %w", err)
	case value == "":
		return "", usagef("there is no secret on standard input; pipe it into plait secrets set %s", name)
	case len(data) > maxSecret:
		return "", usagef("the secret has more than %d bytes", maxSecret)
	}
	return value, nil
}

// askSecret asks a person, who sees nothing of what is typed. The terminal gives Ctrl-C as a letter meanwhile: a signal
// would leave it as it is.
func (a *app) askSecret(in *os.File, name string) ([]byte, error) {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, err
	}
	defer func() { _ = term.Restore(int(in.Fd()), before) }()
	type terminal struct {
		io.Reader
		io.Writer
	}
	value, err := term.NewTerminal(terminal{in, a.talk}, "").ReadPassword(name + ": ")
	if errors.Is(err, io.EOF) {
		err = errors.New("interrupted")
	}
	return []byte(value), err
}

func newSecretsGet(a *app) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "get SERVICE/KEY", Short: "Show a secret",
		Long: "Say whether a secret is there; with --yes print it.",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return runSecretsGet(c.Context(), a, args[0], yes) },
	}
	a.configFlag(c)
	c.Flags().BoolVar(&yes, "yes", false, "print it, although others may see the screen or keep what a program prints")
	return c
}

func runSecretsGet(ctx context.Context, a *app, name string, yes bool) error {
	service, key, err := secretName(name)
	if err != nil {
		return err
	}
	s, err := a.openSecrets(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	value, err := s.Secret(ctx, service, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("there is no secret %s; see plait secrets list", name)
	case err != nil:
		return fmt.Errorf("%s cannot be read: %w", name, err)
	case !yes:
		return usagef("%s is there; add --yes to print it", name)
	}
	_, err = fmt.Fprintln(a.env.Out, value)
	return err
}

func newSecretsList(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the names of the secrets that were set",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runSecretsList(c.Context(), a) },
	}
	a.configFlag(c)
	return c
}

func runSecretsList(ctx context.Context, a *app) error {
	s, err := a.openSecrets(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	names, err := s.SecretNames(ctx)
	for _, name := range names {
		fmt.Fprintln(a.env.Out, name)
	}
	return err
}

func newSecretsRemove(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "rm SERVICE/KEY...", Short: "Remove secrets",
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return runSecretsRemove(c.Context(), a, args) },
	}
	a.configFlag(c)
	return c
}

func runSecretsRemove(ctx context.Context, a *app, names []string) error {
	s, err := a.openSecrets(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, name := range names {
		service, key, err := secretName(name)
		if err != nil {
			return err
		}
		err = s.RemoveSecret(ctx, service, key)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return fmt.Errorf("there is no secret %s; see plait secrets list", name)
		case err != nil:
			return fmt.Errorf("%s cannot be removed: %w", name, err)
		}
		a.say("removed %s", name)
	}
	return nil
}

func newSecretsUnlock(a *app) *cobra.Command {
	var timeout time.Duration
	c := &cobra.Command{
		Use: "unlock", Short: "Have the OS keyring ask for its password",
		Long: `Have the OS keyring ask for its password, when it is locked. Nothing else in plait makes it ask: programs that run in
the background must not.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runSecretsUnlock(c.Context(), a, timeout) },
	}
	a.configFlag(c)
	c.Flags().DurationVar(&timeout, "timeout", 2*time.Minute, "wait so long for the password")
	return c
}

func runSecretsUnlock(ctx context.Context, a *app, timeout time.Duration) error {
	if timeout <= 0 {
		return usagef("--timeout is not more than 0; write a time such as 30s")
	}
	s, err := a.openSecrets(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := s.Unlock(ctx); err != nil {
		return fmt.Errorf("unlock the OS keyring: %w", err)
	}
	a.say("the OS keyring is unlocked")
	return nil
}

// openSecrets opens the store for a command whose warnings a person reads.
func (a *app) openSecrets(ctx context.Context) (*store.Store, error) {
	log := hclog.New(&hclog.LoggerOptions{Name: "plait", Level: hclog.Warn, Output: a.talk})
	return a.openStore(a.credentials(ctx), log)
}

// secretName takes SERVICE/KEY apart.
func secretName(name string) (service, key string, err error) {
	service, key, ok := strings.Cut(name, "/")
	if !ok || service == "" || key == "" {
		return "", "", usagef("%q does not name a secret; write SERVICE/KEY", name)
	}
	return service, key, nil
}
