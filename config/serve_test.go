package config_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plait-mcp/plait/config"
)

// TestServeAuth reads what a client has to show in each form, alone and over a layer that has it in another form.
func TestServeAuth(t *testing.T) {
	const token = "0123456789abcdef"
	forms := map[string]config.ServeAuth{
		"": {}, "none": {}, "bearer": {Generated: true}, "{}": {}, "{bearer: " + token + "}": {Bearer: token},
		`"${NOTHING:-bearer}"`: {Generated: true}, "{bearer: }": {},
	}
	read := func(folder, file, text string) config.ServeAuth {
		write(t, filepath.Join(folder, file), text)
		return load(t, filepath.Join(folder, file)).Serve.HTTP.Auth
	}
	for form, want := range forms {
		folder := t.TempDir()
		if d := cmp.Diff(want, read(folder, "plait.yaml", "serve: {http: {auth: "+form+"}}")); d != "" {
			t.Errorf("%s (-want +got):\n%s", form, d)
		}
		for above, want := range forms {
			if above == "" || above == "{}" || above == "{bearer: }" { // says nothing of its own
				continue
			}
			if d := cmp.Diff(want, read(folder, "over.yaml", "extends: plait.yaml\nserve: {http: {auth: "+above+"}}")); d != "" {
				t.Errorf("%s over %s (-want +got):\n%s", above, form, d)
			}
		}
	}
}

// TestServeDiff names what differs in the endpoint by its keys.
func TestServeDiff(t *testing.T) {
	base := func(change func(*config.ServeHTTP)) *config.Config {
		var c config.Config
		change(&c.Serve.HTTP)
		return &c
	}
	for want, change := range map[string]func(*config.ServeHTTP){
		"serve.http.listen":          func(s *config.ServeHTTP) { s.Listen = ":1" },
		"serve.http.auth":            func(s *config.ServeHTTP) { s.Auth.Generated = true },
		"serve.http.tls.cert":        func(s *config.ServeHTTP) { s.TLS.Cert = "c" },
		"serve.http.limits.sessions": func(s *config.ServeHTTP) { s.Limits.Sessions = 1 },
	} {
		if got := config.Diff(base(func(*config.ServeHTTP) {}), base(change)).Global; !slices.Equal(got, []string{want}) {
			t.Errorf("%q differ, want %s", got, want)
		}
	}
}
