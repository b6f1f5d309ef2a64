package transport

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/plait-mcp/plait/upstream/jsonrpc"
)

const maxExcerpt = 300

// refusal is an HTTP response without success.
type refusal struct {
	status *StatusError
	answer *jsonrpc.Message // the JSON-RPC response in the body, nil when there is none
	body   []byte
}

// readRefusal reads and closes the body of a response without success.
func readRefusal(resp *http.Response, limit int64) refusal {
	defer resp.Body.Close()
	r := refusal{status: &StatusError{
		Code:       resp.StatusCode,
		RetryAfter: retryAfter(resp.Header.Get("Retry-After")),
		Challenge:  strings.Join(resp.Header.Values("Www-Authenticate"), ", "),
	}}
	r.body, _ = io.ReadAll(io.LimitReader(resp.Body, limit))
	if bytes.HasPrefix(bytes.TrimLeft(r.body, "\ufeff \t\r\n"), []byte("{")) {
		if m, err := jsonrpc.Parse(bytes.TrimPrefix(bytes.Clone(r.body), []byte("\ufeff"))); err == nil && m.Kind() == jsonrpc.Response {
			r.answer = m
		}
	}
	r.status.Body = excerpt(r.body)
	return r
}

// answers returns the response of the body when it answers the request with that id: it has the id, or it is
// an error with no id, as servers write who refuse before they read.
func (r refusal) answers(id jsonrpc.ID) *jsonrpc.Message {
	switch {
	case id == "" || r.answer == nil:
		return nil
	case r.answer.ID().Key() == id.Key():
		return r.answer
	case r.answer.ID() == jsonrpc.Null:
		return withID(r.answer, id)
	}
	return nil
}

// sessionLost reports whether the response to a request with a session id says that the server does not know
// the session. 404 does (MCP, Streamable HTTP, session management, rule 3), unless it says in JSON-RPC that
// something else was not found; after a restart several servers say it in words, with 400 or 401.
func (r refusal) sessionLost(id jsonrpc.ID) bool {
	ours := r.answer != nil && id != "" && r.answer.ID().Key() == id.Key()
	switch r.status.Code {
	case http.StatusNotFound:
		if r.answer == nil || r.answer.Error() == nil {
			return true
		}
		return r.answer.Error().Code != jsonrpc.CodeMethodNotFound && (!ours || unknownSession(r.body))
	case http.StatusBadRequest:
		return !ours && unknownSession(r.body)
	case http.StatusUnauthorized:
		return !ours && r.status.Challenge == "" && unknownSession(r.body)
	}
	return false
}

// unknownSession reports whether a body says that a session is unknown.
func unknownSession(body []byte) bool {
	text := strings.ToLower(string(body[:min(len(body), 4*maxExcerpt)]))
	if strings.Contains(text, "server not initialized") {
		return true
	}
	if !strings.Contains(text, "session") {
		return false
	}
	for _, words := range []string{
		"not found", "no valid", "invalid", "unknown", "expired", "terminated", "not exist", "no longer", "no transport",
		"not initialized",
	} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

// withID returns m with another id.
func withID(m *jsonrpc.Message, id jsonrpc.ID) *jsonrpc.Message {
	other, err := jsonrpc.Parse(m.WithID(id).Bytes())
	if err != nil {
		return nil
	}
	return other
}

// retryAfter reads the header of that name (RFC 9110, section 10.2.3).
func retryAfter(value string) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

// excerpt returns the beginning of a body for a person to read.
func excerpt(body []byte) string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(body[:min(len(body), 4*maxExcerpt)]), "")), " ")
	if len(text) <= maxExcerpt {
		return text
	}
	return strings.ToValidUTF8(text[:maxExcerpt-len("…")], "") + "…"
}
