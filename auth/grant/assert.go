package grant

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/plait-mcp/plait/config"
)

// Where assertions come from.
const (
	fromGitHub     = "github-actions"
	fromGitLab     = "gitlab"
	fromKubernetes = "kubernetes"
	fromFile       = "file"
	fromEnv        = "env"
	fromCommand    = "command"
)

// Source is where an assertion comes from.
type Source struct {
	Assertion config.Assertion
	Dir       string                               // where a command runs
	LookupEnv func(string) (value string, ok bool) // nil: no variable is set
	HTTP      *http.Client                         // reaches the platform that a job runs on
}

// Assert gets an assertion from where it comes: it is asked for anew each time, because it lives for minutes.
//
// github-actions asks the runner (permissions: id-token: write); gitlab and env read a variable; kubernetes and
// file read a file, which the kubelet renews in place; command runs a program. No error shows the assertion.
func Assert(ctx context.Context, s Source) (string, error) {
	text, err := s.read(ctx)
	if err != nil {
		return "", err
	}
	if text = strings.TrimSpace(text); text == "" {
		return "", errors.New("the assertion is empty")
	}
	return text, nil
}

func (s Source) read(ctx context.Context) (string, error) {
	a := s.Assertion
	switch a.From {
	case fromGitHub:
		return s.gitHub(ctx)
	case fromGitLab:
		return s.variable(a.Env, "name it under id_tokens of the job, and that name in env")
	case fromEnv:
		return s.variable(a.Env, "set it")
	case fromFile, fromKubernetes:
		return readToken(a.File)
	case fromCommand:
		if len(a.Command) == 0 {
			return "", errors.New("from: command needs command; set it")
		}
		return run(ctx, a.Command, s.Dir)
	}
	return "", fmt.Errorf("unknown from %q; use github-actions, gitlab, kubernetes, file, env or command", a.From)
}

func (s Source) variable(name, advice string) (string, error) {
	if value := s.lookup(name); value != "" {
		return value, nil
	}
	return "", fmt.Errorf("the variable %s is not set; %s", name, advice)
}

func (s Source) lookup(name string) string {
	if s.LookupEnv == nil {
		return ""
	}
	value, _ := s.LookupEnv(name)
	return value
}

// readToken reads a file with a token.
func readToken(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxAnswer+1))
	switch {
	case err != nil:
		return "", err
	case len(data) > maxAnswer:
		return "", fmt.Errorf("%s is longer than 1 MiB", path)
	}
	return string(data), nil
}

// gitHub asks the runner of GitHub Actions for an ID token of the job.
func (s Source) gitHub(ctx context.Context) (string, error) {
	const op = "identity token request"
	address := s.lookup("ACTIONS_ID_TOKEN_REQUEST_URL")
	bearer := s.lookup("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	if address == "" || bearer == "" {
		return "", errors.New("GitHub Actions gives this job no identity; write permissions: {id-token: write} into the workflow")
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && !isLoopback(u.Hostname()) {
		return "", errors.New("ACTIONS_ID_TOKEN_REQUEST_URL is not an https URL")
	}
	if s.Assertion.Audience != "" {
		query := u.Query()
		query.Set("audience", s.Assertion.Audience)
		u.RawQuery = query.Encode()
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", errors.New("ACTIONS_ID_TOKEN_REQUEST_URL is not an https URL")
	}
	r.Header.Set("Authorization", "Bearer "+bearer)
	w := &wire{next: s.HTTP.Transport}
	about := request{op: op, endpoint: address}
	answer, err := w.client().Do(r)
	if err != nil {
		return "", w.unanswered(about, err)
	}
	answer.Body.Close()
	if err := w.refused(about, nil, []string{bearer}); err != nil {
		return "", err
	}
	value, _ := w.fields["value"].(string)
	if value == "" {
		return "", &Error{Op: op, Endpoint: hostAndPath(address), Status: w.status, Cause: errors.New("the answer has no token")}
	}
	return value, nil
}
