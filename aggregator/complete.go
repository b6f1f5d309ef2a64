package aggregator

import (
	"context"

	"github.com/plait-mcp/plait/aggregator/catalog"
	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
	"github.com/plait-mcp/plait/upstream/protocol"
)

// maxValues is how many values a completion may have (2025-11-25, completion); clients refuse more.
const maxValues = 100

// complete forwards a completion to the server of the prompt or resource that it refers to.
func (s *Session) complete(ctx context.Context, v *view, m *jsonrpc.Message) (jsonrpc.Text, error) {
	params := m.Params()
	if err := jsonrpc.CheckMembers(params, "ref", "argument", "context", "_meta"); err != nil {
		return nil, invalid(err)
	}
	ref, _ := jsonrpc.Get(params, "ref")
	v, target, err := s.referred(ctx, v, ref)
	if err != nil {
		return nil, err
	}
	server := v.byName[target.Server]
	params = jsonrpc.Set(params, target.Ref, "ref")
	if !v.transparent() && server.Status().State == upstream.Ready && !server.Can("completions") && server.Version() > protocol.V20241105 {
		return jsonrpc.Result(m.ID(), jsonrpc.Raw(`{"completion":{"values":[]}}`)), nil
	}
	if v := server.Version(); v != "" && v < protocol.V20250618 {
		params = jsonrpc.Delete(params, "context")
	}
	call, err := s.call(m, params)
	if err != nil {
		return nil, err
	}
	answer, err := server.Call(ctx, call)
	if err != nil {
		return nil, err
	}
	if answer.Error() == nil {
		if result, cut := limitValues(answer.Result()); cut {
			return answer.WithResult(m.ID(), result), nil
		}
	}
	return s.back(v, m, server, answer), nil
}

// referred returns the server that a reference belongs to, and the reference as that server knows it, with the
// view that says so.
func (s *Session) referred(ctx context.Context, v *view, ref jsonrpc.Raw) (*view, catalog.Ref, error) {
	var found []catalog.Ref
	look := func(c *catalog.Catalog) error {
		var err error
		found, err = c.Completion(ref)
		return err
	}
	var err error
	for _, l := range []protocol.List{protocol.Prompts, protocol.Templates, protocol.Resources} {
		if v, err = s.until(ctx, v, l, look); err == nil {
			return v, found[0], nil
		}
	}
	return v, catalog.Ref{}, invalid(err)
}

// limitValues cuts a completion that has more values than allowed.
func limitValues(result jsonrpc.Raw) (jsonrpc.Raw, bool) {
	values, _ := jsonrpc.Get(result, "completion", "values")
	kept, n := jsonrpc.Raw("["), 0
	for v := range jsonrpc.Elements(values) {
		if n++; n > maxValues {
			result = jsonrpc.Set(result, append(kept, ']'), "completion", "values")
			return jsonrpc.Set(result, jsonrpc.Raw("true"), "completion", "hasMore"), true
		}
		if n > 1 {
			kept = append(kept, ',')
		}
		kept = append(kept, v...)
	}
	return result, false
}
