package grant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

const urnDevice = "urn:ietf:params:oauth:grant-type:device_code"

// How a device polls (RFC 8628 section 3.5).
const (
	pollInterval = 5 * time.Second // when the server says nothing
	slowDown     = 5 * time.Second // what slow_down adds
	maxInterval  = time.Minute
	deviceLife   = 15 * time.Minute // when the server says nothing, and the longest that anybody waits
)

// DeviceCode is what a person needs to sign in on another device.
type DeviceCode struct {
	UserCode    string
	URI         string // where the code is entered; https, or http on this computer
	CompleteURI string // with the code in it; may be ""
	Expires     time.Time
}

// Device signs a person in on any device (RFC 8628). It calls show once, with what the person needs, and returns when
// the person is done: an *Error with the code access_denied or expired_token when that went wrong. It does not begin
// anew by itself.
func (e *Endpoint) Device(ctx context.Context, scopes []string, resource string, show func(DeviceCode)) (*Token, error) {
	params := url.Values{}
	set(params, "scope", joinScopes(scopes))
	set(params, "resource", resource)
	to := e.endpoint("device_authorization_endpoint", e.Identity.DeviceAuthorizationEndpoint, e.Metadata.DeviceAuthorizationEndpoint)
	answer, err := e.post(ctx, request{op: opDevice, endpoint: to, params: params})
	if err != nil {
		return nil, err
	}
	p, err := e.newPoll(answer, to)
	if err != nil {
		return nil, err
	}
	p.scopes, p.resource = scopes, resource
	show(p.shown)
	return p.wait(ctx, e)
}

// poll is one sign-in on another device.
type poll struct {
	shown    DeviceCode
	code     string
	scopes   []string
	resource string
	interval time.Duration
	endpoint string // host and path of the device authorization endpoint
}

// newPoll reads a device authorization answer.
func (e *Endpoint) newPoll(w *wire, to string) (*poll, error) {
	text := func(names ...string) string { return textOf(w.fields, names...) }
	p := &poll{
		code: text("device_code"), interval: pollInterval, endpoint: hostAndPath(to),
		shown: DeviceCode{
			UserCode: clean(text("user_code"), nil), URI: text("verification_uri", "verification_url"),
			CompleteURI: text("verification_uri_complete", "verification_url_complete"),
		},
	}
	if p.code == "" || p.shown.UserCode == "" {
		return nil, &Error{Op: opDevice, Endpoint: p.endpoint, Status: w.status, Cause: errors.New("the answer has no code")}
	}
	e.learn(p.code)
	if !e.mayShow(p.shown.URI) {
		return nil, &Error{
			Op: opDevice, Endpoint: p.endpoint, Status: w.status,
			Cause: errors.New("the answer sends people to an address that is not https; refusing"),
		}
	}
	if !e.mayShow(p.shown.CompleteURI) {
		p.shown.CompleteURI = ""
	}
	if seconds := interval(w.fields["interval"]); seconds > 0 {
		p.interval = min(seconds, maxInterval)
	}
	life := secondsOf(w.fields["expires_in"])
	if life == 0 {
		life = deviceLife
	}
	p.shown.Expires = w.received.Round(0).Add(min(life, deviceLife))
	return p, nil
}

// mayShow reports whether a person may be sent to an address.
func (e *Endpoint) mayShow(address string) bool { return e.checkURL(opDevice, address) == nil }

func interval(value any) time.Duration {
	var text string
	switch value := value.(type) {
	case json.Number:
		text = value.String()
	case string:
		text = value
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds > 0) {
		return 0
	}
	return time.Duration(min(seconds, maxInterval.Seconds()) * float64(time.Second))
}

// wait asks until there is a token, or none will come.
func (p *poll) wait(ctx context.Context, e *Endpoint) (*Token, error) {
	for {
		left := time.Until(p.shown.Expires)
		if left <= 0 {
			return nil, &Error{Op: opDevice, Endpoint: p.endpoint, Code: "expired_token", Description: "nobody signed in in time"}
		}
		if err := sleep(ctx, min(p.interval, left)); err != nil {
			return nil, err
		}
		params := asked(urnDevice, nil, p.resource)
		params.Set("device_code", p.code)
		t, err := e.token(ctx, request{params: params, finish: true})
		var refused *Error
		if err == nil || !errors.As(err, &refused) || ctx.Err() != nil {
			return t, err
		}
		switch {
		case refused.Code == "authorization_pending":
		case refused.Code == "slow_down":
			p.interval = min(max(p.interval+slowDown, refused.RetryAfter), maxInterval)
		case refused.Temporary: // RFC 8628 section 3.5: poll less when the network fails
			p.interval = min(max(2*p.interval, refused.RetryAfter), maxInterval)
		default:
			return nil, err
		}
	}
}

// sleep waits, or ends with ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("nobody signed in: %w", context.Cause(ctx))
	}
}
