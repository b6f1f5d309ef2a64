package control_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/plait-mcp/plait/cmd/internal/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// process answers as a running process does.
type process struct{ fails error }

func (p process) Status(context.Context) control.Status {
	return control.Status{PID: 7, Config: "plait.yaml", Generation: 3, Clients: []control.Client{{Name: "desk"}}}
}

func (p process) Reload(context.Context) (control.Outcome, error) {
	return control.Outcome{OK: true, Changes: []control.Change{{Server: "a", Action: "restart", Keys: []string{"url"}}}}, p.fails
}

func (p process) Plan(context.Context) (control.Outcome, error) { return control.Outcome{}, p.fails }

func (p process) Explain(_ context.Context, name string) (control.Answer, error) {
	return control.Answer{Found: []control.Explanation{{Kind: "tool", Original: name, Reason: "it says s3cret and \"s3cret\""}}}, p.fails
}

// serve starts a process whose sockets are in folder, and returns what ends it.
func serve(t *testing.T, folder string, h control.Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- control.Serve(ctx, h, control.Options{
			Folders: []string{folder}, Redact: func(s string) string { return strings.ReplaceAll(s, "s3cret", "[redacted]") },
		})
	}()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve ends with %v", err)
		}
		done <- nil
	}
	t.Cleanup(stop)
	return stop
}

// find returns the one process in folder, as soon as it is there.
func find(t *testing.T, folder string) *control.Process {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	hung := time.After(time.Minute)
	for {
		found, err := control.List(t.Context(), []string{folder})
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 1 {
			t.Cleanup(found[0].Close)
			return found[0]
		}
		select {
		case <-tick.C:
		case <-hung:
			t.Fatalf("%d processes", len(found))
		}
	}
}

// folder returns one whose name is short enough for a socket on every platform.
func folder(t *testing.T) string {
	t.Helper()
	base, err := os.MkdirTemp("", "p") //nolint:usetesting // the name of t.TempDir is too long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	return filepath.Join(base, "made", "plait")
}

func TestAProcessAnswers(t *testing.T) {
	dir := folder(t)
	stop := serve(t, dir, process{})
	p := find(t, dir)
	if p.PID() != os.Getpid() {
		t.Errorf("pid %d, want %d", p.PID(), os.Getpid())
	}
	ctx := t.Context()
	status, err := p.Status(ctx)
	if d := cmp.Diff(process{}.Status(t.Context()), status); d != "" || err != nil {
		t.Errorf("status %v (-want +got):\n%s", err, d)
	}
	outcome, err := p.Reload(ctx)
	if err != nil || len(outcome.Changes) != 1 || outcome.Changes[0].Action != "restart" {
		t.Errorf("reload %+v, %v", outcome, err)
	}
	if outcome, err := p.Plan(ctx); err != nil || outcome.OK {
		t.Errorf("plan %+v, %v", outcome, err)
	}
	const odd = "desk_a b&c=ü%"
	answer, err := p.Explain(ctx, odd)
	found := answer.Found
	if err != nil || len(found) != 1 || found[0].Original != odd {
		t.Fatalf("explain %+v, %v", found, err)
	}
	if want := `it says [redacted] and "[redacted]"`; found[0].Reason != want {
		t.Errorf("a reason is %q, want %q", found[0].Reason, want)
	}
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o700 && runtime.GOOS != "windows" {
		t.Errorf("the folder has mode %o, want 700", mode)
	}
	stop()
	if _, err := p.Status(ctx); err == nil {
		t.Error("a process that ended answers")
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAFailureIsToldWithoutSecrets(t *testing.T) {
	dir := folder(t)
	serve(t, dir, process{fails: errors.New("s3cret is wrong")})
	if _, err := find(t, dir).Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "[redacted] is wrong") {
		t.Errorf("reload %v", err)
	}
}

func TestSocketsOfDeadProcessesAreRemoved(t *testing.T) {
	dir := folder(t)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, "999999999-0000.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: left})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if found, err := control.List(t.Context(), []string{dir}); len(found) > 0 || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
	serve(t, dir, process{})
	find(t, dir)
	if _, err := os.Lstat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket of a dead process is still there: %v", err)
	}
}

func TestAFolderOfOthersIsNotUsed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("access is decided by the lists of the folder")
	}
	open, link, file := folder(t), folder(t), folder(t)
	for _, dir := range []string{open, filepath.Dir(link), filepath.Dir(file)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink(t.TempDir(), link), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{open: "is open to others", link: "is not a folder", file: "is not a folder"} {
		err := control.Serve(t.Context(), process{}, control.Options{Folders: []string{dir}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Serve %v, want %q", dir, err, want)
		}
		if _, err := control.List(t.Context(), []string{dir}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: List %v, want %q", dir, err, want)
		}
	}

	// The next one is used.
	good := folder(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- control.Serve(ctx, process{}, control.Options{Folders: []string{open, good}}) }()
	find(t, good)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTheSocketIsBounded(t *testing.T) {
	dir := folder(t)
	serve(t, dir, process{})
	p := find(t, dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, entries[0].Name())
	for name, request := range map[string]string{
		"413": "POST /reload HTTP/1.1\r\nHost: plait\r\nContent-Length: 2000000000\r\n\r\n",
		"431": "GET /status HTTP/1.1\r\nHost: plait\r\nX: " + strings.Repeat("x", 100_000) + "\r\n\r\n",
		"405": "GET /reload HTTP/1.1\r\nHost: plait\r\n\r\n",
		"404": "GET / HTTP/1.1\r\nHost: plait\r\n\r\n",
	} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte(request))
		answer := make([]byte, 64)
		n, _ := c.Read(answer)
		c.Close()
		if !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 "+name) {
			t.Errorf("answer %q, want %s", answer[:n], name)
		}
	}
	var idle []net.Conn
	for range 100 { // that many never hang about
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	for _, c := range idle {
		c.Close()
	}
	hung := time.After(time.Minute)
	for {
		if _, err := p.Status(t.Context()); err == nil {
			return
		}
		select {
		case <-hung:
			t.Fatal("it does not answer any more")
		default:
		}
	}
}

func TestFolders(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is one")
	}
	long := "/" + strings.Repeat("long/", 20)
	folders := func(vars map[string]string) []string {
		return control.Folders(func(name string) (string, bool) { v, ok := vars[name]; return v, ok })
	}
	if got := folders(map[string]string{"XDG_RUNTIME_DIR": "relative", "XDG_STATE_HOME": "/state"}); len(got) != 1 || got[0] != "/state/plait/run" {
		t.Errorf("folders %v", got)
	}
	got := folders(map[string]string{"XDG_RUNTIME_DIR": long, "HOME": "/home/me"})
	if len(got) != 2 || !strings.HasPrefix(got[0], "/tmp/plait-") || !strings.HasPrefix(got[1], "/home/me/") {
		t.Errorf("folders %v", got)
	}
	if other := folders(map[string]string{"XDG_RUNTIME_DIR": long + "else"}); other[0] == got[0] {
		t.Errorf("two long folders are one: %v", got)
	}
}

func TestAFolderWithALongNameHasAnother(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the temporary folder is long itself")
	}
	long := filepath.Join(t.TempDir(), strings.Repeat("x", 100))
	short := control.Folders(func(name string) (string, bool) { return long, name == "XDG_RUNTIME_DIR" })[0]
	stop := serve(t, short, process{})
	if _, err := find(t, short).Status(t.Context()); err != nil {
		t.Error(err)
	}
	stop()
	if _, err := os.Stat(short); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is left behind: %v", err)
	}
}
