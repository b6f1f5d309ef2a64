package config

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/plait-mcp/plait/config/tree"
)

// candidate returns the candidate that a text alone stands for.
func (l *loader) candidate(n *tree.Node, at place) any {
	return map[string]any{"use": l.leaf(n, reflect.TypeFor[string](), at)}
}

// chooseIdentity gives a server its identity: the first candidate whose condition holds and that has no problems. What
// is wrong with all that were tried is wrong with the server.
func (l *loader) chooseIdentity(ctx context.Context, e *entry) {
	owner := l.servers[e.Name]
	switch {
	case e.Type == Stdio:
		if len(e.Choice) > 0 {
			l.add(l.ofServer(e.Name, "identity"), Problem{
				ID: IDNoIdentity, Msg: "a command signs in by itself", Hint: "remove it, and give the command what it needs in env",
			})
		}
		return
	case l.isBroken("mcpServers", e.Name, "identity"):
		return
	case len(e.Choice) == 0:
		e.Identity = implicitIdentity(&e.Server)
		l.checkSameName(e.Identity)
		return
	}
	tried, exist := l.usable(ctx, e)
	if !exist {
		return
	}
	i := slices.IndexFunc(tried, func(i *Identity) bool { return len(i.Problems) == 0 })
	if i < 0 {
		for _, identity := range tried {
			owner.problems = append(owner.problems, identity.Problems...)
		}
		if len(tried) == 0 {
			l.add(l.ofServer(e.Name, "identity"), Problem{
				ID: IDNotUsable, Msg: "none of the identities may be used here", Hint: "set one of the variables under when, or add an identity without when at the end",
			})
		}
		return
	}
	e.Identity = tried[i]
	for _, passed := range tried[:i] {
		l.warn(l.ofServer(e.Name, "identity"), IDNextBest, fmt.Sprintf("identity %q cannot be used, so %q is", passed.Name, e.Identity.Name), "repair it, or remove it from the list")
		l.warnings = append(l.warnings, passed.Problems...)
	}
	l.checkAgainst(&e.Server)
}

// usable returns the candidates of a server whose conditions hold, up to the first that has no problems. It is false
// when one does not exist, which has been reported.
func (l *loader) usable(ctx context.Context, e *entry) (tried []*Identity, exist bool) {
	exist = true
	for i, c := range e.Choice {
		at := l.ofServer(e.Name, "identity", strconv.Itoa(i), "use")
		switch {
		case c.Use == "":
			l.add(at, Problem{ID: IDNoSuchIdentity, Msg: "names no identity", Hint: "write {use: NAME}"})
			exist = false
		case !slices.Contains(l.identityNames(), c.Use):
			l.add(at, Problem{
				ID: IDNoSuchIdentity, Msg: fmt.Sprintf("there is no identity %q", l.source(at, c.Use)),
				Hint: didYouMean(c.Use, l.identityNames(), "write it under identities, or name another one"),
			})
			exist = false
		}
	}
	if !exist {
		return nil, false
	}
	for _, c := range e.Choice {
		if !l.holds(c.When) {
			continue
		}
		tried = append(tried, l.identity(ctx, c.Use))
		if len(tried[len(tried)-1].Problems) == 0 {
			break
		}
	}
	return tried, true
}

// holds tells whether the variable of a condition is set, and to something that means yes.
func (l *loader) holds(c condition) bool {
	if c.Env == "" {
		return true
	}
	value, _ := l.lookup(c.Env)
	return !slices.Contains([]string{"", "0", "false", "no", "off"}, strings.ToLower(value))
}

// identityNames returns the names of the identities that the layers have together, in the order of the files.
func (l *loader) identityNames() []string {
	all, _ := l.values["identities"].(map[string]any)
	return slices.DeleteFunc(slices.Clone(l.names), func(name string) bool { return all[name] == nil })
}

