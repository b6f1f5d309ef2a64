package downstream

import (
	"net/http"
)

// maxHeaders bounds the headers of a request; what they take together is bounded by Serve.
const maxHeaders = 100

// singular are headers that a request has once at most: what stands on the way may read another one than we do.
var singular = [...]string{
	sessionHeader, versionHeader, resumeHeader, "Authorization", "Content-Type", "Content-Encoding", "Origin",
}

// misshapen says why a request cannot be understood in one way only, or is too large, nil if it is neither.
func misshapen(r *http.Request) *refusal {
	if r.ProtoMajor != 1 {
		return &refusal{http.StatusHTTPVersionNotSupported, "only HTTP/1.1 is served here"}
	}
	n := 0
	for _, values := range r.Header {
		n += len(values)
	}
	if n > maxHeaders {
		return &refusal{http.StatusRequestHeaderFieldsTooLarge, "the request has too many headers"}
	}
	for _, name := range singular {
		if len(r.Header[name]) > 1 {
			return &refusal{http.StatusBadRequest, "the header " + name + " must not come twice"}
		}
	}
	if r.ContentLength != 0 && (r.Method == http.MethodGet || r.Method == http.MethodDelete) {
		return &refusal{http.StatusBadRequest, "only a POST has a body"}
	}
	return nil
}
