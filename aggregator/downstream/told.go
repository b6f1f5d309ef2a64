package downstream

import (
	"sync"

	"github.com/hashicorp/go-hclog"
)

// maxKinds bounds the kinds of things that are told apart; more of them are one kind.
const maxKinds = 100

// told has what clients do wrong logged: the first of its kind at level warn, for a person, and more at level debug,
// so that nobody can fill a log.
type told struct {
	log hclog.Logger

	mu    sync.Mutex
	kinds map[string]bool
}

func newTold(log hclog.Logger) *told { return &told{log: log, kinds: map[string]bool{}} }

// say logs something of a kind.
func (t *told) say(kind, message string, args ...any) {
	level := hclog.Debug
	if t.first(kind) {
		level = hclog.Warn
	}
	t.log.Log(level, message, args...)
}

func (t *told) first(kind string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.kinds) >= maxKinds && !t.kinds[kind] {
		kind = ""
	}
	known := t.kinds[kind]
	t.kinds[kind] = true
	return !known
}