// identity decodes and checks the identity of that name, once for all servers. No secret of one that no server may use
// is looked up.
func (l *loader) identity(ctx context.Context, name string) *Identity {
	if i := l.decoded[name]; i != nil {
		return i
	}
	known := l.identities[name]
	outer := l.scope
	l.scope = known
	defer func() { l.scope = outer }()
	all, _ := l.values["identities"].(map[string]any)
	values, _ := all[name].(map[string]any)
	i := NewIdentity(name, GrantAuto)
	i.Pos, i.Dir = known.at.pos, known.at.layer.dir
	l.decode(ctx, values, i)
	c := identityCheck{l, i}
	c.complete()
	c.check()
	i.Problems, i.Secrets = known.problems.Sorted(), known.secrets
	l.decoded[name] = i
	return i
}

// identitiesInOrder returns those that a chosen server may use, and warns of those that no server names.
func (l *loader) identitiesInOrder() []*Identity {
	var all []*Identity
	named, sure := l.namedIdentities()
	for _, name := range l.identityNames() {
		switch i := l.decoded[name]; {
		case i != nil:
			all = append(all, i)
		case sure && !slices.Contains(named, name):
			l.warn(l.identities[name].at, IDUnused, "no server uses this identity", "write identity: "+name+" into a server, or remove it")
		}
	}
	return all
}

// namedIdentities returns the names that stand in the servers, chosen or not, and under defaults. It is not sure when
// one of them stands in a variable.
func (l *loader) namedIdentities() (names []string, sure bool) {
	sure = true
	note := func(entry any) {
		values, _ := entry.(map[string]any)
		list, _ := values["identity"].([]any)
		for _, item := range list {
			c, _ := item.(map[string]any)
			if use, ok := c["use"].(ref); ok {
				name := l.leaves[use].node.Scalar
				names, sure = append(names, name), sure && !strings.Contains(name, "$")
			}
		}
	}
	note(l.values["defaults"])
	servers, _ := l.values["mcpServers"].(map[string]any)
	for _, entry := range servers {
		note(entry)
	}
	return names, sure
}

// checkSameName reports a server without an identity whose name is that of one: what they sign in to would be mixed up.
func (l *loader) checkSameName(implicit *Identity) {
	if implicit.Grant == GrantAuto && slices.Contains(l.identityNames(), implicit.Name) {
		l.add(l.servers[implicit.Name].at, Problem{
			ID: IDSameName, Msg: "there is an identity of that name, which the server does not use",
			Hint: fmt.Sprintf("write identity: %s into it, or call one of them otherwise", implicit.Name),
		})
	}
}

// checkAgainst reports what a server and its identity both say.
func (l *loader) checkAgainst(s *Server) {
	i := s.Identity
	if i.Grant == GrantNone {
		return
	}
	for _, name := range sortedKeys(s.Headers) {
		if sent := i.sends(name); sent {
			l.add(l.ofServer(s.Name, "headers", name), Problem{
				ID: IDContradiction, Msg: fmt.Sprintf("identity %q sends it, too", i.Name), Hint: "remove the header, or the identity",
			})
		}
	}
	if user, ok := userInfo(s.URL); ok && user && i.sends("Authorization") {
		l.add(l.ofServer(s.Name, "url"), Problem{
			ID: IDContradiction, Msg: fmt.Sprintf("holds a user, and identity %q says who it is", i.Name), Hint: "remove the user, or the identity",
		})
	}
}

// sends tells whether requests get that header from the identity.
func (i *Identity) sends(header string) bool {
	if i.Grant != GrantHeader {
		return strings.EqualFold(header, "Authorization")
	}
	return slices.ContainsFunc(sortedKeys(i.Headers), func(name string) bool { return strings.EqualFold(name, header) })
}

// ofServer returns where the nearest of those keys of a server stands, as a place of that server even when it stands
// under defaults.
func (l *loader) ofServer(server string, keys ...string) place {
	for n := len(keys); n > 0; n-- {
		for _, above := range [][]string{{"mcpServers", server}, {"defaults"}} {
			if at, ok := l.pos[keyPath(slices.Concat(above, keys[:n])...)]; ok {
				at.owner = l.servers[server]
				return at
			}
		}
	}
	return l.servers[server].at
}
