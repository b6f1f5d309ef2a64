package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"time"

	"github.com/mattn/go-shellwords"

	"github.com/plait-mcp/plait/config/tree"
)

// Bounds of secrets.
const (
	maxSecret      = 1 << 20
	commandTimeout = 10 * time.Second
	commandGrace   = time.Second // for what a stopped command has left running
)

// errOffline says that what a secret reference stands for was not asked for.
var errOffline = errors.New("not looked up offline")

// ran is what the command of a secret reference said.
type ran struct {
	out string
	err error
}

// reveal returns what a secret reference of kind file, exec or keyring stands for. Errors do not show it.
func (l *loader) reveal(ctx context.Context, kind, what string, at place) (string, error) {
	if at.layer.remote {
		return "", &expandError{
			id: IDReferenceForbidden, msg: fmt.Sprintf("a remote layer may not use ${%s:…}", kind), hint: "write a variable, ${NAME}",
		}
	}
	text, err := l.secretOf(ctx, kind, what, at)
	if err == nil && l.scope != nil && text != "" {
		l.scope.secrets = append(l.scope.secrets, Secret(text))
	}
	return text, err
}

func (l *loader) secretOf(ctx context.Context, kind, what string, at place) (string, error) {
	switch kind {
	case "exec":
		return l.secretOfCommand(ctx, what, at)
	case "keyring":
		return l.secretOfKeyring(ctx, what)
	}
	return l.secretOfFile(what, at)
}

// secretOfKeyring returns what the keyring holds. It is asked once for all values that name an entry.
func (l *loader) secretOfKeyring(ctx context.Context, what string) (string, error) {
	service, key, ok := strings.Cut(what, "/")
	if !ok || service == "" || key == "" {
		return "", &expandError{id: IDExpression, msg: "${keyring:…} names no entry", hint: "write ${keyring:SERVICE/KEY}"}
	}
	if l.options.Offline {
		return "", errOffline
	}
	at := "keyring" + separator + what
	if _, done := l.ran[at]; !done {
		out, err := l.askKeyring(ctx, service, key)
		l.ran[at] = ran{out, err}
	}
	return l.ran[at].out, l.ran[at].err
}

func (l *loader) askKeyring(ctx context.Context, service, key string) (string, error) {
	if l.options.Keyring == nil {
		return "", &expandError{id: IDReferenceKeyring, msg: "no keyring can be asked here", hint: "write ${NAME} or ${file:PATH}"}
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	text, err := l.options.Keyring(ctx, service, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", &expandError{
			id: IDReferenceKeyring, msg: fmt.Sprintf("the keyring has no %s/%s", service, key),
			hint: fmt.Sprintf("store it: plait secrets set %s/%s", service, key), unset: true,
		}
	case err != nil:
		return "", &expandError{
			id: IDReferenceKeyring, msg: fmt.Sprintf("the keyring does not give %s/%s: %v", service, key, err),
			hint: "unlock it, or write ${NAME} or ${file:PATH}",
		}
	}
	return text, nil
}

// secretOfFile returns what a file holds, without the line break at its end.
func (l *loader) secretOfFile(name string, at place) (string, error) {
	if name == "" {
		return "", &expandError{id: IDExpression, msg: "${file:…} names no file", hint: "write ${file:PATH}"}
	}
	path, err := l.absolute(name, at)
	if err != nil {
		return "", err
	}
	l.look(path)
	data, err := tree.ReadFile(path, maxSecret)
	if err != nil {
		return "", &expandError{id: IDReferenceFile, msg: unreadable(name, err), hint: "check the path", unset: errors.Is(err, fs.ErrNotExist)}
	}
	return withoutLineBreak(data), nil
}

// secretOfCommand returns what a command prints, without the line break at its end. No shell is between. A command
// runs once for all values that name it.
func (l *loader) secretOfCommand(ctx context.Context, command string, at place) (string, error) {
	switch {
	case !l.commands:
		return "", &expandError{
			id: IDReferenceForbidden, msg: "${exec:…} runs a command, which is not allowed here", hint: "write allowCommands: true at the top of the file",
		}
	case l.options.Offline:
		return "", errOffline
	}
	key := at.layer.dir + separator + command
	if _, done := l.ran[key]; !done {
		out, err := l.run(ctx, command, at)
		l.ran[key] = ran{out, err}
	}
	return l.ran[key].out, l.ran[key].err
}

func (l *loader) run(ctx context.Context, command string, at place) (string, error) {
	wrong := func(msg, hint string) (string, error) {
		return "", &expandError{id: IDReferenceCommand, msg: msg, hint: hint}
	}
	parser := shellwords.NewParser()
	words, err := parser.Parse(command)
	if err != nil || len(words) == 0 || parser.Position >= 0 {
		return wrong("what stands in ${exec:…} is not a command with its arguments", "no shell reads it: put special characters into quotes")
	}
	program := words[0]
	if hasSeparator(program) {
		if program, err = l.absolute(program, at); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, words[1:]...)
	var out limited
	cmd.Dir, cmd.Stdout, cmd.WaitDelay = at.layer.dir, &out, commandGrace
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return wrong(fmt.Sprintf("command %q does not end within %s", words[0], commandTimeout), "run it by hand to see why")
	case out.full:
		return wrong(fmt.Sprintf("command %q prints more than %d MiB", words[0], maxSecret>>20), "print the secret alone")
	case errors.As(err, &exit):
		return wrong(fmt.Sprintf("command %q fails: %s", words[0], exit.ProcessState), "run it by hand to see why")
	case errors.Is(err, exec.ErrNotFound):
		return wrong(fmt.Sprintf("command %q is not found", words[0]), "install it, or write its path")
	case err != nil:
		return wrong(fmt.Sprintf("command %q cannot be run", words[0]), "run it by hand to see why")
	}
	return withoutLineBreak(out.data), nil
}

func withoutLineBreak(data []byte) string {
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
}

// limited keeps what is written to it, and refuses more than a secret may have.
type limited struct {
	data []byte
	full bool
}

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	if l.full = len(l.data)+len(p) > maxSecret; l.full {
		return 0, errors.New("too much")
	}
	l.data = append(l.data, p...)
	return len(p), nil
}
