package transport

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/plait-mcp/plait/config"
)

// process is a child with its three pipes and whatever it starts itself: the group, which is a process group on
// unix and a Job Object on Windows. The pipes are plait's ends; they are files, not copied by goroutines of os/exec,
// so that a grandchild that holds one open cannot block anybody.
type process struct {
	cmd    *exec.Cmd
	stdin  *os.File
	stdout *os.File
	stderr *os.File
	group  group
}

// start starts the command of s in a group of its own, watched by g, which may be nil. ctx bounds the start only.
func start(ctx context.Context, s *config.Server, g *Guardian) (*process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cmd, err := command(s)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: cmd}
	theirs, err := p.pipes()
	defer closeAll(theirs)
	if err == nil {
		err = p.launch(g)
	}
	if err != nil {
		closeAll([]*os.File{p.stdin, p.stdout, p.stderr})
		return nil, explain(cmd.Path, err)
	}
	return p, nil
}

// pipes makes the pipes and returns the ends of the child, also when there is an error.
func (p *process) pipes() (theirs []*os.File, err error) {
	in, stdin, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	theirs = append(theirs, in)
	p.cmd.Stdin, p.stdin = in, stdin
	stdout, out, err := os.Pipe()
	if err != nil {
		return theirs, err
	}
	theirs = append(theirs, out)
	p.cmd.Stdout, p.stdout = out, stdout
	stderr, errs, err := os.Pipe()
	if err != nil {
		return theirs, err
	}
	p.cmd.Stderr, p.stderr = errs, stderr
	return append(theirs, errs), nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// command returns the command of s with its environment, found through the search path of that environment.
func command(s *config.Server) (*exec.Cmd, error) {
	vars, err := environment(runtime.GOOS, os.Environ(), s)
	if err != nil {
		return nil, err
	}
	if s.Cwd != "" {
		if info, err := os.Stat(s.Cwd); err != nil {
			return nil, fmt.Errorf("cwd: %w; create the folder or correct the path", err)
		} else if !info.IsDir() {
			return nil, fmt.Errorf("cwd: %s is not a folder; correct the path", s.Cwd)
		}
	}
	file, err := find(s.Command, s.Cwd, lookup(runtime.GOOS, vars, "PATH"))
	if err != nil {
		return nil, err
	}
	return &exec.Cmd{Path: file, Args: append([]string{s.Command}, s.Args...), Env: vars, Dir: s.Cwd}, nil
}

// find returns the file to run for name: in the folders of search, unless name has a slash and so is a path, from cwd
// if that is set. On Windows the extensions of PATHEXT are tried, so that npx means npx.cmd.
func find(name, cwd, search string) (string, error) {
	if name != filepath.Base(name) {
		file := name
		if !filepath.IsAbs(file) && cwd != "" {
			file = filepath.Join(cwd, file)
		}
		found, err := exec.LookPath(file)
		if err != nil && !errors.Is(err, exec.ErrDot) {
			return "", fmt.Errorf("command %q: %w; correct the path or install the program", name, reason(err))
		}
		return filepath.Abs(found)
	}
	for _, folder := range filepath.SplitList(search) {
		if !filepath.IsAbs(folder) {
			continue // would mean another program in every folder
		}
		if found, err := exec.LookPath(filepath.Join(folder, name)); err == nil {
			return found, nil
		}
	}
	if strings.Contains(name, " ") {
		return "", fmt.Errorf("command %q: %w; write its arguments into args", name, exec.ErrNotFound)
	}
	return "", fmt.Errorf("command %q: %w (%s); install it, write its full path, or set PATH in env",
		name, exec.ErrNotFound, search)
}

// reason takes the operation and the name, which are said already, off err.
func reason(err error) error {
	if e, ok := errors.AsType[*exec.Error](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*os.PathError](err); ok {
		err = e.Err
	}
	return err
}

// explain says what to do about a command that is there and yet does not start.
func explain(file string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("start %s: %w; it needs a first line like #!/bin/sh, or is built for another system",
			file, reason(err))
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("start %s: %w; the interpreter in its first line is missing", file, reason(err))
	}
	return fmt.Errorf("start %s: %w", file, reason(err))
}

// describe returns how the child ended.
func describe(state *os.ProcessState) string {
	if state == nil {
		return "exit status unknown"
	}
	return strings.TrimSpace(state.String())
}

// ExitError says that the child of a stdio server is gone, or has closed its stdin or stdout.
type ExitError struct {
	Status string // how it ended, for a person: exit status 1, signal: killed, closed its stdout
	Stderr string // the last lines of its stderr, without control characters; "" when there are none
	Unsent bool   // the child was gone before the message that this is about was sent to it
}

// Error implements error.
func (e *ExitError) Error() string {
	s := "the server's process is gone: " + e.Status
	if e.Stderr != "" {
		s += "; the end of its stderr:\n" + e.Stderr
	}
	return s
}
