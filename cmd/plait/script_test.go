package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/server"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestScript runs the stories in testdata/script. Besides the commands of testscript they have
//
//	exits CODE COMMAND ARG...   runs a program that exits with exactly this code
//	serve VARIABLE              starts a story server over Streamable HTTP and puts its URL into the variable
//	internet HOST...            puts a story server at https://HOST (see internet)
//	refuse VARIABLE             puts a URL where nobody listens into the variable
//	proxy VARIABLE URL          starts an HTTP proxy that takes every host for that of URL, and puts its own URL
//	                            into the variable
//
//	until REGEXP COMMAND ARG... runs a program again and again until what it prints matches
//	hangup                      sends SIGHUP to the one plait that runs
//	guard, counted, forget, port  are about signing in (see story_auth_test.go)
//
// and the programs plait, talk and hold (see talk), starts (see starts), browser and person (see browser).
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			for _, folder := range homeIn(env.WorkDir) {
				variable, value, _ := strings.Cut(folder, "=")
				env.Setenv(variable, value)
			}
			clients, err := filepath.Abs(filepath.Join(root, "config", "testdata", "clients"))
			if err != nil {
				return err
			}
			env.Values[guardedKey{}] = guarded{}
			env.Values[testKey{}] = env.T()
			env.Setenv("CLIENTS", clients)            // files as other programs write them
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else each program takes a second to end under -race
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"serve":    serveStory,
			"refuse":   refuse,
			"internet": internet,
			"proxy":    proxy,
			"until":    poll,
			"hangup":   hangup,
			"guard":    guard,
			"counted":  counted,
			"forget":   refuseKnown,
			"port":     takePort,
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s exits with %d, want %d", args[1], got, want)
	}
}

func serveStory(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: serve VARIABLE")
	}
	s := httptest.NewServer(server.NewStreamableHTTPServer(newStory()))
	ts.Defer(func() {
		s.CloseClientConnections()
		s.Close()
	})
	ts.Setenv(args[0], s.URL+"/mcp")
}

func refuse(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: refuse VARIABLE")
	}
	ts.Setenv(args[0], "http://127.0.0.1:1/mcp") // a port that no server of a test is given
}

func proxy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: proxy VARIABLE URL")
	}
	to, err := url.Parse(args[1])
	ts.Check(err)
	s := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: to.Scheme, Host: to.Host})
	}})
	ts.Defer(s.Close)
	ts.Setenv(args[0], strings.Replace(s.URL, "://", "://me:CANARY@", 1))
}

func poll(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until REGEXP COMMAND ARG...")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(hung); time.Now().Before(end); <-tick.C {
		_ = ts.Exec(args[1], args[2:]...)
		if want.MatchString(ts.ReadFile("stdout")) || want.MatchString(ts.ReadFile("stderr")) {
			return
		}
	}
	ts.Fatalf("it never prints %s; now\n%s%s", args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
}

func hangup(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: hangup")
	}
	ts.Check(ts.Exec("plait", "status", "--json"))
	var all []struct{ PID int }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &all))
	if len(all) != 1 {
		ts.Fatalf("%d processes run, want 1", len(all))
	}
	p, err := os.FindProcess(all[0].PID)
	ts.Check(err)
	ts.Check(p.Signal(syscall.SIGHUP))
}

// talk is a program: `talk FILE COMMAND ARG...` runs COMMAND, says to it what is in FILE line by line, waits
// for the answer to each request before it goes on, and then closes its input. It prints what COMMAND
// prints, and exits as it does.
func talk() int { return converse(func() {}) }

// hold is talk that stays: it closes the input of COMMAND when it is interrupted.
func hold() int {
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	return converse(func() { <-interrupts })
}

func converse(wait func()) int {
	lines, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.Stderr = os.Stderr
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	answers := bufio.NewReader(io.TeeReader(out, os.Stdout))
	for line := range bytes.Lines(lines) {
		if _, err := in.Write(line); err != nil {
			break
		}
		if id := spokenID(line); id != nil && !awaitAnswer(answers, id) {
			break
		}
	}
	wait()
	in.Close()
	_, _ = io.Copy(io.Discard, answers)
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode()
}

// starts is a program: `starts FILE NAME` runs what the client's file FILE has under the name NAME, as the client would.
func starts() int {
	var file struct {
		MCPServers map[string]struct {
			Command string
			Args    []string
		}
	}
	text, err := os.ReadFile(os.Args[1])
	if err := errors.Join(err, json.Unmarshal(text, &file)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	entry := file.MCPServers[os.Args[2]]
	cmd := exec.Command(entry.Command, entry.Args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	_ = cmd.Run()
	return cmd.ProcessState.ExitCode()
}

func spokenID(line []byte) json.RawMessage {
	var m struct{ ID json.RawMessage }
	_ = json.Unmarshal(line, &m)
	return m.ID
}

func awaitAnswer(r *bufio.Reader, id json.RawMessage) bool {
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return false
		}
		if bytes.Equal(spokenID(line), id) {
			return true
		}
	}
}
