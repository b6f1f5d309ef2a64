//go:build unix

package auth_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/plait-mcp/plait/auth"
	"github.com/plait-mcp/plait/auth/store"
	"github.com/plait-mcp/plait/config"
)

// TestStoreTrouble has others be able to read the folder of sign-ins, and the key be gone: what is said of it is what to do.
// A server that is open to everybody is used all the same.
func TestStoreTrouble(t *testing.T) {
	w, open := newWorld(t, 1), serve(t, func(http.ResponseWriter, *http.Request) {})
	server, public := remote("api", w.url(0), nil), remote("open", open.URL, nil)
	dir := folder(t)
	newProcess(t, dir).mustSignIn(server)
	check := func(reason, next string) {
		t.Helper()
		p := newProcess(t, dir)
		failed := fails[*auth.UnavailableError](t, p.client(server), server.URL)
		if !strings.Contains(failed.Reason, reason) || !strings.HasPrefix(failed.Next(), next) || !strings.HasSuffix(failed.Error(), failed.Next()) {
			t.Errorf("error = %v", failed)
		}
		if s := p.Status(t.Context(), []*config.Server{server})[0]; s.State != auth.StateUnavailable || s.Err != failed.Reason || s.Next != failed.Next() {
			t.Errorf("status = %+v", s)
		}
		if err := p.signIn(server); err == nil || err.Error() != failed.Error() {
			t.Errorf("SignIn() = %v, want %v", err, failed)
		}
		works(t, p.client(public), public.URL)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	check("is open to others", "run chmod 700 ")
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	check("holds no key", "remove it and sign in again")
}

// programs are what the test binary can be. They say what is wrong.
func programs() map[string]func(args []string) error {
	return map[string]func([]string) error{"full": fillDisk}
}

// fillDisk uses a grant while no file may grow, and afterwards. args are a folder, a server and what expires its tokens.
func fillDisk(args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), hung)
	defer cancel()
	log := hclog.New(&hclog.LoggerOptions{Output: os.Stderr, Level: hclog.Debug})
	kept, err := store.Open(store.Options{Dir: args[0], Credentials: config.Credentials{Store: "file"}, Log: log})
	if err != nil {
		return err
	}
	defer kept.Close()
	m := auth.NewManager(ctx, auth.Options{Store: kept, Log: log})
	defer m.Close()
	c, err := m.Client(remote("api", args[1], nil))
	if err != nil {
		return err
	}
	defer c.Close()
	call := func(client *http.Client, url string) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
		if err != nil {
			return err
		}
		resp, err := client.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, resp.Status)
		}
		return nil
	}
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ)
	full := limit
	full.Cur = 16
	for _, now := range []syscall.Rlimit{limit, full, full, limit} {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &now); err != nil {
			return err
		}
		if err := call(plain, args[2]); err != nil {
			return err
		}
		if err := call(c.HTTP, args[1]); err != nil {
			return fmt.Errorf("with a limit of %d: %w", now.Cur, err)
		}
	}
	return nil
}

// TestM38CannotSave has the disk take nothing: a renewed token is used all the same, that is said loudly and once, and it
// is saved later.
func TestM38CannotSave(t *testing.T) {
	w := newWorld(t, 1)
	expire := serve(t, func(http.ResponseWriter, *http.Request) { w.expireAll() })
	server := remote("api", w.url(0), nil)
	dir := folder(t)
	newProcess(t, dir).mustSignIn(server)
	out, err := program(t, "full", dir, server.URL, expire.URL).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if log := string(out); strings.Count(log, "could not save the renewed sign-in") != 1 || !strings.Contains(log, auth.IDNotKept) || strings.Contains(log, "canary") {
		t.Errorf("it is not said, or too often:\n%s", log)
	}
	works(t, newProcess(t, dir).client(server), server.URL)
	if refreshes, reuses := w.count(&w.refreshes), w.count(&w.reuses); refreshes != 4 || reuses != 0 {
		t.Errorf("%d refreshes, %d with a token that was used", refreshes, reuses)
	}
}
