package main_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestCanaries brings made-up secrets through every way of signing in, and through those in which that fails at servers
// that repeat them, with everything logged. They are then looked for in all that plait has said and kept, and in what
// the system shows of its processes.
func TestCanaries(t *testing.T) {
	if runtime.GOOS != "linux" || testing.Short() {
		t.Skip("it reads /proc, and starts processes")
	}
	n := newNest(t)
	t.Run("machines", n.machines)
	t.Run("people", n.people)
	t.Run("gateway", n.gateway)
	t.Run("bridge", n.bridge)
	t.Run("sign out", n.signOut)
	n.report(t)
}

// nest is where canaries are: servers, a home and a configuration, and what was seen there.
type nest struct {
	canaries
	*leaky

	inputs, home, config, log string
	env                       []string // with a secret, which the children of plait are not to have
	seen                      []sight
}

// sight is a text where no canary may be.
type sight struct {
	where, text string
	shown       []string // kinds that people are shown there on purpose
}

func newNest(t *testing.T) *nest {
	t.Helper()
	n := &nest{inputs: t.TempDir(), home: t.TempDir()}
	n.leaky = newLeaky(t, &n.canaries)
	n.log = filepath.Join(n.home, "plait.log")
	if err := os.Chmod(n.home, 0o700); err != nil {
		t.Fatal(err)
	}
	n.env = append(append(os.Environ(), homeIn(n.home)...), "GORACE=atexit_sleep_ms=0", "PLAIT_LOG=trace", "NO_COLOR=1",
		"JOB_TOKEN="+n.jwt("assertion", "job"))
	n.configure(t)
	return n
}

