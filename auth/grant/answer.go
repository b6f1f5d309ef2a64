package grant

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// maxAnswer is how much of an answer is read.
const maxAnswer = 1 << 20

// errTooLong is what a server that answers more than maxAnswer gets.
var errTooLong = errors.New("the answer is longer than 1 MiB")

// wire is the transport of one request. It makes of an answer what x/oauth2 can read: numbers that are not whole or
// are texts, tokens in an object of the answer, and errors in an answer of success are common.
type wire struct {
	next   http.RoundTripper
	path   string // of the object that holds the token, "" for the answer itself
	finish bool   // the request has a code or token that sending spends: the caller's end does not stop it

	connected, sent atomic.Bool

	// the answer, after the round trip
	status   int
	header   http.Header
	fields   map[string]any // nil when the answer is no object
	page     bool           // a page for people
	received time.Time
	skew     time.Duration
}

// RoundTrip implements http.RoundTripper, for one request.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	trace := &httptrace.ClientTrace{
		GotConn:      func(httptrace.GotConnInfo) { w.connected.Store(true) },
		WroteHeaders: func() { w.sent.Store(true) },
	}
	r = r.Clone(httptrace.WithClientTrace(r.Context(), trace))
	r.Header.Set("Accept", "application/json") // GitHub answers with a form otherwise
	started := time.Now()
	response, err := w.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	w.received = time.Now()
	w.skew = skewOf(response.Header, started, w.received)
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the answer: %w", err)
	case len(body) > maxAnswer:
		return nil, errTooLong
	}
	w.status, w.header = response.StatusCode, response.Header
	w.page = isPage(response.Header, body)
	if fields := parseAnswer(body); fields != nil && !w.page {
		w.fields = mend(fields, w.path)
		if body, err = json.Marshal(w.fields); err != nil {
			return nil, err
		}
	}
	response.Header = response.Header.Clone()
	response.Header.Set("Content-Type", "application/json")
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// skewOf returns how far the local clock is ahead of the one of a Date header, which counts whole seconds.
func skewOf(h http.Header, started, received time.Time) time.Duration {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	middle := started.Add(received.Sub(started) / 2)
	return middle.Round(0).Sub(date)
}

// isPage reports whether an answer is a page for people: of a proxy, a portal or a broken server.
func isPage(h http.Header, body []byte) bool {
	return strings.HasPrefix(h.Get("Content-Type"), "text/html") || bytes.HasPrefix(bytes.TrimSpace(body), []byte("<"))
}

// parseAnswer reads an answer in JSON, or in the form of a query, whatever it is called; nil for all else.
func parseAnswer(body []byte) map[string]any {
	decoder := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\ufeff"))))
	decoder.UseNumber()
	var fields map[string]any
	if decoder.Decode(&fields) == nil {
		return fields
	}
	form, err := url.ParseQuery(strings.TrimSpace(string(body)))
	if err != nil || !form.Has("access_token") && !form.Has("error") {
		return nil
	}
	fields = make(map[string]any, len(form))
	for name := range form {
		fields[name] = form.Get(name)
	}
	return fields
}

// mend returns the fields of a token answer in the types that RFC 6749 gives them.
func mend(fields map[string]any, path string) map[string]any {
	if path != "" {
		fields = descend(fields, strings.Split(path, "."))
	}
	mended := map[string]any{}
	for name, value := range fields {
		switch value := value.(type) {
		case string:
			mended[name] = value
		case json.Number, bool:
			mended[name] = value
		case []any:
			if name == "scope" {
				mended[name] = joined(value)
			}
		}
	}
	for _, name := range []string{"expires_in", "refresh_expires_in", "refresh_token_expires_in"} {
		seconds := wholeSeconds(fields[name])
		delete(mended, name)
		if seconds > 0 {
			mended[name] = seconds
		}
	}
	mendError(fields, mended)
	return mended
}

// mendError puts an error where RFC 6749 has it: Slack says ok: false, others send an object or a message.
func mendError(fields, mended map[string]any) {
	for _, name := range []string{"access_token", "token_type", "refresh_token", "id_token", "scope", "error", "error_description", "error_uri"} {
		if _, ok := mended[name].(string); !ok {
			delete(mended, name)
		}
	}
	if inner, ok := fields["error"].(map[string]any); ok {
		mended["error"] = textOf(inner, "status", "type", "code")
		mended["error_description"] = textOf(inner, "message", "error_description")
	}
	if fields["ok"] == false && mended["error"] == nil {
		mended["error"] = "error"
	}
	if mended["error_description"] == nil {
		if said := textOf(fields, "message", "msg", "detail"); said != "" {
			mended["error_description"] = said
		}
	}
}

// descend returns the fields of an object in an object, with those around it that it does not have.
func descend(fields map[string]any, path []string) map[string]any {
	all := maps.Clone(fields)
	for _, name := range path {
		inner, ok := fields[name].(map[string]any)
		if !ok {
			return all
		}
		maps.Copy(all, inner)
		fields = inner
	}
	return all
}

// textOf returns the first field of these names that is a text.
func textOf(fields map[string]any, names ...string) string {
	for _, name := range names {
		if text, ok := fields[name].(string); ok {
			return text
		}
	}
	return ""
}

func joined(values []any) string {
	var words []string
	for _, v := range values {
		if word, ok := v.(string); ok {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// wholeSeconds reads a duration that is a number, whole or not, or a text; 0 when it is none or not positive.
func wholeSeconds(value any) int64 {
	var text string
	switch value := value.(type) {
	case json.Number:
		text = value.String()
	case string:
		text = strings.TrimSpace(value)
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds >= 1) {
		return 0
	}
	return int64(min(seconds, math.MaxInt32))
}
