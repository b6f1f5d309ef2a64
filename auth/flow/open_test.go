package flow_test

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/plait-mcp/plait/auth/flow"
	"github.com/plait-mcp/plait/config"
)

// TestHostileURLs refuses what a malicious server names as the page to sign in at. None of it reaches a browser, and
// none of it is repeated.
func TestHostileURLs(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "opened")
	env := browser(t, marker)
	for _, u := range []string{
		"", " ", "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "file:///etc/passwd", "vbscript:x", "about:blank",
		"ftp://example.com/", "ws://example.com/", "ms-settings:", "cursor://x", "//example.com/", "/etc/passwd", "example.com", "--help", "-h",
		"--app=https://example.com/", "http://example.com/", "http://169.254.169.254/", "http://127.0.0.1.example.com/", "http://localhost.example.com/",
		"https://", "https:///path", "https:example.com", "http:$(calc.exe)", "a:$(cmd.exe /c calc)?response_type=code",
		"https://user@example.com/", "https://user:pass@example.com/", "https://example.com@evil.example/",
		"https://example.com/$(touch x)", "https://example.com/$(touch%20x)", "https://example.com/`touch`", "https://example.com/;touch", "https://example.com/|touch",
		"https://example.com/?a=\"&calc.exe", "https://example.com/?a='", "https://example.com/?a=^", "https://example.com/?a=<b>", "https://example.com/?a=${IFS}",
		"https://example.com/\n--help", "https://example.com/\r\nSet-Cookie:a", "https://example.com/\x00", "https://example.com/\x1b[31m", "https://example.com/\u202egpj",
		"https://exämple.com/", "https://example.com/a b", "https://example.com\\@evil.example/", "https://example.com/%zz", "https://[::1", "https://example.com:port/",
		"https://example.com/?" + strings.Repeat("a", 20<<10),
	} {
		err := flow.CheckURL(u)
		if err == nil {
			t.Errorf("%q is accepted", u)
			continue
		}
		if len(u) > 5 && strings.Contains(err.Error(), u) {
			t.Errorf("%q is repeated: %v", u, err)
		}
		if err := flow.Open(t.Context(), env, u); err == nil {
			t.Errorf("%q was opened", u)
		}
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("a browser was started")
	}
	for _, u := range []string{
		"https://login.example.com/authorize?a=b&c=d%20e#f", "http://127.0.0.1:33419/connect/abc", "http://localhost/", "http://[::1]:1/", "HTTPS://EXAMPLE.COM/",
		"https://login.microsoftonline.com/organizations/oauth2/v2.0/authorize?client_id=1&scope=api%3A%2F%2Fx%2F.default+offline_access&state=a-_~.",
	} {
		if err := flow.CheckURL(u); err != nil {
			t.Errorf("%q: %v", u, err)
		}
	}
}

// TestHostileURLsAreNoSignIn refuses them where a sign-in begins, so that no link of ours leads there.
func TestHostileURLsAreNoSignIn(t *testing.T) {
	r := newRig(t, config.Callback{})
	p := r.pending("work")
	p.AuthorizeURL = "javascript:alert(1)//" + p.State
	if _, err := r.broker.Begin(t.Context(), p); err == nil || strings.Contains(err.Error(), p.State) {
		t.Errorf("Begin: %v", err)
	}
}

// browser returns an environment whose $BROWSER writes its arguments to a file, one a line.
func browser(t *testing.T, marker string) flow.Env {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the browser is a shell script")
	}
	script := filepath.Join(t.TempDir(), "my browser")
	text := "#!/bin/sh\nfor a; do printf '%s\\n' \"$a\"; done > '" + marker + "'\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return flow.Env{LookupEnv: variables("BROWSER", script)}
}

// variables returns a LookupEnv of pairs.
func variables(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		i := slices.Index(pairs, name)
		if i < 0 || i%2 != 0 {
			return "", false
		}
		return pairs[i+1], true
	}
}

