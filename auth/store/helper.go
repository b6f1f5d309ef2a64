package store

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/99designs/keyring"

	"github.com/plait-mcp/plait/auth/store/dbusguard"
)

// maxDetail bounds what is repeated of a keyring's errors.
const maxDetail = 200

// HelperArg is the argument with which plait is the helper of a Keyring.
const HelperArg = dbusguard.HelperArg

// IsHelper reports whether args, with which a program was started, ask it to be the helper: then it must call
// ServeKeyring with its standard input and output before anything else, and exit.
func IsHelper(args []string) bool { return dbusguard.IsHelper(args) }

// ServeKeyring answers one question of a Keyring. It returns when it has, or when in ends: then nobody wants the answer
// any more, and the process should end although a goroutine may still wait for the keyring.
func ServeKeyring(in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read the question: %w", err)
	}
	var q request
	if err := json.Unmarshal(line, &q); err != nil {
		return errors.New("the question cannot be read")
	}
	answered := make(chan answer, 1)
	go func() { answered <- respond(q) }()
	gone := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		close(gone)
	}()
	select {
	case a := <-answered:
		data, err := json.Marshal(a)
		if err == nil {
			_, err = out.Write(append(data, '\n'))
		}
		return err
	case <-gone:
		return errors.New("nobody waits for the answer")
	}
}

// respond asks the keyring.
func respond(q request) answer {
	e, err := openEntry(q)
	if err != nil {
		return refuse(err)
	}
	var item keyring.Item
	switch q.Op {
	case opGet:
		item, err = e.ring.Get(e.key)
	case opSet:
		err = e.ring.Set(keyring.Item{Key: e.key, Data: q.Value, Label: e.label, Description: "kept by plait"})
	case opDelete:
		if _, err = e.ring.Get(e.key); err == nil { // not every keyring says that there was none
			err = e.ring.Remove(e.key)
		}
	case opUnlock:
	default:
		err = fmt.Errorf("no such question: %q", q.Op)
	}
	if err != nil {
		return refuse(err)
	}
	return answer{Value: item.Data}
}

// entry is where something is in a keyring.
type entry struct {
	ring       keyring.Keyring
	key, label string
}

func refuse(err error) answer {
	var reason *KeyringError
	switch {
	case errors.Is(err, keyring.ErrKeyNotFound):
		return answer{Reason: reasonNotFound}
	case errors.Is(err, keyring.ErrNoAvailImpl):
		return answer{Reason: ReasonAbsent}
	case errors.As(err, &reason):
		return answer{Reason: reason.Reason, Detail: printable(reason.Detail)}
	case strings.Contains(err.Error(), "locked"):
		return answer{Reason: ReasonLocked}
	}
	return answer{Reason: ReasonBroken, Detail: printable(err.Error())}
}

// printable returns the beginning of a text, without what a terminal could take for a command.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r > 0x7e && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "") + "…"
	}
	return text
}
