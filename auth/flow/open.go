package flow

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/mattn/go-shellwords"
)

// Env is what decides which browser there is. The zero Env has the system that plait was built for and no variables.
type Env struct {
	GOOS      string // "" for runtime.GOOS
	LookupEnv func(string) (string, bool)
}

func (e Env) goos() string {
	if e.GOOS == "" {
		return runtime.GOOS
	}
	return e.GOOS
}

func (e Env) get(name string) string {
	if e.LookupEnv == nil {
		return ""
	}
	value, _ := e.LookupEnv(name)
	return value
}

// ErrNoBrowser says that nothing here can show a page to a person.
var ErrNoBrowser = errors.New("no browser can be opened here")

// CanOpen reports whether there is a browser that a person would see. It starts nothing.
func CanOpen(env Env) bool { return len(openers(env, "https://example.com/")) > 0 }

// settle is how long a program that opens a browser is waited for. Most are done at once; a browser that was
// started by its own name stays.
const settle = 3 * time.Second

// Open shows url, which CheckURL must like, in the browser of the person: the one of $BROWSER, else the one of the
// system. No shell is involved. It returns when the program that opens it has ended, or runs for 3 s.
//
// It may be called by nothing but a command that a person gave to sign in, a prompt that a person accepted, and the
// first start of `plait connect`.
func Open(ctx context.Context, env Env, url string) error {
	if err := CheckURL(url); err != nil {
		return err
	}
	err := ErrNoBrowser
	for _, argv := range openers(env, url) {
		if err = start(ctx, argv); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// start runs argv, whose last words hold the URL.
func start(ctx context.Context, argv []string) error {
	// the browser outlives the context: whoever stops plait does not want to lose the page
	cmd := exec.CommandContext(context.WithoutCancel(ctx), argv[0], argv[1:]...)
	apart(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("open a browser: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // until the browser ends, or plait: nobody can wait for a person's browser
	timer := time.NewTimer(settle)
	defer timer.Stop()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("open a browser with %s: %w", filepath.Base(argv[0]), err)
		}
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// openers returns the commands that would show url, the best first.
func openers(env Env, url string) [][]string {
	own := env.get("BROWSER")
	if own == "none" || own == "false" {
		return nil
	}
	if all := named(own, url, env.goos()); len(all) > 0 {
		return all
	}
	var all [][]string
	for _, words := range system(env) {
		if path, err := exec.LookPath(words[0]); err == nil {
			words[0] = path
		} else if env.goos() == runtime.GOOS {
			continue
		}
		all = append(all, append(words, url))
	}
	return all
}

// system returns the commands of the system that show a URL after them, where a person would see it.
func system(env Env) [][]string {
	remote := env.get("SSH_CONNECTION") != "" || env.get("SSH_TTY") != ""
	rundll := []string{"rundll32.exe", "url.dll,FileProtocolHandler"}
	switch {
	case env.goos() == "darwin" && !remote:
		return [][]string{{"/usr/bin/open"}}
	case env.goos() == "windows" && !remote:
		return [][]string{rundll}
	case env.goos() == "darwin" || env.goos() == "windows":
		return nil
	}
	var all [][]string
	if env.get("WSL_DISTRO_NAME") != "" || env.get("WSL_INTEROP") != "" {
		all = append(all, []string{"wslview"}, rundll)
	}
	if env.get("DISPLAY") != "" || env.get("WAYLAND_DISPLAY") != "" {
		all = append(all, []string{"xdg-open"}, []string{"gio", "open"}, []string{"x-www-browser"})
	}
	return all
}

// named returns the commands that $BROWSER lists, with colons between them but on Windows and that exist. "%s" in
// one stands for the URL, which comes last otherwise.
func named(list, url, goos string) [][]string {
	if path, err := exec.LookPath(list); err == nil {
		return [][]string{{path, url}}
	}
	each := []string{list}
	if goos != "windows" {
		each = strings.Split(list, ":")
	}
	var all [][]string
	for _, command := range each {
		words, err := shellwords.Parse(command)
		if err != nil || len(words) == 0 {
			continue
		}
		if words[0], err = exec.LookPath(words[0]); err != nil {
			continue
		}
		filled := false
		for i := range words[1:] {
			with := strings.ReplaceAll(words[i+1], "%s", url)
			filled = filled || with != words[i+1]
			words[i+1] = with
		}
		if !filled {
			words = append(words, url)
		}
		all = append(all, words)
	}
	return all
}
