package store

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

const (
	// keyringPatience bounds how long the keyring may take for one answer, the start of the helper included.
	keyringPatience = 3 * time.Second
	// unlockPatience bounds how long a person may take to unlock it.
	unlockPatience = 2 * time.Minute
	// silentPause is how long a keyring is left alone that did not answer.
	silentPause = 10 * time.Second
	// maxAnswer bounds what the helper may say.
	maxAnswer = 1 << 20
)

// What the helper is asked for.
const (
	opGet    = "get"
	opSet    = "set"
	opDelete = "delete"
	opUnlock = "unlock"
)

// reasonNotFound is the reason of an answer that stands for ErrNotFound.
const reasonNotFound Reason = "not found"

// request is what the helper is asked, one line of JSON. Values are bytes for keyrings hold bytes.
type request struct {
	Op      string `json:"op"`
	Service string `json:"service,omitempty"`
	Key     string `json:"key,omitempty"`
	Value   []byte `json:"value,omitempty"`
}

// answer is what the helper says, one line of JSON.
type answer struct {
	Value  []byte `json:"value,omitempty"`
	Reason Reason `json:"reason,omitempty"` // "" for success
	Detail string `json:"detail,omitempty"`
}

// Keyring is the keyring of the operating system: the keychain of macOS, the credential manager of Windows, elsewhere
// the default collection of the Secret Service. Each call starts a helper and ends it, with all that it started, when
// it answered or 3 seconds are over; one that did not answer is left alone for a while. Errors are ErrNotFound, a
// *KeyringError, or that of a ctx that ended. All methods may be called at the same time.
type Keyring struct {
	command []string

	mu     sync.Mutex
	silent time.Time // when it did not answer; zero: it did
}

// NewKeyring returns the keyring whose helper, run by command, calls ServeKeyring.
func NewKeyring(command []string) *Keyring { return &Keyring{command: command} }

// Get returns an entry. It never makes a keyring ask a person: one that would is ReasonLocked.
func (k *Keyring) Get(ctx context.Context, service, key string) (string, error) {
	a, err := k.ask(ctx, request{Op: opGet, Service: service, Key: key})
	return string(a.Value), err
}

// Set makes or replaces an entry.
func (k *Keyring) Set(ctx context.Context, service, key, value string) error {
	_, err := k.ask(ctx, request{Op: opSet, Service: service, Key: key, Value: []byte(value)})
	return err
}

// Delete removes an entry.
func (k *Keyring) Delete(ctx context.Context, service, key string) error {
	_, err := k.ask(ctx, request{Op: opDelete, Service: service, Key: key})
	return err
}

// Unlock has a locked keyring ask the person, and waits up to 2 minutes for it.
func (k *Keyring) Unlock(ctx context.Context) error {
	_, err := k.run(ctx, unlockPatience, request{Op: opUnlock})
	return err
}

// ask runs a helper for one question, unless the last one did not answer a moment ago.
func (k *Keyring) ask(ctx context.Context, q request) (answer, error) {
	k.mu.Lock()
	silent := k.silent
	k.mu.Unlock()
	if time.Since(silent) < silentPause {
		return answer{}, &KeyringError{Reason: ReasonSilent}
	}
	a, err := k.run(ctx, keyringPatience, q)
	silent = time.Time{}
	if e, ok := errors.AsType[*KeyringError](err); ok && e.Reason == ReasonSilent {
		silent = time.Now()
	}
	k.mu.Lock()
	k.silent = silent
	k.mu.Unlock()
	return a, err
}

// run runs a helper for one question.
func (k *Keyring) run(ctx context.Context, patience time.Duration, q request) (answer, error) {
	line, err := json.Marshal(q)
	if err != nil {
		return answer{}, &KeyringError{Reason: ReasonBroken, Detail: "the question cannot be written"}
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(bounded, k.command[0], k.command[1:]...)
	ownGroup(cmd)
	cmd.WaitDelay = time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return answer{}, &KeyringError{Reason: ReasonBroken, Detail: err.Error()}
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return answer{}, &KeyringError{Reason: ReasonBroken, Detail: err.Error()}
	}
	runtime.LockOSThread() // see endWithThread
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return answer{}, &KeyringError{Reason: ReasonBroken, Detail: "its helper does not start: " + cause(err).Error()}
	}
	stop := context.AfterFunc(bounded, func() { out.Close() }) // should anything keep it open
	defer stop()
	said := converse(in, out, append(line, '\n'))
	_ = cmd.Cancel() // it has nothing to do any more, whatever it said
	_ = cmd.Wait()
	return understand(ctx, bounded, said)
}

// converse writes the question, keeps in open so that the helper sees when this process ends, and returns one line.
func converse(in io.WriteCloser, out io.Reader, question []byte) []byte {
	defer in.Close()
	if _, err := in.Write(question); err != nil {
		return nil
	}
	line, err := bufio.NewReader(io.LimitReader(out, maxAnswer)).ReadBytes('\n')
	if err != nil {
		return nil
	}
	return line
}

// understand reads what the helper said. bounded is ctx with the time that it had.
func understand(ctx, bounded context.Context, said []byte) (answer, error) {
	var a answer
	err := json.Unmarshal(bytes.TrimSpace(said), &a)
	switch {
	case err == nil && a.Reason == "":
		return a, nil
	case err == nil && a.Reason == reasonNotFound:
		return answer{}, ErrNotFound
	case err == nil:
		return answer{}, &KeyringError{Reason: a.Reason, Detail: a.Detail}
	case ctx.Err() != nil:
		return answer{}, ctx.Err()
	case errors.Is(bounded.Err(), context.DeadlineExceeded):
		return answer{}, &KeyringError{Reason: ReasonSilent}
	}
	return answer{}, &KeyringError{Reason: ReasonBroken, Detail: "its helper ended without an answer"}
}
