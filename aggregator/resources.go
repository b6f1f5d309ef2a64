package aggregator

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/plait-mcp/plait/aggregator/catalog"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

const (
	// learnable is the length up to which results are searched for URIs.
	learnable = 1 << 20
	// fanTime and fanWidth bound the search for the owner of a resource that nobody has listed.
	fanTime  = 5 * time.Second
	fanWidth = 4
)

// uriOf returns the checked params and URI of a request for a resource.
func uriOf(m *jsonrpc.Message) (string, error) {
	if err := jsonrpc.CheckMembers(m.Params(), "uri", "_meta"); err != nil {
		return "", invalid(err)
	}
	uri, ok := jsonrpc.GetString(m.Params(), "uri")
	if !ok {
		return "", jsonrpc.Errorf(jsonrpc.CodeInvalidParams, "uri must be a string")
	}
	return uri, nil
}

func unknown(uri string) error {
	return &jsonrpc.Error{
		Code: jsonrpc.CodeInvalidParams, Message: "Resource not found: " + uri,
		Data: jsonrpc.Set(jsonrpc.Raw("{}"), jsonrpc.Quote(uri), "uri"),
	}
}

func (s *Session) readResource(ctx context.Context, v *view, m *jsonrpc.Message) (jsonrpc.Text, error) {
	uri, err := uriOf(m)
	if err != nil {
		return nil, err
	}
	if v.alone() {
		if only := v.servers[0]; v.mayRead(only, uri) {
			return s.forward(ctx, v, m, only, v.spell(only, protocol.Resources, m.Params(), uri))
		}
		return nil, unknown(uri)
	}
	v, found := s.locate(ctx, v, uri)
	if found.Sure() && len(found.Targets) == 0 {
		return nil, unknown(uri)
	}
	for i, t := range found.Targets {
		server := v.byName[t.Server]
		call, err := s.call(m, v.spell(server, protocol.Resources, m.Params(), t.URI))
		if err != nil {
			return nil, err
		}
		answer, err := server.Call(ctx, call)
		if err != nil && (found.Sure() || errors.Is(err, upstream.ErrRetired)) {
			return nil, err
		}
		if err != nil || answer.Error() != nil && i < len(found.Targets)-1 {
			continue
		}
		if answer.Error() == nil && t.URI != uri {
			result := v.catalog().RewriteRead(t, uri, answer.Result())
			s.learn(server, m.Method(), result)
			return answer.WithResult(m.ID(), result), nil
		}
		return s.back(v, m, server, answer), nil
	}
	return s.search(ctx, v, m, uri)
}

// locate says which servers may own a resource, the likeliest first: who listed it, who named it in a result,
// whose template matches, who alone lists that authority.
func (s *Session) locate(ctx context.Context, v *view, uri string) (*view, catalog.Resolution) {
	found := v.catalog().Resource(uri)
	for _, l := range []protocol.List{protocol.Resources, protocol.Templates} {
		v, _ = s.until(ctx, v, l, func(c *catalog.Catalog) error {
			if found = c.Resource(uri); found.Sure() {
				return nil
			}
			return unknown(uri)
		})
	}
	if to, ok := s.learned.find(uri); ok && !found.Sure() && v.heir(to.server) != nil && v.mayRead(to.server, to.name) {
		return v, catalog.Resolution{Step: catalog.Listed, Targets: []catalog.Target{{Server: to.server.Name(), URI: to.name}}}
	}
	return v, found
}

// search asks all servers that have resources for one that nobody listed. The first to give contents has it.
func (s *Session) search(ctx context.Context, v *view, m *jsonrpc.Message, uri string) (jsonrpc.Text, error) {
	ctx, cancel := context.WithTimeout(ctx, fanTime)
	defer cancel()
	var servers []*upstream.Session
	for _, server := range v.servers {
		if server.Can("resources") && v.mayRead(server, uri) {
			servers = append(servers, server)
		}
	}
	type found struct {
		server *upstream.Session
		answer *jsonrpc.Message
	}
	results := make(chan found, len(servers))
	slots := make(chan struct{}, fanWidth)
	for _, server := range servers {
		s.start(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			call, err := s.call(m, v.spell(server, protocol.Resources, m.Params(), uri))
			call.Progress = nil
			var answer *jsonrpc.Message
			if err == nil {
				answer, _ = server.Call(ctx, call)
			}
			results <- found{server, answer}
		})
	}
	for range servers {
		var r found
		select {
		case r = <-results:
		case <-ctx.Done():
			return nil, unknown(uri)
		}
		if r.answer == nil || r.answer.Error() != nil {
			continue
		}
		contents, _ := jsonrpc.Get(r.answer.Result(), "contents")
		for range jsonrpc.Elements(contents) {
			return s.back(v, m, r.server, r.answer), nil
		}
	}
	return nil, unknown(uri)
}

