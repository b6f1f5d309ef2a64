package grant_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plait-mcp/plait/auth/grant"
	"github.com/plait-mcp/plait/config"
)

// device is an authorization server in a bubble: it answers the device authorization, and then the polls in turn, the
// last one again and again.
type device struct {
	start string
	polls []string // "STATUS BODY"; "" loses the answer

	asked []time.Duration // when it was polled
	forms []url.Values
	begun time.Time
}

func (d *device) trip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	d.forms = append(d.forms, form)
	if strings.HasSuffix(r.URL.Path, "/device") {
		d.begun = time.Now()
		return answer("200 " + d.start), nil
	}
	next := d.polls[min(len(d.asked), len(d.polls)-1)]
	d.asked = append(d.asked, time.Since(d.begun))
	if next == "" {
		return nil, errors.New("connection lost")
	}
	return answer(next), nil
}

func answer(text string) *http.Response {
	status, body, _ := strings.Cut(text, " ")
	code := map[string]int{"200": http.StatusOK, "400": http.StatusBadRequest, "503": http.StatusServiceUnavailable}[status]
	return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}
}

const (
	codes   = `{"device_code":"` + canary + `","user_code":"WDJB-MJHT","verification_uri":"https://as.example/d","expires_in":600`
	pending = `400 {"error":"authorization_pending"}`
	slower  = `400 {"error":"slow_down"}`
	granted = `200 {"access_token":"a","refresh_token":"r","expires_in":3600}`
)

// TestM41Device polls as RFC 8628 says.
func TestM41Device(t *testing.T) {
	s := func(seconds ...int) (all []time.Duration) {
		for _, n := range seconds {
			all = append(all, time.Duration(n)*time.Second)
		}
		return all
	}
	for name, c := range map[string]struct {
		start string
		polls []string
		asked []time.Duration
		code  string // of the error, "" for a token
	}{
		"at once":       {codes + `}`, []string{granted}, s(5), ""},
		"pending":       {codes + `,"interval":2}`, []string{pending, pending, granted}, s(2, 4, 6), ""},
		"slow_down":     {codes + `,"interval":1}`, []string{slower, pending, slower, granted}, s(1, 7, 13, 24), ""},
		"interval text": {codes + `,"interval":"3"}`, []string{granted}, s(3), ""},
		"interval 0":    {codes + `,"interval":0}`, []string{granted}, s(5), ""},
		"huge interval": {codes + `,"interval":1e9}`, []string{granted}, s(60), ""},
		"network":       {codes + `,"interval":2}`, []string{"", "503 busy", granted}, s(2, 6, 14), ""},
		"denied":        {codes + `}`, []string{pending, `400 {"error":"access_denied"}`}, s(5, 10), "access_denied"},
		"expired":       {codes + `}`, []string{`400 {"error":"expired_token"}`}, s(5), "expired_token"},
		"nobody comes":  {`{"device_code":"d","user_code":"U","verification_uri":"https://as.example/d","expires_in":12}`, []string{pending}, s(5, 10, 12), "expired_token"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &device{start: c.start, polls: c.polls}
				e := inBubble(t, d.trip)
				e.Client.Secret = "s"
				var shown grant.DeviceCode
				token, err := e.Device(t.Context(), []string{"x"}, "https://mcp.example/mcp", func(code grant.DeviceCode) { shown = code })
				var refused *grant.Error
				switch {
				case c.code == "" && (err != nil || token.Refresh != "r"):
					t.Errorf("%v %v", token, err)
				case c.code != "" && (!errors.As(err, &refused) || refused.Code != c.code || strings.Contains(err.Error(), "CANARY")):
					t.Errorf("%v", err)
				}
				if !slices.Equal(d.asked, c.asked) {
					t.Errorf("asked at %v", d.asked)
				}
				if shown.URI != "https://as.example/d" || shown.UserCode == "" {
					t.Errorf("%+v", shown)
				}
				first, last := d.forms[0], d.forms[len(d.forms)-1]
				if first.Get("scope") != "x" || first.Get("resource") == "" || last.Get("device_code") == "" || last.Get("resource") != first.Get("resource") {
					t.Errorf("%v, %v", first, last)
				}
			})
		})
	}
}

// TestDeviceLeft ends a sign-in that nobody waits for any more.
func TestDeviceLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &device{start: codes + `}`, polls: []string{pending}}
		ctx, leave := context.WithTimeout(t.Context(), 12*time.Second)
		defer leave()
		_, err := inBubble(t, d.trip).Device(ctx, nil, "", func(grant.DeviceCode) {})
		if !errors.Is(err, context.DeadlineExceeded) || len(d.asked) != 2 {
			t.Errorf("%v after %v", err, d.asked)
		}
	})
}

// TestDeviceHostile has a server send people to where they must not go, or say nothing.
func TestDeviceHostile(t *testing.T) {
	for name, body := range map[string]string{
		"javascript:": `{"device_code":"` + canary + `","user_code":"U","verification_uri":"javascript:alert(1)"}`,
		"in clear":    `{"device_code":"` + canary + `","user_code":"U","verification_uri":"http://as.example/"}`,
		"no page":     `{"device_code":"` + canary + `","user_code":"U"}`,
		"no code":     `{"user_code":"` + canary + `","verification_uri":"https://as.example/"}`,
		"empty":       `{}`,
		"nothing":     ``,
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, says(http.StatusOK, "application/json", body))
			_, err := newEndpoint(t, s.URL, config.GrantDeviceCode).Device(t.Context(), nil, "", func(grant.DeviceCode) { t.Error("it was shown") })
			if err == nil || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestDeviceConfidential authenticates a client with a secret, which x/oauth2 does not.
func TestDeviceConfidential(t *testing.T) {
	s := serve(t, says(http.StatusBadRequest, "application/json", `{"error":"unauthorized_client"}`))
	e := newEndpoint(t, s.URL, config.GrantDeviceCode)
	e.Client.Secret = svcSecret
	_, err := e.Device(t.Context(), nil, "", nil)
	var refused *grant.Error
	if !errors.As(err, &refused) || !refused.ClientRefused() || !strings.HasPrefix(s.auths[0], "Basic ") {
		t.Errorf("%v, header %q", err, s.auths)
	}
}