// input writes a secret into a file that the configuration reads, and returns its path.
func (n *nest) input(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(n.inputs, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// secret is an input that is made up, as a reference of the configuration.
func (n *nest) secret(t *testing.T, name, kind string) string {
	t.Helper()
	return "${file:" + n.input(t, name, n.make(kind)+"\n") + "}"
}

// machinesOf are the servers that plait signs in to by itself; peopleOf are those that need somebody.
var (
	machinesOf = []string{"post", "secret", "key", "tls", "job", "given", "exchange", "enterprise", "header", "basic", "exec"}
	peopleOf   = []string{"person", "paster", "device"}
)

func (n *nest) configure(t *testing.T) {
	t.Helper()
	headerToken, password, execToken := n.make("header token"), n.make("password"), n.make("exec token")
	pair := base64.StdEncoding.EncodeToString([]byte("me:" + password))
	n.saw("basic credentials", pair)
	for _, token := range []string{headerToken, pair, execToken} {
		n.allow(token, "use")
	}
	secureURL, ca, cert, key := n.serveTLS(t)
	text := fmt.Sprintf(`
credentials: {store: file}
auth: {callback: {port: %d}}
startup: {wait: 20s}
identities:
  person: {grant: authorization_code}
  paster: {grant: authorization_code, clientId: paster, clientSecret: %q}
  device: {grant: device_code}
  secret: {grant: client_credentials, clientId: svc, clientSecret: %q, scopes: [use]}
  post: {grant: client_credentials, clientId: svc, clientSecret: %q, scopes: [use], auth: {method: client_secret_post}, tokenParams: {api_key: %q}}
  key: {grant: client_credentials, clientId: svc, scopes: [use], auth: {method: private_key_jwt, key: %q}}
  tls: {grant: client_credentials, clientId: svc, tokenEndpoint: %q, scopes: [use], auth: {method: tls_client_auth, cert: %q, certKey: %q}}
  job: {grant: jwt_bearer, issuer: %q, scopes: [use], assertion: {from: env, env: JOB_TOKEN}}
  given: {grant: jwt_bearer, issuer: %q, scopes: [use], assertion: {from: file, file: %q}}
  exchange: {grant: token_exchange, issuer: %q, scopes: [use], subject: {from: command, command: [cat, %q]}}
  enterprise:
    grant: enterprise
    clientId: at-as
    clientSecret: %q
    scopes: [use]
    idp: {issuer: %q, clientId: at-idp, clientSecret: %q, idToken: {from: file, file: %q}}
  header: {grant: header, headers: {Authorization: %q}}
  basic: {grant: basic, username: me, password: %q}
  exec: {grant: exec, command: [cat, %q]}
mcpServers:
  child: {command: plait, env: {PLAIT_TEST_PROGRAM: story-server}, inheritEnv: [GORACE]}
`, freePort(t), n.secret(t, "paster", "client secret"), n.secret(t, "svc", "client secret"), n.secret(t, "svc-post", "client secret"),
		n.secret(t, "parameter", "token parameter"), "${file:"+key+"}", secureURL+"/token", cert, key,
		n.URL, n.URL, n.input(t, "assertion", n.jwt("assertion", "job")+"\n"), n.URL, n.input(t, "subject", n.jwt("subject token", "alice")),
		n.secret(t, "at-as", "client secret"), n.URL, n.secret(t, "at-idp", "client secret"), n.input(t, "id", n.jwt("ID token", "alice")),
		"Bearer ${file:"+n.input(t, "pat", headerToken)+"}", "${file:"+n.input(t, "password", password)+"}", n.input(t, "exec", execToken))
	var servers strings.Builder
	for _, name := range append(slices.Clone(machinesOf), peopleOf...) {
		fmt.Fprintf(&servers, "  %s: {url: %q, identity: %s, callTimeout: 30s", name, n.URL+"/mcp/"+name, name)
		if name == "tls" {
			fmt.Fprintf(&servers, ", caFile: %q", ca)
		}
		servers.WriteString("}\n")
	}
	n.config = n.input(t, "plait.yaml", text+servers.String())
}

// serveTLS serves the token endpoint for clients with a certificate. It returns its address and the files of the
// authority, the certificate and its key.
func (n *nest) serveTLS(t *testing.T) (address, ca, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "svc"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	for line := range strings.Lines(block("PRIVATE KEY", secret)) {
		if !strings.HasPrefix(line, "-") {
			n.saw("private key", strings.TrimSpace(line))
		}
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) != 1 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		n.token(w, r)
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL, n.input(t, "ca.pem", block("CERTIFICATE", s.Certificate().Raw)), n.input(t, "cert.pem", block("CERTIFICATE", der)),
		n.input(t, "key.pem", block("PRIVATE KEY", secret))
}

// see notes a text where no canary may be, but of those kinds.
func (n *nest) see(where, text string, shown ...string) {
	n.seen = append(n.seen, sight{where, text, shown})
}

// ran is how a command ended.
type ran struct {
	out, err string
	code     int
}

// run runs plait to its end, with everything logged, and notes what it says.
func (n *nest) run(t *testing.T, in string, args ...string) ran {
	t.Helper()
	return n.command(t, in, nil, append([]string{"plait"}, args...)...)
}

func (n *nest) command(t *testing.T, in string, shown []string, args ...string) ran {
	t.Helper()
	args = append(args, "--config", n.config)
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	var out, talk bytes.Buffer
	cmd.Env, cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = n.env, n.home, strings.NewReader(in), &out, &talk
	cmd.WaitDelay = time.Second
	late := time.AfterFunc(hung, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	_ = cmd.Run()
	what := strings.Join(args[:len(args)-2], " ")
	n.see("stdout of "+what, out.String(), shown...)
	n.see("stderr of "+what, talk.String(), shown...)
	return ran{out.String(), talk.String(), cmd.ProcessState.ExitCode()}
}

// machines signs in without people, first where that fails.
func (n *nest) machines(t *testing.T) {
	all := strings.Join(machinesOf, ",")
	for _, how := range []string{"refused", "page", "elsewhere"} {
		n.fail(how)
		if r := n.run(t, "", "preflight", "--require", all, "--log-level", "trace", "--log-file", n.log); r.code == 0 {
			t.Errorf("preflight does not see that token requests fail (%s): %s", how, r.out)
		}
	}
	n.fail("")
	r := n.run(t, "", "preflight", "--json", "--require", all, "--log-level", "trace", "--log-file", n.log)
	if r.code != 0 {
		t.Errorf("preflight: %d\n%s\n%s", r.code, r.out, r.err)
	}
	for grant, least := range map[string]int{
		"client_credentials": 4, "urn:ietf:params:oauth:grant-type:jwt-bearer": 3, "urn:ietf:params:oauth:grant-type:token-exchange": 2,
	} {
		if asked := n.requests(grant); asked < least {
			t.Errorf("%d token requests of %s", asked, grant)
		}
	}
	for _, name := range machinesOf {
		n.run(t, "", "tools", "call", name+"_broken")
		r := n.run(t, "", "tools", "call", name+"_admin", "--json")
		if fixed := slices.Contains([]string{"header", "basic", "exec"}, name); fixed != strings.Contains(r.err, "insufficient_scope") {
			t.Errorf("%s: %s", name, r.err)
		}
	}
}

// people signs in with a person, with garbage at the callback before.
func (n *nest) people(t *testing.T) {
	shown := []string{"state"} // in the link
	if r := n.command(t, "", shown, "person", "plait", "auth", "login", "person", "--no-browser", "--log-level", "trace", "--log-file", n.log); r.code != 0 {
		t.Errorf("login: %d\n%s\n%s", r.code, r.out, r.err)
	}
	if r := n.command(t, "", append(shown, "code"), "person", "--paste", "plait", "auth", "login", "paster", "--paste", "--log-level", "trace", "--log-file", n.log); r.code != 0 {
		t.Errorf("paste: %d\n%s\n%s", r.code, r.out, r.err)
	}
	if r := n.run(t, "", "auth", "login", "device", "--device", "--log-level", "trace", "--log-file", n.log); r.code != 0 {
		t.Errorf("device: %d\n%s\n%s", r.code, r.out, r.err)
	}
	n.browser(t)
	n.garbage(t)
	for _, args := range [][]string{
		{"auth", "status"},
		{"auth", "status", "--json"},
		{"auth", "explain", "person"},
		{"auth", "explain", "person", "--json"},
		{"auth", "explain", "secret"},
		{"status"},
		{"status", "--json"},
		{"doctor"},
		{"doctor", "--json"},
		{"tools", "list", "--json"},
		{"validate"},
		{"secrets", "list"},
		{"auth", "paste", "person", "http://127.0.0.1/callback?code=" + n.make("code") + "&state=" + n.make("state")},
		{"tools", "call", "person_broken"},
		{"tools", "call", "person_broken", "--json"},
		{"tools", "call", "device_admin"},
	} {
		n.run(t, "", args...)
	}
	for _, how := range []string{"page", "elsewhere", "refused"} {
		n.fail(how)
		n.run(t, "", "auth", "refresh", "paster")
		n.forget()
		n.command(t, "", []string{"access token"}, "plait", "auth", "token", "paster")
	}
	n.fail("")
	r := n.command(t, "", []string{"access token"}, "plait", "auth", "token", "person")
	if r.code != 0 || len(n.find(r.out)) == 0 || len(n.find(r.err)) != 0 {
		t.Errorf("token: %d %s", r.code, r.err)
	}
}

// browser has plait open a browser, which notes the words it was started with.
func (n *nest) browser(t *testing.T) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "browser")
	script := n.input(t, "browser.sh", "#!/bin/sh\necho \"$@\" >>"+log+"\nexec browser \"$1/go\"\n")
	if err := os.Chmod(script, 0o700); err != nil {
		t.Fatal(err)
	}
	before := n.env
	n.env = append(slices.Clone(n.env), "BROWSER="+script)
	r := n.run(t, "", "auth", "login", "person", "--force", "--non-interactive=false", "--log-level", "trace", "--log-file", n.log)
	n.env = before
	words, err := os.ReadFile(log)
	if r.code != 0 || err != nil {
		t.Errorf("login by a browser: %d %v\n%s", r.code, err, r.err)
	}
	n.see("the command line of the browser", string(words))
}

// garbage sends what nobody should to the callback of a sign-in that is open, and looks at the processes meanwhile.
func (n *nest) garbage(t *testing.T) {
	t.Helper()
	p := newProgram(t, n.env, "plait", "auth", "login", "person", "--force", "--no-browser", "--log-level", "trace", "--log-file", n.log, "--config", n.config)
	p.cmd.Dir = n.home
	p.stderr.want, p.stderr.found = "/authorize?", make(chan struct{})
	done := make(chan struct{})
	go func() { defer close(done); p.run() }()
	select {
	case <-p.stderr.found:
	case <-done:
	case <-time.After(hung):
	}
	var link, back *url.URL
	until(t, "the whole link", func() bool {
		found := linkIn.FindString(p.stderr.String())
		link, _ = url.Parse(found)
		if link != nil {
			back, _ = url.Parse(link.Query().Get("redirect_uri"))
		}
		return back != nil && link.Query().Has("state") || p.cmd.ProcessState != nil
	})
	if back == nil {
		t.Fatalf("no link: %s", &p.stderr)
	}
	n.processes(t, p.cmd.Process.Pid)
	state := link.Query().Get("state")
	for _, q := range []url.Values{
		{},
		{"code": {n.make("code")}, "state": {n.make("state")}, "iss": {n.URL}},
		{"code": {n.make("code")}},
		{"error": {n.make("garbage")}, "error_description": {n.make("garbage")}, "state": {n.make("state")}},
		{"code": {n.make("code")}, "state": {state + n.make("state")}},
		{n.make("garbage"): {n.make("garbage")}},
	} {
		back.RawQuery = q.Encode()
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			n.send(t, method, back.String())
		}
	}
	n.fail("refused") // the code arrives, and the authorization server does not take it
	if _, _, err := follow(link.String(), func(*url.URL) bool { return true }); err != nil {
		t.Error(err)
	}
	<-done
	n.fail("")
	n.see("stderr of a sign-in that fails", p.stderr.String(), "state")
	n.see("stdout of a sign-in that fails", p.stdout.String())
}

