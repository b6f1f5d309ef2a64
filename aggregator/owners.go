package aggregator

import (
	"sync"

	"github.com/plait-mcp/plait/upstream"
)

// maxOwners bounds what a table of owners remembers; the oldest is forgotten.
const maxOwners = 4096

// owner is the server that an identifier belongs to, and what it is called there.
type owner struct {
	server *upstream.Session
	name   string
}

// owners remembers which server an identifier was seen from. Identifiers pass unchanged; the one that a
// second server also uses is exposed as `<server>:<identifier>`.
type owners struct {
	mu      sync.Mutex
	known   map[string]owner
	order   []string
	aliases map[*upstream.Session]bool
}

func newOwners() *owners {
	return &owners{known: map[string]owner{}, aliases: map[*upstream.Session]bool{}}
}

// expose returns what the client calls the identifier name of server.
func (o *owners) expose(server *upstream.Session, name string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	exposed := name
	for {
		have, ok := o.known[exposed]
		if !ok {
			break
		}
		if have == (owner{server, name}) {
			return exposed
		}
		o.aliases[server] = true
		exposed = server.Name() + ":" + exposed
	}
	o.enter(exposed, owner{server, name})
	return exposed
}

// learn notes that a server used an identifier, unless another one did before.
func (o *owners) learn(server *upstream.Session, name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.known[name]; !ok {
		o.enter(name, owner{server, name})
	}
}

func (o *owners) enter(exposed string, to owner) {
	if len(o.order) == maxOwners {
		delete(o.known, o.order[0])
		o.order = o.order[1:]
	}
	o.known[exposed] = to
	o.order = append(o.order, exposed)
}

func (o *owners) find(exposed string) (owner, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	to, ok := o.known[exposed]
	return to, ok
}

// move gives what belongs to a server to the one that has its place, nil for none.
func (o *owners) move(from, to *upstream.Session) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.aliases[from] && to != nil {
		o.aliases[to] = true
	}
	delete(o.aliases, from)
	kept := o.order[:0]
	for _, exposed := range o.order {
		have := o.known[exposed]
		switch {
		case have.server != from:
		case to == nil:
			delete(o.known, exposed)
			continue
		default:
			o.known[exposed] = owner{to, have.name}
		}
		kept = append(kept, exposed)
	}
	o.order = kept
}

// aliased reports whether an identifier of the server is exposed under another.
func (o *owners) aliased(server *upstream.Session) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.aliases[server]
}

// has reports whether the identifier name is known as one of server.
func (o *owners) has(server *upstream.Session, name string) bool {
	to, ok := o.find(name)
	return ok && to.server == server
}
