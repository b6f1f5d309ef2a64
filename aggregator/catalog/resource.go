package catalog

import (
	"cmp"
	"slices"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// Step is the rule that found the servers of a URI, the surest first.
type Step uint8

// The steps.
const (
	Nowhere  Step = iota // nothing is known about the URI
	Alias                // it is an alias of ours
	Listed               // a server lists it, or listed it and keeps it
	Template             // it can be an expansion of a template
	Affinity             // only one server has ever listed its scheme and authority
	Only                 // there is only one server
)

// String returns the step's word for a log.
func (s Step) String() string {
	return [...]string{"nowhere", "alias", "listed", "template", "affinity", "only"}[s]
}

// Target is a resource on a server.
type Target struct {
	Server string
	URI    string // what to ask the server for
}

// Resolution says where a URI may be: at the first target, else at the next, and so on. Only Template and
// Affinity are guesses: what was learned from the servers' results comes before them. A sure one without targets is
// that of a URI which is hidden.
type Resolution struct {
	Step    Step
	Targets []Target
}

// Sure reports whether nothing else may decide where the URI is. The target may be a server that is offline;
// asking another one instead would let that one take the URI over.
func (r Resolution) Sure() bool { return r.Step == Alias || r.Step == Listed || r.Step == Only }

// Resource finds the server of a URI that a client asks for. No target is hidden by rules: those for URIs decide,
// whether the URI is listed, can be an expansion of a template that is shown or hidden, or neither.
func (c *Catalog) Resource(uri string) Resolution {
	found := c.resolve(uri)
	found.Targets = slices.DeleteFunc(found.Targets, func(t Target) bool {
		return c.namer.Permits(t.Server, Resources, t.URI) != nil
	})
	return found
}

// resolve is Resource for one who may see everything.
func (c *Catalog) resolve(uri string) Resolution {
	if len(c.namer.servers) == 1 {
		return Resolution{Only, []Target{{c.namer.servers[0].name, uri}}}
	}
	key := normalize(uri)
	if t, ok := c.aliased(uri, key); ok {
		return Resolution{Alias, []Target{t}}
	}
	if owner, ok := c.owner(key); ok {
		return Resolution{Listed, []Target{{owner, uri}}}
	}
	root, rest := splitRoot(uri)
	if t, ok := c.roots[fold(root)]; ok {
		return Resolution{Alias, []Target{{t.Server, t.URI + rest}}}
	}
	rooted, rootless := c.matches(uri, key)
	if len(rooted) > 0 {
		return Resolution{Template, rooted}
	}
	if owner := c.pins.roots[affinityRoot(key)]; owner != "" && c.namer.Permits(owner, Resources, uri) == nil {
		return Resolution{Affinity, []Target{{owner, uri}}}
	}
	if len(rootless) > 0 {
		return Resolution{Template, rootless}
	}
	return Resolution{}
}

func (c *Catalog) aliased(uri, key string) (Target, bool) {
	if t, ok := c.aliases[uri]; ok {
		return t, true
	}
	t, ok := c.aliases[key]
	return t, ok
}

func (c *Catalog) owner(key string) (string, bool) {
	if owner, ok := c.pins.owners[key]; ok {
		return owner, true
	}
	owner, ok := c.extra[key]
	return owner, ok
}

// matches returns the servers with a template for the URI, the most specific first. Templates that could match
// any URI at all, those without a scheme, are apart: they must not take what another server is likelier to have.
func (c *Catalog) matches(uri, key string) (rooted, rootless []Target) {
	type hit struct {
		server string
		*pattern
	}
	var hits []hit
	for _, p := range c.parts {
		for _, t := range p.patterns {
			if t.match(key) && c.namer.Permits(p.server.name, Resources, uri) == nil {
				hits = append(hits, hit{p.server.name, t})
			}
		}
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(b.literals, a.literals) })
	for _, h := range hits {
		into := &rootless
		if h.rooted() {
			into = &rooted
		}
		if target := (Target{h.server, uri}); !slices.Contains(*into, target) {
			*into = append(*into, target)
		}
	}
	return rooted, rootless
}

// Ref is what a completion is asked of a server for.
type Ref struct {
	Server string
	Ref    jsonrpc.Raw // the client's, naming what the server knows
}

// Completion finds the servers that can complete a ref of completion/complete, in the order to ask them. A
// resource's ref may be a template or a URI. The error says what is wrong with the ref or that it is unknown.
func (c *Catalog) Completion(ref jsonrpc.Raw) ([]Ref, error) {
	if c.namer.passthrough {
		if only := c.namer.servers[0].name; !c.namer.Restricts(only, Prompts) && !c.namer.Restricts(only, Resources) {
			return []Ref{{only, ref}}, nil
		}
	}
	if err := jsonrpc.CheckMembers(ref, "type", "name", "uri"); err != nil {
		return nil, err
	}
	kind, _ := jsonrpc.GetString(ref, "type")
	switch kind {
	case "ref/prompt":
		name, _ := jsonrpc.GetString(ref, "name")
		e, err := c.Prompt(name)
		if err != nil {
			return nil, err
		}
		return []Ref{{e.Server, c.refer(ref, Prompts, Target{e.Server, e.Name})}}, nil
	case "ref/resource":
		uri, _ := jsonrpc.GetString(ref, "uri")
		var refs []Ref
		for _, t := range c.templateOrResource(uri) {
			refs = append(refs, Ref{t.Server, c.refer(ref, Resources, t)})
		}
		if len(refs) == 0 {
			return nil, &UnknownError{Kind: Templates, Name: uri}
		}
		return refs, nil
	}
	return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "unknown ref type: " + kind}
}

// templateOrResource returns the servers that list the template, else those that may have the resource.
func (c *Catalog) templateOrResource(uri string) []Target {
	var owners []Target
	for _, p := range c.parts {
		if slices.ContainsFunc(p.sections[Templates].items, func(it item) bool { return it.Name == uri }) {
			owners = append(owners, Target{p.server.name, uri})
		}
	}
	if len(owners) > 0 {
		return owners
	}
	return c.Resource(uri).Targets
}

// refer makes a ref name what the server knows. Where there are rules it is spelled as they were applied to it.
func (c *Catalog) refer(ref jsonrpc.Raw, k Kind, to Target) jsonrpc.Raw {
	member := nameMember(k)
	if was, _ := jsonrpc.GetString(ref, member); was == to.URI && !c.namer.Restricts(to.Server, k) {
		return ref
	}
	return jsonrpc.Set(ref, jsonrpc.Quote(to.URI), member)
}
