package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/joho/godotenv"
)

// enter notes the server whose entry m is and returns its place, where variables are looked up in the environment
// first and then in the server's dotenv files.
func (l *loader) enter(m member, at place) place {
	s := &server{at: at, envFile: map[string]string{}}
	l.servers[m.key] = s
	l.order = append(l.order, m.key)
	at.server, at.inside = m.key, true
	at.env = func(name string) (string, bool) {
		if value, ok := l.env(name); ok {
			return value, true
		}
		value, ok := s.envFile[name]
		return value, ok
	}
	s.at = at
	l.readEnvFiles(s, m.value)
	return at
}

// readEnvFiles reads the files that envFile names, a later one over an earlier one. Wrong kinds of values are left
// to the walk, which reports them.
func (l *loader) readEnvFiles(s *server, entry *node) {
	for _, m := range entry.members {
		if camel(m.key) != "envFile" {
			continue
		}
		names := m.value.items
		if m.value.kind == text {
			names = []*node{m.value}
		}
		for i, n := range names {
			at := s.at.child(m.key, m.pos)
			if m.value.kind == list {
				at = at.index(i, n.pos)
			}
			l.readEnvFile(s, n, at)
		}
	}
}

func (l *loader) readEnvFile(s *server, n *node, at place) {
	if n.kind != text {
		return
	}
	name, err := expand(n.scalar, at.env)
	if err == nil {
		name, err = l.absolute(name)
	}
	if err != nil {
		l.add(at, asExpandError(err).problem())
		return
	}
	data, err := readFile(name, maxSize)
	if err != nil {
		l.report(at, unreadable(n.scalar, err), "check the path")
		return
	}
	values, err := godotenv.Parse(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	if err != nil {
		// The library's message quotes the file, and with it secrets.
		l.report(at, fmt.Sprintf("%q is not a dotenv file", n.scalar), "write NAME=value on each line")
		return
	}
	maps.Copy(s.envFile, values)
}

// unreadable says why a file cannot be used.
func unreadable(name string, err error) string {
	problem := fileProblem(name, err)[0]
	return fmt.Sprintf("file %q %s", name, problem.Msg)
}

// absolute returns a path with the home folder for ~ and, when relative, from the folder of the file.
func (l *loader) absolute(name string) (string, error) {
	return resolve(name, l.dir, l.env)
}

// mergeEnv returns what a child gets: of the dotenv files, which do not override the environment, and of env, which
// overrides both.
func (s *server) mergeEnv(env map[string]Secret, outer lookup) map[string]Secret {
	if len(s.envFile) == 0 {
		return env
	}
	merged := map[string]Secret{}
	for name, value := range s.envFile {
		if outside, ok := outer(name); ok {
			value = outside
		}
		merged[name] = Secret(value)
	}
	maps.Copy(merged, env)
	return merged
}

// asExpandError returns err as the type that holds a hint.
func asExpandError(err error) *expandError {
	if e, ok := errors.AsType[*expandError](err); ok {
		return e
	}
	return &expandError{msg: strings.TrimSpace(err.Error())}
}