func (s *Session) subscribe(ctx context.Context, v *view, m *jsonrpc.Message) (jsonrpc.Text, error) {
	return s.subscription(ctx, v, m, (*upstream.Session).Subscribe)
}

func (s *Session) unsubscribe(ctx context.Context, v *view, m *jsonrpc.Message) (jsonrpc.Text, error) {
	return s.subscription(ctx, v, m, (*upstream.Session).Unsubscribe)
}

type subscription func(*upstream.Session, context.Context, upstream.Client, string, upstream.Call) (*jsonrpc.Message, error)

func (s *Session) subscription(
	ctx context.Context, v *view, m *jsonrpc.Message, do subscription,
) (jsonrpc.Text, error) {
	uri, err := uriOf(m)
	if err != nil {
		return nil, err
	}
	v, target, err := s.subscribable(ctx, v, uri)
	if err != nil {
		return nil, err
	}
	server, name := v.byName[target.Server], target.URI
	call, err := s.call(m, v.spell(server, protocol.Resources, m.Params(), name))
	if err != nil {
		return nil, err
	}
	at := resource{server.Name(), name}
	had := s.noteSubscription(at, m.Method() == protocol.Subscribe) // an update may come before the answer
	answer, err := do(server, ctx, s, name, call)
	if err != nil || answer != nil && answer.Error() != nil {
		s.noteSubscription(at, had)
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	heir := s.now.Load().heir(server)
	s.mu.Unlock()
	if heir != nil && heir != server { // it came too late to inherit this
		if answer, err = do(heir, ctx, s, name, call); err != nil {
			return nil, err
		}
	}
	if answer == nil {
		return jsonrpc.Result(m.ID(), jsonrpc.Raw("{}")), nil
	}
	return s.back(v, m, server, answer), nil
}

// resource is a resource by its server's name for it.
type resource struct{ server, uri string }

// noteSubscription notes whether the client is subscribed to a resource, and returns whether it was.
func (s *Session) noteSubscription(to resource, is bool) (was bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was = s.subs[to]
	if s.subs[to] = is; !is {
		delete(s.subs, to)
	}
	return was
}

// subscribed reports whether the client subscribed to the resource of the server or to one that contains it.
func (s *Session) subscribed(server, uri string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for have := range s.subs {
		if have.server == server && (uri == have.uri || strings.HasPrefix(uri, strings.TrimSuffix(have.uri, "/")+"/")) {
			return true
		}
	}
	return false
}

// subscribable returns the server that a client's URI belongs to, and its name for it, with the view that says so.
func (s *Session) subscribable(ctx context.Context, v *view, uri string) (*view, catalog.Target, error) {
	if v.alone() && v.mayRead(v.servers[0], uri) {
		return v, catalog.Target{Server: v.servers[0].Name(), URI: uri}, nil
	}
	if v.alone() {
		return v, catalog.Target{}, unknown(uri)
	}
	v, found := s.locate(ctx, v, uri)
	if len(found.Targets) == 0 {
		return v, catalog.Target{}, unknown(uri)
	}
	return v, found.Targets[0], nil
}

// learn notes the URIs that a result names, so that the client can ask for them although no list has them.
func (s *Session) learn(server *upstream.Session, method string, result jsonrpc.Raw) {
	switch method {
	case protocol.ResourcesRead:
		s.learnContents(server, result, "contents")
	case protocol.ToolsCall, protocol.TasksResult:
		s.learnContents(server, result, "content")
	case protocol.PromptsGet:
		messages, _ := jsonrpc.Get(result, "messages")
		for message := range jsonrpc.Elements(messages) {
			if content, ok := jsonrpc.Get(message, "content"); ok {
				s.learnContent(server, content)
			}
		}
	}
}

func (s *Session) learnContents(server *upstream.Session, result jsonrpc.Raw, member string) {
	contents, _ := jsonrpc.Get(result, member)
	for content := range jsonrpc.Elements(contents) {
		s.learnContent(server, content)
	}
}

func (s *Session) learnContent(server *upstream.Session, content jsonrpc.Raw) {
	for _, path := range [][]string{{"uri"}, {"resource", "uri"}} {
		if uri, ok := jsonrpc.GetString(content, path...); ok {
			s.learned.learn(server, uri)
		}
	}
}
