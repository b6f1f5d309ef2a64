package aggregator

import (
	"encoding/json"
	"strings"

	"github.com/plait-mcp/plait/upstream"
	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

// exposeElicitation writes the elicitationId in params as the client knows it. The ids are the servers' own,
// so with several servers they always carry the server's name.
func (s *Session) exposeElicitation(server *upstream.Session, params jsonrpc.Raw) jsonrpc.Raw {
	id, ok := jsonrpc.GetString(params, "elicitationId")
	if !ok {
		return params
	}
	return jsonrpc.Set(params, jsonrpc.Quote(server.Name()+":"+id), "elicitationId")
}

// exposeElicitations does the same in the data of the error that asks to visit URLs first.
func (s *Session) exposeElicitations(server *upstream.Session, data jsonrpc.Raw) jsonrpc.Raw {
	list, ok := jsonrpc.Get(data, "elicitations")
	if !ok {
		return data
	}
	all := jsonrpc.Raw("[")
	for e := range jsonrpc.Elements(list) {
		if len(all) > 1 {
			all = append(all, ',')
		}
		all = append(all, s.exposeElicitation(server, e)...)
	}
	return jsonrpc.Set(data, append(all, ']'), "elicitations")
}

// noteVisits remembers the elicitations in the data of that error of a shared server: their end is told to nobody else.
func (s *Session) noteVisits(server *upstream.Session, data jsonrpc.Raw) {
	list, _ := jsonrpc.Get(data, "elicitations")
	for e := range jsonrpc.Elements(list) {
		if id, ok := jsonrpc.GetString(e, "elicitationId"); ok {
			s.visits.expose(server, id)
		}
	}
}

// visited reports whether the client was given the elicitation that params name.
func (s *Session) visited(server *upstream.Session, params jsonrpc.Raw) bool {
	id, _ := jsonrpc.GetString(params, "elicitationId")
	_, known := s.visits.of(server, id)
	return known
}

// urlText turns that error into a tool result for a client too old to know it.
func urlText(e *jsonrpc.Error) jsonrpc.Raw {
	lines := []string{e.Message}
	list, _ := jsonrpc.Get(e.Data, "elicitations")
	for entry := range jsonrpc.Elements(list) {
		message, _ := jsonrpc.GetString(entry, "message")
		url, _ := jsonrpc.GetString(entry, "url")
		lines = append(lines, strings.TrimSpace(message+" "+url))
	}
	text, _ := json.Marshal(strings.Join(lines, "\n")) //nolint:errchkjson // a string
	return jsonrpc.Raw(`{"content":[{"type":"text","text":` + string(text) + `}],"isError":true}`)
}