// send sends a request with secrets in its headers, and notes the answer.
func (n *nest) send(t *testing.T, method, to string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, to, strings.NewReader("code="+n.make("code")))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", "session="+n.make("cookie"))
	r.Header.Set("Authorization", "Bearer "+n.make("access token"))
	r.Header.Set("Referer", "http://elsewhere.example/?code="+n.make("code"))
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return // it may hang up on garbage
	}
	defer answer.Body.Close()
	var body bytes.Buffer
	_, _ = body.ReadFrom(answer.Body)
	n.see("the page after "+method+" of garbage", fmt.Sprint(answer.Header)+body.String())
}

// gateway calls tools through plait serve: with good tokens, with tokens that are not good any more at an authorization
// server that renews them, and that does not.
func (n *nest) gateway(t *testing.T) {
	c := startPlait(t, append(slices.Clone(n.env), homeIn(n.home)...), "serve", "--config", n.config, "--log-level", "trace", "--log-file", n.log)
	go c.read()
	c.hello(t)
	answers := &strings.Builder{}
	ask := func(method, params string) faultAnswer {
		a, err := c.request(method, params)
		if err != nil {
			t.Errorf("%s %s: %v", method, params, err)
		}
		answers.Write(a.line)
		return a
	}
	call := func(server, tool string) faultAnswer {
		return ask("tools/call", `{"name":`+strconv.Quote(server+"_"+tool)+`,"arguments":{}}`)
	}
	all := append(slices.Clone(machinesOf), peopleOf...)
	ask("tools/list", `{}`)
	for _, how := range []string{"", "page", "elsewhere", "refused"} {
		n.forget()
		n.fail(how)
		for _, server := range all {
			a := call(server, "use")
			if gone := slices.Contains([]string{"header", "basic", "exec", "paster"}, server); how == "" && gone == (a.text() == "done") {
				t.Errorf("%s: %s", server, a.line)
			}
			call(server, "broken")
			call(server, "admin")
		}
		n.processes(t, c.cmd.Process.Pid)
	}
	n.fail("")
	n.run(t, "", "status", "--json")
	n.run(t, "", "auth", "status", "--json")
	c.quit(t)
	n.see("the answers of plait serve", answers.String())
	n.see("stderr of plait serve", c.said(t))
}

