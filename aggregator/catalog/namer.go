package catalog

import (
	"cmp"
	"strings"

	"github.com/plait-mcp/plait/config"
)

// Namer makes exposed names. It knows the configured servers and nothing of what they list.
type Namer struct {
	limit       int
	bareNames   bool
	passthrough bool
	naming      config.Naming
	servers     []*server // in the order of the configuration
	byName      map[string]*server
}

// server is one configured server.
type server struct {
	name   string
	prefix string   // with the separator; "" for none
	inner  []string // folded beginnings of own names that would look like another server's
	alias  string   // stands in front of aliased URIs; matches [a-z][a-z0-9.-]*, unique
	policy [kinds]policy
}

// NewNamer returns the Namer of a configuration. Of servers it reads names, prefixes and rules; all that are
// enabled count, whether they work or not. A zero naming means separator "_" and 48 characters.
func NewNamer(naming config.Naming, servers []*config.Server) *Namer {
	n := &Namer{
		limit:     min(max(cmp.Or(naming.MaxLength, defaultLimit), minLimit), hardLimit),
		bareNames: naming.BareNames || len(servers) == 1,
		naming:    naming,
		byName:    make(map[string]*server, len(servers)),
	}
	aliases := make(map[string]bool, len(servers))
	for _, s := range servers {
		own := &server{name: s.Name, alias: aliasName(s.Name), policy: policies(s)}
		if prefix := config.SanitizePrefix(s.Prefix); prefix != "" {
			own.prefix = prefix + cmp.Or(naming.Separator, "_")
		}
		for length := hashLength; aliases[own.alias]; length++ {
			own.alias = aliasName(s.Name) + "-" + hash(s.Name, "", length)
		}
		aliases[own.alias] = true
		n.servers = append(n.servers, own)
		n.byName[s.Name] = own
	}
	n.passthrough = len(n.servers) == 1 && n.servers[0].prefix == ""
	n.findInner()
	return n
}

// findInner notes for each server where the names of others begin within its own.
func (n *Namer) findInner() {
	for i, s := range n.servers {
		for j, other := range n.servers {
			rest, nested := strings.CutPrefix(fold(other.prefix), fold(s.prefix))
			if i != j && nested && (rest != "" || j < i) {
				s.inner = append(s.inner, rest)
			}
		}
	}
}

// Passthrough reports whether there is a single server whose names are not touched.
func (n *Namer) Passthrough() bool { return n.passthrough }

// Prefix returns what the exposed names of a server begin with, separator included; "" when they have no prefix.
func (n *Namer) Prefix(serverName string) string {
	if s := n.byName[serverName]; s != nil {
		return s.prefix
	}
	return ""
}

// limitOf returns how long exposed names of a kind may be.
func (n *Namer) limitOf(k Kind) int {
	if k == Prompts {
		return hardLimit
	}
	return n.limit
}

// refuses reports whether an item is left out, and not hashed, because of a fault of its name.
func (n *Namer) refuses(f fault) bool {
	switch f {
	case tooLong:
		return n.naming.OnTooLong == "error"
	case foreign, alike:
		return n.naming.OnCollision == "error"
	default:
		return false
	}
}

// plain returns the exposed name without a hash, and why it cannot be used.
func (s *server) plain(name string, limit int) (string, fault) {
	own := sanitize(name)
	whole := startWithLetter(s.prefix + own)
	if len(whole) > limit {
		return whole, tooLong
	}
	if len(s.inner) > 0 {
		folded := fold(own)
		for _, rest := range s.inner {
			if strings.HasPrefix(folded, rest) {
				return whole, foreign
			}
		}
	}
	if own != name || len(whole) != len(s.prefix)+len(own) {
		return whole, replaced
	}
	return whole, fits
}

// hashed returns the exposed name of the item name, called own, that ends in a hash.
func (s *server) hashed(own, name string, space hashSpace) string {
	whole, _ := s.plain(own, space.limit)
	return cut(whole, space.limit-1-space.length) + "_" + hash(s.name, name, space.length)
}

// aliasName makes a server's name fit to begin the scheme of a URI (RFC 3986, 3.1).
func aliasName(name string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '-':
			return r
		}
		return '-'
	}, name)
	if clean == "" || !isLetter(rune(clean[0])) {
		return "s-" + clean
	}
	return clean
}
