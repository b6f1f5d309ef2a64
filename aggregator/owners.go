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
	tool   string // of a task: the tool that was called for it, "" if that is not known
}

func (o owner) is(server *upstream.Session, name string) bool {
	return o.server == server && o.name == name
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
	exposed, known := o.look(server, name)
	if !known {
		if exposed != name {
			o.aliases[server] = true
		}
		o.enter(exposed, owner{server: server, name: name})
	}
	return exposed
}

// look returns under which identifier one of a server is entered, or may be. The owners are locked.
func (o *owners) look(server *upstream.Session, name string) (exposed string, known bool) {
	exposed = name
	for {
		have, ok := o.known[exposed]
		if !ok || have.is(server, name) {
			return exposed, ok
		}
		exposed = server.Name() + ":" + exposed
	}
}

// start notes that a tool has started a task.
func (o *owners) start(server *upstream.Session, name, tool string) {
	exposed := o.expose(server, name)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.known[exposed] = owner{server, name, tool}
}

// of returns the entry of what a server calls name.
func (o *owners) of(server *upstream.Session, name string) (owner, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	exposed, known := o.look(server, name)
	return o.known[exposed], known
}

// learn notes that a server used an identifier, unless another one did before.
func (o *owners) learn(server *upstream.Session, name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.known[name]; !ok {
		o.enter(name, owner{server: server, name: name})
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
			have.server = to
			o.known[exposed] = have
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