// bridge calls tools through plait connect, which gets its secret from a variable.
func (n *nest) bridge(t *testing.T) {
	for _, how := range []string{"", "refused"} {
		n.fail(how)
		env := append(slices.Clone(n.env), homeIn(n.home)...)
		c := startPlait(t, append(env, "OAUTH2_GRANT=client_credentials", "OAUTH2_CLIENT_ID=bridge", "OAUTH2_CLIENT_SECRET="+n.make("client secret"),
			"OAUTH2_TOKEN_URL="+n.URL+"/token", "OAUTH2_SCOPE=use"), "connect", n.URL+"/mcp/bridge", "--log-level", "trace", "--log-file", n.log)
		go c.read()
		c.hello(t)
		for _, tool := range []string{"use", "broken", "admin"} {
			a, err := c.request("tools/call", `{"name":`+strconv.Quote(tool)+`,"arguments":{}}`)
			if err != nil || how == "" && tool == "use" && a.text() != "done" {
				t.Errorf("%s: %v %s", tool, err, a.line)
			}
			n.see("the answers of plait connect", string(a.line))
		}
		words, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", c.cmd.Process.Pid))
		if err != nil {
			t.Error(err)
		}
		n.see("the command line of plait connect", string(words))
		c.quit(t)
		n.see("stderr of plait connect", c.said(t))
	}
	n.fail("")
}

