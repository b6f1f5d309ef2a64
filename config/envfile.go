package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/joho/godotenv"

	"github.com/plait-mcp/plait/config/tree"
)

// readEnvFiles adds to all what the files of envFile hold, a later one over an earlier one.
func (l *loader) readEnvFiles(ctx context.Context, values map[string]any, all map[string]string) {
	var refs []any
	switch v := values["envFile"].(type) {
	case []any:
		refs = v
	case ref:
		refs = []any{v}
	}
	for _, r := range refs {
		if r, ok := r.(ref); ok {
			maps.Copy(all, l.readEnvFile(ctx, l.leaves[r]))
		}
	}
}

func (l *loader) readEnvFile(ctx context.Context, v leaf) map[string]string {
	if v.node.Kind == tree.Null {
		return nil // has been reported
	}
	name, ok := l.expanded(ctx, v.node, v.at)
	if !ok {
		return nil
	}
	if v.at.layer.remote {
		l.report(v.at, IDRemotePath, "a remote layer may not read variables from a file", "write envFile into a file on this machine")
		return nil
	}
	path, err := l.absolute(name, v.at)
	if err != nil {
		l.add(v.at, asExpandError(err).problem())
		return nil
	}
	l.look(path)
	data, err := tree.ReadFile(path, tree.MaxSize)
	if err != nil {
		l.report(v.at, IDPath, unreadable(v.node.Scalar, err), "check the path")
		return nil
	}
	values, err := godotenv.Parse(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	if err != nil {
		// The library's message quotes the file, and with it secrets.
		l.report(v.at, IDEnvFile, fmt.Sprintf("%q is not a dotenv file", v.node.Scalar), "write NAME=value on each line")
		return nil
	}
	return values
}

// mergeEnv returns what a child gets: of the dotenv files, which do not override the environment, and of env, which
// overrides both.
func (s *owner) mergeEnv(env map[string]Secret, outer lookup) map[string]Secret {
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
	return &expandError{id: IDInternal, msg: strings.TrimSpace(err.Error())}
}
