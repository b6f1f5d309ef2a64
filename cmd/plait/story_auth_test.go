package main_test

import (
	"bufio"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/server"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/plait-mcp/plait/auth/authtest"
)

// guarded are the servers behind authorization servers that a story has started, by the variable of their URL.
type guarded map[string]*authtest.Guarded

type (
	guardedKey struct{}
	testKey    struct{}
)

// guard is a command of stories: `guard VARIABLE... [SETTING=VALUE...]` starts one authorization server with those
// settings, see authtest.Start, puts a story server for each variable behind it and their URLs into the variables. The
// issuer goes into ISSUER.
func guard(ts *testscript.TestScript, neg bool, args []string) {
	var variables, settings []string
	for _, arg := range args {
		if strings.Contains(arg, "=") {
			settings = append(settings, arg)
		} else {
			variables = append(variables, arg)
		}
	}
	if neg || len(variables) == 0 {
		ts.Fatalf("usage: guard VARIABLE... [SETTING=VALUE...]")
	}
	handlers := make([]http.Handler, len(variables))
	for i := range handlers {
		handlers[i] = server.NewStreamableHTTPServer(newStory())
	}
	for i, g := range authtest.GuardAll(testOf(ts), handlers, settings...) {
		ts.Value(guardedKey{}).(guarded)[variables[i]] = g
		ts.Setenv(variables[i], g.URL)
		ts.Setenv("ISSUER", g.Issuer)
	}
}

// testOf returns the test that a story is.
func testOf(ts *testscript.TestScript) testing.TB { return ts.Value(testKey{}).(testing.TB) }

// counted is a command of stories: `counted VARIABLE WHAT=N...` compares what the authorization server of the server
// counted: authorize, token, register, reuse.
func counted(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: counted VARIABLE WHAT=N...")
	}
	got := ts.Value(guardedKey{}).(guarded)[args[0]].Stats(testOf(ts))
	text := fmt.Sprintf("authorize=%d token=%d register=%d reuse=%d", got.Authorize, got.Token, got.Register, got.Reuse)
	for _, want := range args[1:] {
		if !strings.Contains(" "+text+" ", " "+want+" ") {
			ts.Fatalf("want %s, counted %s", want, text)
		}
	}
}

// refuseKnown is a command of stories: `forget VARIABLE` has the server refuse all access tokens that it knows.
func refuseKnown(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: forget VARIABLE")
	}
	ts.Value(guardedKey{}).(guarded)[args[0]].RefuseKnown()
}

// takePort is a command of stories: `port VARIABLE` puts a port that is free into the variable.
func takePort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: port VARIABLE")
	}
	ts.Setenv(args[0], strconv.Itoa(freePort(testOf(ts))))
}

// browser is a program: `browser URL` does what a person does who opens a link: it signs in, consents, and says on the
// last line of $BROWSER_LOG where it was sent first. As $BROWSER it is called by plait.
func browser() int {
	if name := os.Getenv("BROWSER_LOG"); name != "" {
		log, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			u, _ := url.Parse(os.Args[1])
			_, _ = fmt.Fprintln(log, "opened", u.Host+u.Path)
			err = log.Close()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
	}
	page, _, err := follow(os.Args[1], func(*url.URL) bool { return true })
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_, _ = os.Stdout.WriteString(page + "\n")
	return 0
}

// follow opens a link as a person does in a browser, with plain GETs and cookies: it presses the first button of each
// page of ours, and goes on as long as it may. It returns the page that it ends on, or the address that it did not open.
func follow(link string, may func(*url.URL) bool) (page, stopped string, err error) {
	jar, _ := cookiejar.New(nil) // which never fails
	client := &http.Client{Timeout: hung, Jar: jar, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		if len(via) > 20 {
			return errors.New("it goes in circles")
		}
		if !may(next.URL) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(hung); ; {
		page, at, stopped, err := visit(client, link)
		if err != nil || stopped != "" {
			return page, stopped, err
		}
		next := buttonIn.FindStringSubmatch(page)
		switch {
		case next != nil:
			to, err := at.Parse(html.UnescapeString(next[1] + next[2]))
			if err != nil {
				return page, "", err
			}
			link = to.String()
		case !strings.Contains(page, `data-ended="false"`):
			return page, "", nil
		case time.Now().After(end):
			return page, "", errors.New("the page never ends")
		default: // a page that loads itself again
			<-tick.C
			link = at.String()
		}
	}
}

// buttonIn finds where a page of ours leads: by its first button, or by itself.
var buttonIn = regexp.MustCompile(`(?:class="button"[^>]* href="([^"]+)"|http-equiv="refresh" content="\d+; url=([^"]+)")`)

// visit opens one address. It returns the page and its address, or the one that the client did not want to open.
func visit(client *http.Client, link string) (page string, at *url.URL, stopped string, err error) {
	resp, err := client.Get(link)
	if err != nil {
		return "", nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		stopped = resp.Header.Get("Location")
	}
	return string(body), resp.Request.URL, stopped, err
}

// person is a program: `person COMMAND ARG...` runs COMMAND as somebody who watches it: it opens the first link that
// COMMAND prints. `person --paste COMMAND ARG...` does so on another machine, where the last address leads nowhere, and types
// that address; with --elsewhere it gives it to plait auth paste, and with --idle it does nothing. It prints what COMMAND
// prints, and exits as it does.
func person() int {
	args := os.Args[1:]
	habit, _ := strings.CutPrefix(args[0], "--")
	if habit != args[0] {
		args = args[1:]
	}
	cmd := exec.Command(args[0], args[1:]...)
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	talk, talkErr := cmd.StderrPipe()
	if err := errors.Join(inErr, outErr, talkErr, cmd.Start()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	links := make(chan string, 100)
	var readers sync.WaitGroup
	readers.Go(func() { watch(out, os.Stdout, links) })
	readers.Go(func() { watch(talk, os.Stderr, links) })
	go func() {
		readers.Wait()
		close(links)
	}()
	opened := false
	for link := range links {
		if opened || habit == "idle" {
			continue
		}
		opened = true
		if err := open(link, habit, in); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	in.Close()
	late := time.AfterFunc(hung, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode()
}

var linkIn = regexp.MustCompile(`https?://127\.0\.0\.1:\d+/\S*`)

// watch copies lines and tells of the links in them.
func watch(from io.Reader, to io.Writer, links chan<- string) {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		fmt.Fprintln(to, lines.Text())
		for _, link := range linkIn.FindAllString(lines.Text(), -1) {
			links <- link
		}
	}
}

func open(link, habit string, in io.Writer) error {
	away := habit == "paste" || habit == "elsewhere"
	_, stopped, err := follow(link, func(next *url.URL) bool { return !away || next.Path != "/callback" })
	if err != nil || stopped == "" {
		return err
	}
	if habit == "paste" {
		_, err = fmt.Fprintln(in, stopped)
		return err
	}
	paste := exec.Command("plait", "auth", "paste", "far", stopped)
	paste.Stderr = os.Stderr
	return paste.Run()
}
