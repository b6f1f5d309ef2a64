package flow

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/plait-mcp/plait/auth/store"
)

// exchangeTimeout is how long Finish may take.
const exchangeTimeout = time.Minute

// errPath says that an answer came in elsewhere than the authorization server was told.
var errPath = errors.New("an answer at another path than that of the redirect URI")

// maxAnswer is how long a parameter of an answer may be.
const maxAnswer = 4 << 10

// complete takes the answer of an authorization server, RFC 6749 section 4.1.2. It returns ErrStale when the answer
// belongs to no sign-in that is under way, which stays as it is; else how the sign-in ended, which has been saved for
// all who wait. path is where the answer came in, "" when a person brought it.
func (b *Broker) complete(ctx context.Context, path string, answer url.Values) (*record, error) {
	r, err := b.claim(ctx, path, answer)
	if err != nil {
		return nil, err
	}
	end := b.judge(ctx, r, answer)
	if err := b.store.Put(context.WithoutCancel(ctx), store.Pending, r.Pending.ID, end); err != nil {
		b.log.Warn("cannot tell other processes how a sign-in ended", "identity", r.Pending.Identity, "err", err)
	}
	b.nudge()
	return end, nil
}

// claim marks the sign-in that an answer belongs to as answered: whoever else has the same answer comes too late.
func (b *Broker) claim(ctx context.Context, path string, answer url.Values) (*record, error) {
	for {
		r, generation, err := b.lookUp(ctx, path, answer)
		if err != nil {
			return nil, err
		}
		r.Phase, r.Since = exchanging, time.Now()
		_, err = b.store.Save(ctx, store.Pending, r.Pending.ID, generation, r)
		switch {
		case errors.Is(err, store.ErrConflict):
			continue // another answer was first, or something else of the record was changed: look again
		case err != nil:
			return nil, fmt.Errorf("save the sign-in: %w", err)
		}
		return r, nil
	}
}

// lookUp returns the sign-in that an answer belongs to.
func (b *Broker) lookUp(ctx context.Context, path string, answer url.Values) (*record, uint64, error) {
	state, ok := single(answer, "state")
	if !ok || state == "" {
		return nil, 0, ErrStale
	}
	r := &record{}
	generation, err := b.store.Load(ctx, store.Pending, id(state), r)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, 0, ErrStale
	case err != nil:
		return nil, 0, fmt.Errorf("look for the sign-in: %w", err)
	case !r.open(), subtle.ConstantTimeCompare([]byte(state), []byte(r.Pending.State)) != 1:
		return nil, 0, ErrStale
	case path != "" && path != r.Pending.Path:
		return nil, 0, errPath
	}
	return r, generation, nil
}

// judge decides what an answer means, and exchanges its code. It returns the record of the end.
func (b *Broker) judge(ctx context.Context, r *record, answer url.Values) *record {
	if !sameIssuer(&r.Pending, answer) {
		// whatever else is in the answer is somebody else's word: it is neither used nor shown
		b.log.Warn("the response came from a different authorization server (RFC 9207): the sign-in was aborted",
			"identity", r.Pending.Identity)
		return r.ended(foreign)
	}
	if code, ok := single(answer, "error"); !ok || code != "" {
		return refusal(r, code, answer.Get("error_description"))
	}
	code, ok := single(answer, "code")
	if !ok || code == "" {
		return refusal(r, "invalid_response", "the answer holds no code")
	}
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	err := b.finish(ctx, &r.Pending, code)
	if err == nil {
		return r.ended(signedIn)
	}
	end := r.ended(failed)
	end.Text = err.Error()
	if f, ok := errors.AsType[*FailedError](err); ok {
		end.Code, end.Text = f.Code, f.Message
	}
	return end
}

// refusal returns the record of an error that the authorization server answered with.
func refusal(r *record, code, description string) *record {
	as := answered
	if code == "access_denied" {
		as = declined
	}
	end := r.ended(as)
	end.Code, end.Text = printable(code, 64), printable(description, 200)
	return end
}

// sameIssuer reports whether an answer is of the authorization server that was asked, RFC 9207 section 2.4: the
// issuers are compared byte for byte; an answer without one passes when none was promised.
func sameIssuer(p *Pending, answer url.Values) bool {
	iss, ok := single(answer, "iss")
	switch {
	case !ok:
		return false
	case !answer.Has("iss"):
		return !p.IssRequired
	}
	return iss == p.Issuer
}

// single returns a parameter that may be there once; false says that it is there more than once (RFC 6749 section
// 3.1 forbids it), or too long.
func single(answer url.Values, name string) (string, bool) {
	switch values := answer[name]; {
	case len(values) == 0:
		return "", true
	case len(values) == 1 && len(values[0]) <= maxAnswer:
		return values[0], true
	}
	return "", false
}

// printable returns what of s can be shown, at most n characters.
func printable(s string, n int) string {
	var kept strings.Builder
	for _, c := range s {
		if n == 0 {
			break
		}
		if unicode.IsPrint(c) {
			kept.WriteRune(c)
			n--
		}
	}
	return kept.String()
}

// Paste takes the answer that a person copied from the address bar of a browser that could not reach this machine:
// the whole address or what is after its question mark. It returns how the sign-in ended, as Flow.Wait does, or
// ErrStale, or an error that says what is wrong with text without repeating it.
func (b *Broker) Paste(ctx context.Context, text string) error {
	text = strings.TrimSpace(text)
	if _, query, ok := strings.Cut(text, "?"); ok {
		text = query
	}
	text, _, _ = strings.Cut(text, "#")
	answer, err := url.ParseQuery(text)
	if err != nil || !answer.Has("state") {
		return errors.New("this is not the address after a sign-in: it holds no state. Copy all of the address line of the browser, from http to the end")
	}
	end, err := b.complete(ctx, "", answer)
	if err != nil {
		return err
	}
	how, _ := end.end()
	return how
}