// signOut revokes tokens at a server that fails and repeats them.
func (n *nest) signOut(t *testing.T) {
	if r := n.command(t, "", []string{"state"}, "person", "plait", "auth", "login", "person", "--no-browser", "--force"); r.code != 0 {
		t.Errorf("login: %d\n%s", r.code, r.err)
	}
	n.run(t, "", "auth", "logout", "person", "--revoke")
	n.run(t, "", "auth", "reset", "--all", "--revoke")
	if n.count("token") == 0 && n.count("refresh token") == 0 {
		t.Error("nothing was revoked")
	}
}

// processes notes what the system shows of a process and of all below it: the words they were started with, and their
// variables.
func (n *nest) processes(t *testing.T, pid int) {
	t.Helper()
	for _, child := range childrenOf(pid) {
		id, err := strconv.Atoi(child)
		if err != nil {
			t.Fatal(err)
		}
		environ, _ := os.ReadFile("/proc/" + child + "/environ")
		n.see("the environment of a child", string(environ))
		n.processes(t, id)
	}
	words, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return // it has ended
	}
	n.see("the command line of a process", string(words))
	n.see("the environment of a process", withoutJob(fmt.Sprintf("/proc/%d/environ", pid)))
}

// withoutJob returns the variables of a process without the one that the test gave it.
func withoutJob(file string) string {
	text, _ := os.ReadFile(file)
	return strings.Join(slices.DeleteFunc(strings.Split(string(text), "\x00"), func(v string) bool { return strings.HasPrefix(v, "JOB_TOKEN=") }), "\n")
}

// report looks for canaries in everything that was seen, and in everything that plait has kept.
func (n *nest) report(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(n.home, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(n.home, path)
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others may read or enter %s: %s", name, info.Mode())
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		n.see("the file "+name, string(text))
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, kind := range []string{
		"access token", "refresh token", "ID token", "ID-JAG", "code", "verifier", "state", "client secret", "assertion", "client assertion", "subject token",
		"device code", "cookie", "private key", "registration token", "basic credentials", "exec token", "header token",
	} {
		if n.count(kind) == 0 {
			t.Errorf("no %s was brought through", kind)
		}
	}
	for _, s := range n.seen {
		for _, kind := range n.find(s.text) {
			if !slices.Contains(s.shown, kind) {
				t.Errorf("%s shows: %s\n%s", s.where, kind, n.around(s.text, kind))
			}
		}
	}
}

// around returns the first line of a text with a secret of a kind.
func (n *nest) around(text, kind string) string {
	for line := range strings.Lines(text) {
		if slices.Contains(n.find(line), kind) {
			return line[:min(len(line), 600)]
		}
	}
	return ""
}