// TestOpen starts browsers with the URL as one argument, whatever is in it.
func TestOpen(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "opened")
	env := browser(t, marker)
	script := func() string { s, _ := env.LookupEnv("BROWSER"); return s }()
	link := "https://login.example.com/authorize?" + url.Values{"a": {"$(touch x) `y` ' \" ; | & > <"}, "b": {"%s"}}.Encode()
	for _, row := range []struct {
		name, browser string
		want          []string
	}{
		{"path with a space", script, []string{link}},
		{"quoted, with arguments", "'" + script + "' --new-window", []string{"--new-window", link}},
		{"with a place for the URL", "'" + script + "' --url=%s --now", []string{"--url=" + link, "--now"}},
		{"the second of a list", "/nonexistent/browser:'" + script + "'", []string{link}},
		{"no shell", "'" + script + "' ; touch /tmp/x", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			os.Remove(marker)
			err := flow.Open(t.Context(), flow.Env{LookupEnv: variables("BROWSER", row.browser)}, link)
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(marker)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(got)), "\n")
			if row.want != nil && !slices.Equal(lines, row.want) {
				t.Errorf("the browser got %q, want %q", lines, row.want)
			}
		})
	}
	t.Run("fails", func(t *testing.T) {
		err := flow.Open(t.Context(), flow.Env{GOOS: "plan9", LookupEnv: variables("BROWSER", "/bin/false")}, link)
		if err == nil || strings.Contains(err.Error(), "login.example.com") {
			t.Errorf("Open: %v", err)
		}
	})
}

// TestM40Headless finds out whether a person would see a browser, and starts none where not.
func TestM40Headless(t *testing.T) {
	tools := t.TempDir()
	for _, name := range []string{"xdg-open", "wslview", "rundll32.exe"} {
		if err := os.WriteFile(filepath.Join(tools, name), []byte("#!/bin/sh\nexit 9\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", tools)
	for _, row := range []struct {
		name, goos string
		vars       []string
		want       bool
	}{
		{"nothing", "linux", nil, false},
		{"a display", "linux", []string{"DISPLAY", ":0"}, true},
		{"Wayland", "linux", []string{"WAYLAND_DISPLAY", "wayland-0"}, true},
		{"SSH without a display", "linux", []string{"SSH_CONNECTION", "a b c d"}, false},
		{"SSH with a forwarded display", "linux", []string{"SSH_CONNECTION", "a b c d", "DISPLAY", "localhost:10"}, true},
		{"WSL", "linux", []string{"WSL_DISTRO_NAME", "Debian"}, true},
		{"BROWSER without a display", "linux", []string{"BROWSER", "xdg-open"}, true},
		{"BROWSER=none", "linux", []string{"BROWSER", "none", "DISPLAY", ":0"}, false},
		{"a BROWSER that is not there", "linux", []string{"BROWSER", "nonexistent"}, false},
		{"a BROWSER that is not there, and a display", "linux", []string{"BROWSER", "nonexistent", "DISPLAY", ":0"}, true},
		{"macOS", "darwin", nil, true},
		{"macOS by SSH", "darwin", []string{"SSH_CONNECTION", "a b c d"}, false},
		{"Windows", "windows", nil, true},
		{"Windows by SSH", "windows", []string{"SSH_TTY", "x"}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			if runtime.GOOS == "windows" {
				t.Skip("the tools are shell scripts")
			}
			env := flow.Env{GOOS: row.goos, LookupEnv: variables(row.vars...)}
			if got := flow.CanOpen(env); got != row.want {
				t.Errorf("CanOpen: %v, want %v", got, row.want)
			}
			if !row.want {
				if err := flow.Open(t.Context(), env, "https://example.com/"); !errors.Is(err, flow.ErrNoBrowser) {
					t.Errorf("Open: %v", err)
				}
			}
		})
	}
	if flow.CanOpen(flow.Env{GOOS: "linux"}) {
		t.Error("the zero Env has a browser")
	}
}

func FuzzCheckURL(f *testing.F) {
	f.Add("https://example.com/?a=b")
	f.Add("http://127.0.0.1:1/$(x)")
	f.Add("javascript:alert(1)")
	f.Fuzz(func(t *testing.T, raw string) {
		if flow.CheckURL(raw) != nil {
			return
		}
		u, err := url.Parse(raw)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" || strings.HasPrefix(raw, "-") {
			t.Errorf("%q is accepted", raw)
		}
		if strings.ContainsAny(raw, "$`;|<>\"'(){}!*\\^ \t\r\n\x00") {
			t.Errorf("%q is accepted", raw)
		}
	})
}
